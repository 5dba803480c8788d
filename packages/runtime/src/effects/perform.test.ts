import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScriptedCall } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import { tool, wait } from '../definitions/tool.ts';
import { effectKey } from '../log/digest.ts';
import type { Hook } from './hooks.ts';
import { LIMITS } from '../limits.ts';
import type { EffectClass, GenerateRequest } from '../ports.ts';

const SECRET = 'hunter2-hunter2';
const define = (name: string, effect: EffectClass, run: Parameters<typeof tool>[0]['run']) =>
  tool({ name, description: name, input: { type: 'object' }, effect, run });

/** The model's adapter with its own idea of an answer. */
function withAdapter(
  world: World,
  generate: (request: GenerateRequest, signal: AbortSignal) => Promise<unknown>,
): void {
  const { models } = world.host.parts;
  const resolve = models.resolve.bind(models);
  models.resolve = (model) => {
    const resolved = resolve(model);
    if (!resolved.ok) return resolved;
    const adapter = {
      ...resolved.adapter,
      generate: async (request: GenerateRequest, { signal }: { signal: AbortSignal }) => generate(request, signal),
    };
    return { ...resolved, adapter } as typeof resolved;
  };
}

test('the model is told why a policy denies its call, and goes on otherwise', async () => {
  const wipe = define('wipe', 'unsafe', () => assert.fail('it ran'));
  const script = [{ calls: [{ name: 'wipe', arguments: {} }] }, { text: 'then not' }];
  const policies = { rules: [{ decision: 'deny' as const, tool: 'wipe', reason: 'nothing is deleted here' }] };
  for (const place of ['agent', 'session']) {
    const world = await World.create({ script, tools: [wipe], ...(place === 'agent' ? { agent: { policies } } : {}) });
    const { session, run } = await world.open('one', place === 'session' ? { config: { policies } } : {});
    await world.system.settle();
    assert.equal((await world.run(session, run)).text, 'then not');
    const told = world.model.calls[1]?.items.find(({ kind }) => kind === 'result');
    assert.match(
      JSON.stringify(told),
      /Not run: a policy denies this call \(rule deny wipe: nothing is deleted here\)/,
    );
  }
});

test('each request is rebuilt exactly: after new configuration, in another process, for every turn and attempt', async () => {
  const read = define('read', 'pure', () => 'seen');
  let steps = 0;
  const script = (call: ScriptedCall) => {
    steps += 1;
    if (steps === 2) return { fail: 'overloaded', retry: 'now' as const };
    return steps % 2 === 1 ? { calls: [{ name: 'read', arguments: { n: call.n } }] } : { text: `said ${call.n}` };
  };
  const world = await World.create({ script, tools: [read], agent: { instructions: 'Be brief.' } });
  const { session } = await world.open('one', { config: { temperature: 0.5 } });
  await world.system.advance(60_000);
  const { config } = await world.call('sessions.get', { session });
  await world.call('sessions.configure', {
    session,
    ifRevision: config.revision,
    instructions: 'Now at length.',
    temperature: 1,
  });
  for (const input of ['two', 'three']) {
    await world.call('runs.start', { session, input, mode: 'queue', priority: 0, config: { maxOutputTokens: 500 } });
    await world.system.advance(60_000);
  }
  const turnOf = new Map<string, { run: `r${number}`; n: number }>();
  for (const run of ['r1', 'r2', 'r3'] as const)
    for (let n = 1; n < 9; n += 1) turnOf.set(effectKey('default', session, `${run}t${n}`), { run, n });
  const seen = new Set<object>();
  for (const reader of [async () => world, async () => world.crash()]) {
    const by = await reader();
    for (const { request } of world.model.calls) {
      const turn = turnOf.get(request.key) ?? assert.fail();
      seen.add(turn);
      const resolved = world.model.source.resolve(request.model);
      assert.ok(resolved.ok);
      const rebuilt = await by.call('turns.request', { session, ...turn });
      assert.deepEqual([rebuilt.exact, rebuilt.request], [true, JSON.parse(resolved.adapter.body(request))]);
    }
  }
  assert.ok(seen.size >= 5);
});

test('a request is sealed before it is sent, and what is sent is what was sealed', async () => {
  const world = await World.create({ script: () => ({ text: 'said' }) });
  const { session } = await world.open();
  await world.system.settle();
  await world.call('runs.start', { session, input: 'two', mode: 'queue', priority: 0 });
  await world.system.settle();
  assert.deepEqual(
    world.lines.filter(({ message }) => /sealed/.test(message)),
    [],
  );
  const { events } = await world.call('events.list', { session, after: 0, limit: 100, waitMs: 0 });
  const settled = events.flatMap((entry) => (entry.kind === 'turn.settled' ? [entry.data] : []));
  assert.equal(settled.length, 2);
  for (const data of settled) assert.equal('built' in data, false);
});

test('nothing registered as a secret is in a body, an entry, a delta, a title, a log line or an error', async () => {
  const leak = define('leak', 'unsafe', (_args, context) => {
    context.progress(`with ${SECRET}`);
    return { content: `got ${SECRET}`, details: { [SECRET]: SECRET } };
  });
  const ask = define('ask', 'pure', () => wait({ kind: 'question', question: `Is it ${SECRET}?`, choices: [SECRET] }));
  const breaks = define('breaks', 'pure', () => assert.fail(SECRET));
  const encoded = Buffer.from(SECRET).toString('base64');
  const world = await World.create({
    secrets: { DB: SECRET },
    tools: [leak, ask, breaks],
    script: [
      {
        text: `it is ${SECRET} or ${encoded}`,
        reasoning: SECRET,
        native: { raw: SECRET },
        calls: [
          { name: 'leak', arguments: { a: SECRET } },
          { name: 'ask', arguments: {} },
          { name: 'breaks', arguments: {} },
          { name: SECRET, arguments: `{"${SECRET}` },
        ],
      },
      { fail: 'refused', detail: `bad key ${SECRET}` },
    ],
  });
  const { session, run } = await world.open(`my ${SECRET}`, { config: { instructions: `use ${SECRET}` } });
  const reader = world.follow(session);
  await world.system.settle();
  const { waits } = await world.call('waits.list', { session, limit: 10 });
  for (const { id } of waits)
    await world.call('waits.resolve', { session, wait: id as `w${number}`, answer: { answer: `yes, ${SECRET}` } });
  assert.equal((await world.run(session, run)).status, 'failed');
  const everything: unknown[] = [reader.seen, world.lines, await world.call('trace.get', { session, limit: 100 })];
  everything.push(
    await world.call('explain.get', { session, run }),
    await world.call('messages.list', { session, limit: 100 }),
  );
  for (const frame of await world.log.read(session, { after: 0, limit: 1_000 }))
    everything.push(Buffer.from(frame.bytes).toString(), frame.bodies);
  for (const [, blob] of world.disk.tenants.get('default')?.blobs ?? [])
    everything.push(Buffer.from(blob.bytes).toString());
  everything.push(await world.log.get(session));
  const text = JSON.stringify(everything);
  for (const form of [SECRET, encoded, Buffer.from(SECRET).toString('hex')]) assert.ok(!text.includes(form));
  assert.ok(text.includes('{{secret:DB}}'));
  reader.stop();
});

test('a provider item in which a secret was found is dropped, and that is said; the others go back as they came', async () => {
  const world = await World.create({
    secrets: { DB: SECRET },
    script: [{ text: 'a', native: { signed: 'x' } }, { text: 'b', native: { signed: SECRET } }, { text: 'c' }],
  });
  const { session } = await world.open();
  for (let i = 0; i < 2; i += 1) {
    await world.system.settle();
    await world.call('runs.start', { session, input: 'more', mode: 'queue', priority: 0 });
  }
  await world.system.settle();
  const natives = world.model.calls.at(-1)?.items.flatMap((item) => (item.kind === 'turn' ? [item.native] : []));
  assert.deepEqual(natives, [{ signed: 'x' }, null]);
  const told = world.lines.filter(({ level, message }) => level === 'warn' && message.includes('was changed'));
  assert.deepEqual(
    told.map(({ fields }) => fields['effect']),
    ['r2t1'],
  );
});

test('hooks see an answer without secrets; one that rewrites it is obeyed, one that blocks ends the run', async () => {
  const seen: string[] = [];
  const hook: Hook = {
    name: 'guard',
    outcome: ({ kind, text }) => {
      if (kind === 'turn') seen.push(text);
      return text.includes('bad')
        ? { verdict: 'block', reason: `because ${SECRET}` }
        : { verdict: 'rewrite', text: `${text}!` };
    },
  };
  const world = await World.create({
    secrets: { DB: SECRET },
    host: { hooks: [hook] },
    script: [{ text: SECRET, native: { signed: 'x' } }, { text: 'bad' }],
  });
  const { session, run } = await world.open();
  assert.equal((await world.run(session, run)).text, '{{secret:DB}}!');
  await world.call('runs.start', { session, input: 'two', mode: 'queue', priority: 0 });
  const second = await world.run(session, 'r2');
  assert.deepEqual([second.status, second.detail], ['failed', 'blocked']);
  assert.deepEqual(seen, ['{{secret:DB}}', 'bad']);
  const turn = world.model.calls.at(-1)?.items.find(({ kind }) => kind === 'turn');
  assert.ok(turn?.kind === 'turn' && turn.native === null, "a changed item is no longer the provider's");
  assert.ok(!JSON.stringify(await world.log.read(session, { after: 0, limit: 100 })).includes(SECRET));
});

test('a model that takes too long is asked again; one that was stopped is not', async () => {
  const world = await World.create({ script: [{ text: 'late' }] });
  const asked: number[] = [];
  withAdapter(world, async (request, signal) => {
    asked.push(request.attempt);
    if (asked.length > 1)
      return {
        type: 'done',
        stop: 'end',
        text: 'at last',
        reasoning: '',
        calls: [],
        usage: { input: 1, cachedInput: 0, cacheWrite: 0, output: 1, reasoning: 0, source: 'provider' },
        native: null,
      };
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    return { type: 'failed', code: 'aborted', detail: 'aborted', retry: 'no', spent: { kind: 'bound' } };
  });
  const { session, run } = await world.open();
  await world.system.advance(LIMITS.generateMs);
  await world.system.advance(60_000);
  const view = await world.run(session, run);
  assert.deepEqual([view.status, view.text, asked], ['completed', 'at last', [1, 2]]);
  const { events } = await world.call('events.list', { session, after: 0, limit: 100, waitMs: 0 });
  const failed = events.find(({ kind }) => kind === 'turn.failed');
  assert.ok(failed?.kind === 'turn.failed' && failed.data.code === 'timeout');
});

test('an adapter that throws, hangs or answers with what is no JSON fails its run and nothing else', async () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const usage = { input: 1, cachedInput: 0, cacheWrite: 0, output: 1, reasoning: 0, source: 'provider' };
  const broken: [string, () => Promise<unknown>][] = [
    ['adapter_error', async () => assert.fail('broken')],
    [
      'unreadable',
      async () => ({ type: 'done', stop: 'end', text: 'x', reasoning: '', calls: [], usage, native: circular }),
    ],
  ];
  for (const [code, generate] of broken) {
    const world = await World.create({ script: [] });
    withAdapter(world, generate);
    const { session, run } = await world.open();
    await world.system.settle();
    const view = await world.run(session, run);
    assert.deepEqual([view.status, view.reason, view.detail], ['failed', 'provider', code]);
    assert.equal((await world.call('sessions.get', { session })).status, 'idle');
  }
});

test('an effect is performed once, however its outcome fails to be stored', async () => {
  let paid = 0;
  const large = 'x'.repeat(2 * LIMITS.inlineBodyBytes);
  const pay = define('pay', 'unsafe', () => ((paid += 1), large));
  const world = await World.create({ tools: [pay], script: [{ calls: [{ name: 'pay' }] }, { text: 'ok' }] });
  const { blobs } = world.host.parts.store;
  const put = blobs.put.bind(blobs);
  blobs.put = async () => Promise.reject(Object.assign(new Error('no space'), { code: 'full' }));
  const { session, run } = await world.open();
  await world.system.advance(120_000);
  assert.equal(paid, 1);
  assert.equal((await world.run(session, run)).status, 'running');
  blobs.put = put;
  await world.system.advance(10_000);
  assert.equal((await world.run(session, run)).status, 'completed');
  assert.equal(paid, 1);
  assert.ok(!world.lines.some(({ message }) => /quarantined/.test(message)));
});

test('content that is erased or missing ends what needs it with a code, and parks nobody', async () => {
  const world = await World.create({ script: [{ text: 'x'.repeat(2 * LIMITS.inlineBodyBytes) }, { text: 'ok' }] });
  const { session } = await world.open();
  await world.system.settle();
  const blobs = world.disk.tenants.get('default')?.blobs;
  for (const [digest, { bytes }] of blobs ?? []) if (bytes.length > LIMITS.inlineBodyBytes) blobs?.delete(digest);
  const next = await world.crash();
  await next.call('runs.start', { session, input: 'more', mode: 'queue', priority: 0 });
  const view = await next.run(session, 'r2');
  assert.deepEqual([view.status, view.detail], ['failed', 'blob_missing']);
  assert.equal((await next.call('runs.get', { session, run: 'r1' })).text, '');
});

test('arguments that are not those that were allowed are not run', async () => {
  let ran = 0;
  const pay = define('pay', 'unsafe', () => ((ran += 1), 'paid'));
  const careful = { ...pay, approval: 'always' as const };
  const world = await World.create({
    tools: [careful],
    script: [{ calls: [{ name: 'pay', arguments: { to: 'a' } }] }, { text: 'ok' }],
  });
  const { session, run } = await world.open();
  await world.system.settle();
  const [approval] = (await world.call('waits.list', { session, limit: 1 })).waits;
  for (const frame of world.disk.tenants.get('default')?.sessions.get(session)?.frames ?? [])
    for (const body of frame.bodies) Object.assign(body, { text: body.text.replace('\\"a\\"', '\\"b\\"') });
  const next = await world.crash();
  const wait = approval?.id as `w${number}`;
  await next.call('waits.resolve', { session, wait, answer: { decision: 'approve', digest: approval?.digest ?? '' } });
  assert.equal((await next.run(session, run)).status, 'completed');
  assert.equal(ran, 0);
  const result = next.model.calls.at(-1)?.items.at(-1);
  assert.ok(result?.kind === 'result' && /not those that were allowed/.test(result.content));
});

test('instructions and keyed slots stand before the conversation', async () => {
  const world = await World.create({ script: () => ({ text: 'said' }), agent: { instructions: 'Be brief.' } });
  const { session } = await world.open('one', { config: { instructions: 'Be long.' } });
  await world.system.settle();
  const text = JSON.stringify('buy milk');
  await world.host.parts.driver.submit(session, {
    id: 'slot',
    by: { kind: 'user', id: 'u' },
    bodies: [{ digest: 'slot', salt: '', text }],
    command: { kind: 'remember', key: 'todo', ref: { digest: 'slot', bytes: text.length } },
  });
  await world.call('runs.start', { session, input: 'two', mode: 'queue', priority: 0 });
  await world.system.settle();
  assert.deepEqual(
    world.model.calls.map(({ request }) => request.instructions),
    ['Be long.', 'Be long.\n\n# todo\nbuy milk'],
  );
  assert.equal((await world.call('sessions.get', { session })).config.instructions, 'Be long.');
});

test('a process without the tool parks the call, and the next one that has it goes on', async () => {
  let ran = 0;
  const pay = define('pay', 'unsafe', () => ((ran += 1), 'paid'));
  const world = await World.create({
    tools: [{ ...pay, approval: 'always' }],
    script: [{ calls: [{ name: 'pay' }] }, { text: 'ok' }],
  });
  const { session, run } = await world.open();
  await world.system.settle();
  const without = await world.crash({ tools: [] });
  const [approval] = (await without.call('waits.list', { session, limit: 1 })).waits;
  const wait = approval?.id as `w${number}`;
  await without.call('waits.resolve', {
    session,
    wait,
    answer: { decision: 'approve', digest: approval?.digest ?? '' },
  });
  await without.system.settle();
  assert.equal((await without.call('waits.list', { session, limit: 1 })).waits[0]?.kind, 'tool');
  assert.equal(ran, 0);
  const back = await without.crash({ tools: [pay] });
  assert.equal((await back.run(session, run)).status, 'completed');
  assert.equal(ran, 1);
});

test('a session that cannot be told that its tool is back keeps nobody from starting, and is told later', async () => {
  const pay = define('pay', 'unsafe', () => 'paid');
  const script = [{ calls: [{ name: 'pay' }] }, { text: 'ok' }];
  const world = await World.create({ tools: [{ ...pay, approval: 'always' }], script });
  const { session, run } = await world.open();
  await world.system.settle();
  const without = await world.crash({ tools: [] });
  const [approval] = (await without.call('waits.list', { session, limit: 1 })).waits;
  const wait = approval?.id as `w${number}`;
  await without.call('waits.resolve', {
    session,
    wait,
    answer: { decision: 'approve', digest: approval?.digest ?? '' },
  });
  await without.system.settle();
  const next = await without.crash({ tools: [pay], idle: true });
  next.weather.append = () => ({ ok: false, code: 'unavailable', detail: 'for now' });
  await next.host.start();
  next.weather.append = null;
  await next.system.advance(LIMITS.sweepMs);
  assert.equal((await next.run(session, run)).status, 'completed');
});
