import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualSystem } from '@perdure/testkit';
import { openMemoryStore } from '@perdure/stores/memory';
import type { ToolOptions } from '../definitions/tool.ts';
import { tool, wait } from '../definitions/tool.ts';
import { createBodies } from './bodies.ts';
import { effectKey, sha256 } from '../log/digest.ts';
import type { Hook } from './hooks.ts';
import { LIMITS } from '../limits.ts';
import { silentLogger } from '../logger.ts';
import type { EffectClass, SessionJobs, ToolContext, ToolParks, ToolResult } from '../ports.ts';
import { noSandbox } from './sandbox.ts';
import { Redactor } from '../secrets/redact.ts';
import { Workspaces } from '../workspaces/workspaces.ts';
import { callbackToken, createToolbus } from './toolbus.ts';

const SECRET = 'hunter2-hunter2';

function bench(hooks: readonly Hook[] = []) {
  const system = createVirtualSystem();
  const store = openMemoryStore({ clock: system.clock }).tenant('default');
  const redactor = new Redactor({ DB: SECRET });
  const progress: string[] = [];
  const toolbus = createToolbus({
    store,
    clock: system.clock,
    timers: system.timers,
    logger: silentLogger,
    redactor,
    hooks,
    callbackSecret: 'callback secret',
    history: async () => ({ hits: [], next: null, behind: false }),
    results: async () => null,
    sandbox: noSandbox,
    jobs: { of: () => ({}) as SessionJobs },
    workspaces: new Workspaces({ ...store, clock: system.clock }),
    progress: (_session, _run, _call, text) => void progress.push(text),
  });
  const controller = new AbortController();
  const on = (effect: EffectClass) => ({
    state: { id: 'ses_a', tenant: 'default', agent: 'assistant' },
    run: { id: 'r1' as const },
    call: { id: 'r1t1c0' as const, name: 'work', class: effect, timeoutMs: 100 },
    attempt: 1,
    mounts: [],
    readsOn: false,
    guards: [],
  });
  const bodies = createBodies({ random: system.random, redactor });
  const bodyOf = (digest: string): { content: string; details?: unknown; full?: string } => {
    const small = bodies.stored.bodies.find((body) => body.digest === digest)?.text;
    const large = bodies.stored.blobs.map((blob) => Buffer.from(blob).toString());
    return JSON.parse(small ?? large.find((text) => sha256(text) === digest) ?? assert.fail(`no body ${digest}`));
  };
  const define = (run: ToolOptions<unknown>['run'], more: Partial<ToolOptions<unknown>> = {}) =>
    tool({ name: 'work', description: 'Works.', input: { type: 'object' }, run, ...more });
  const run = async (work: ToolOptions<unknown>['run'], effect: EffectClass = 'pure', args: unknown = {}) =>
    toolbus.run(on(effect), define(work), args, controller.signal, bodies);
  return { system, store, redactor, toolbus, controller, on, bodies, bodyOf, define, run, progress };
}

type Bench = ReturnType<typeof bench>;
const settled = async ({ run, bodyOf }: Bench, ...args: Parameters<Bench['run']>) => {
  const outcome = await run(...args);
  assert.ok(outcome.type === 'call', JSON.stringify(outcome));
  return { ...outcome, ...bodyOf(outcome.result.digest) };
};

test('what a tool returns is its result: text, JSON, with details for people, or nothing', async () => {
  const cases: [unknown, string, unknown?][] = [
    ['text', 'text'],
    [{ a: 1 }, '{"a":1}'],
    [[1, 2], '[1,2]'],
    [undefined, 'Done.'],
    [null, 'null'],
    [{ content: 'said', details: { n: 1 } }, 'said', { n: 1 }],
    [{ content: { a: 1 } }, '{"a":1}'],
    [{ wait: { seconds: 5 } }, '{"wait":{"seconds":5}}'],
  ];
  for (const [returned, content, details] of cases) {
    const result = await settled(bench(), () => returned as ToolResult, 'unsafe');
    assert.deepEqual([result.outcome, result.content, result.details], ['done', content, details]);
  }
});

test('a throw is a typed error result without secrets, and so is a result that says it is an error', async () => {
  const thrown = await settled(bench(), () => assert.fail(`no way in with ${SECRET}`), 'unsafe');
  assert.deepEqual([thrown.outcome, thrown.code], ['failed', 'tool_error']);
  assert.equal(thrown.content, 'The tool failed: no way in with {{secret:DB}}');
  const said = await settled(bench(), () => ({ content: 'bad', isError: true }));
  assert.deepEqual([said.outcome, said.code, said.content], ['failed', 'tool_error', 'bad']);
});

test('a tool that takes too long: a read failed, everything else may have happened', async () => {
  for (const [effect, expected] of [
    ['pure', { type: 'call', code: 'timeout' }],
    ['keyed', { type: 'call-unknown', reason: 'timeout' }],
    ['unsafe', { type: 'call-unknown', reason: 'timeout' }],
  ] as const) {
    const world = bench();
    const ended = world.run(async () => new Promise(() => {}), effect);
    await world.system.advance(100 + LIMITS.abortGraceMs);
    assert.partialDeepStrictEqual(await ended, expected);
  }
});

test('a tool that is stopped: a read failed, everything else may have happened, unless it says what became of it', async () => {
  for (const [effect, expected] of [
    ['pure', { type: 'call', code: 'aborted' }],
    ['keyed', { type: 'call-unknown', reason: 'aborted' }],
    ['unsafe', { type: 'call-unknown', reason: 'aborted' }],
  ] as const) {
    const world = bench();
    const ended = world.run(async (_args, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      throw new Error('stopped');
    }, effect);
    world.controller.abort();
    assert.partialDeepStrictEqual(await ended, expected);
  }
  const world = bench();
  const ended = world.run(async (_args, { signal }) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    return 'done in time';
  }, 'unsafe');
  world.controller.abort();
  assert.partialDeepStrictEqual(await ended, { type: 'call', outcome: 'done' });
});

test('a tool may park its call: for a question, a time or a callback', async () => {
  const world = bench();
  const now = world.system.clock.now();
  const parks: [ToolParks['wait'], object][] = [
    [
      { kind: 'timer', afterMs: 50 },
      { kind: 'timer', dueAt: now + 50 },
    ],
    [{ kind: 'callback' }, { kind: 'callback' }],
    [
      { kind: 'callback', expiresInMs: 10 },
      { kind: 'callback', expiresAt: now + 10 },
    ],
  ];
  for (const [parked, expected] of parks)
    assert.deepEqual(await world.run(() => wait(parked)), { type: 'call-waits', wait: expected });
  const asked = await world.run(() => wait({ kind: 'question', question: `Is it ${SECRET}?`, choices: ['yes'] }));
  assert.ok(asked.type === 'call-waits' && asked.wait.kind === 'question');
  assert.deepEqual(world.bodyOf(asked.wait.prompt.digest), { question: 'Is it {{secret:DB}}?', choices: ['yes'] });
});

test('a wait that no clock can keep is an error of the tool', async () => {
  for (const afterMs of [Number.NaN, -1, Infinity, 1e18, '5' as unknown as number]) {
    const result = await settled(bench(), () => wait({ kind: 'timer', afterMs }));
    assert.deepEqual([result.outcome, result.code], ['failed', 'tool_error']);
  }
});

test('a long result is cut for the model, and the whole is kept, up to a bound', async () => {
  const world = bench();
  const text = 'ab😀'.repeat(20_000);
  const result = await settled(world, () => text);
  assert.ok(result.content.length < LIMITS.resultPreviewChars + 100);
  assert.match(result.content, /\[cut: 50000 of 80000 characters; ask for a smaller part\]$/);
  assert.ok(result.content.isWellFormed());
  const kept = world.bodies.stored.blobs.map((blob) => Buffer.from(blob).toString());
  assert.equal(kept[0], text);
  assert.equal(await world.store.blobs.put(Buffer.from(text)), result.full);
  const huge = bench();
  await settled(huge, () => 'x'.repeat(3 * LIMITS.resultBytes));
  assert.equal(huge.bodies.stored.blobs[0]?.length, LIMITS.resultBytes);
});

test('details that are too long are not kept, and say so', async () => {
  const world = bench();
  const result = await settled(world, () => ({ content: 'x', details: 'y'.repeat(LIMITS.resultBytes + 1) }));
  assert.match(JSON.stringify(result.details), /are not kept/);
});

test('a result that is not JSON is withheld: a read failed, everything else took effect', async () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const results: ToolResult[] = [
    { content: circular },
    { content: 'x', details: circular },
    { content: { n: 1n } as unknown as string },
  ];
  for (const returned of results) {
    const read = await settled(bench(), () => returned, 'pure');
    assert.deepEqual([read.outcome, read.code], ['failed', 'invalid_result']);
    const paid = await settled(bench(), () => returned, 'unsafe');
    assert.deepEqual([paid.outcome, paid.code], ['done', 'invalid_result']);
    assert.match(paid.content, /took effect/);
  }
});

test('a result that a hook blocks is withheld; what took effect is not called failed', async () => {
  const gate: Hook = { name: 'gate', outcome: () => ({ verdict: 'block', reason: 'private' }) };
  const read = await settled(bench([gate]), () => 'x', 'pure');
  assert.deepEqual([read.outcome, read.code], ['failed', 'blocked']);
  for (const effect of ['keyed', 'unsafe'] as const) {
    const paid = await settled(bench([gate]), () => 'x', effect);
    assert.deepEqual([paid.outcome, paid.code], ['done', 'blocked']);
    assert.match(paid.content, /took effect.*gate blocked it: private/);
  }
});

test('hooks see a result without secrets, and what they write is cleaned again', async () => {
  const seen: string[] = [];
  const spy: Hook = {
    name: 'spy',
    outcome: ({ text }) => (seen.push(text), { verdict: 'rewrite', text: `${text} and ${SECRET}` }),
  };
  const result = await settled(bench([spy]), () => ({ content: `it is ${SECRET}`, details: { deep: [SECRET] } }));
  assert.deepEqual(seen, ['it is {{secret:DB}}']);
  assert.equal(result.content, 'it is {{secret:DB}} and {{secret:DB}}');
  assert.deepEqual(result.details, { deep: ['{{secret:DB}}'] });
});

test('placeholders of secrets that are bound to a tool are put back at the last hop, and only these', async () => {
  let given: unknown;
  const args = { query: 'with {{secret:OWN}}', other: '{{secret:NONE}} {{secret:DB}}' };
  const world = bench();
  world.redactor.register('OWN', 'own-password', { tools: ['work'] });
  await world.run((received) => ((given = received), 'ok'), 'pure', args);
  assert.deepEqual(given, { query: 'with own-password', other: '{{secret:NONE}} {{secret:DB}}' });
  assert.equal(args.query, 'with {{secret:OWN}}');
});

test('a call that would take a secret elsewhere does not run, and says what the secret is bound to', async () => {
  const world = bench();
  world.redactor.register('OWN', 'own-password', { hosts: ['api.example.com'] });
  let ran = 0;
  const call = async (url: string) =>
    settled(world, () => ((ran += 1), 'ok'), 'unsafe', { url, headers: { key: '{{secret:OWN}}' } });
  assert.equal((await call('https://api.example.com/v1')).content, 'ok');
  const refused = await call('https://evil.example/?api.example.com');
  assert.equal(refused.code, 'secret_refused');
  assert.match(
    refused.content,
    /^Not run: secret OWN is bound to host api\.example\.com: it is not given to evil\.example/,
  );
  assert.equal(ran, 1);
});

test('arguments named __proto__ reach a tool as an ordinary member', async () => {
  let given: Record<string, unknown> = {};
  const args = JSON.parse('{"__proto__":{"polluted":"{{secret:OWN}}"}}') as unknown;
  const world = bench();
  world.redactor.register('OWN', 'own-password', { tools: ['work'] });
  await world.run((received) => ((given = received as Record<string, unknown>), 'ok'), 'pure', args);
  assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  assert.equal(Object.getPrototypeOf(given), Object.prototype);
});

test('the context gives the key, the attempt, secrets, blobs, a callback and a clean voice', async () => {
  const world = bench();
  let context: ToolContext | undefined;
  await world.run(async (_args, given) => {
    context = given;
    given.progress(`working with ${SECRET}`);
    const digest = await given.blobs.put(Buffer.from('bytes'));
    return Buffer.from((await given.blobs.get(digest)) ?? []).toString();
  });
  assert.equal(context?.key, effectKey('default', 'ses_a', 'r1t1c0'));
  assert.equal(context?.secret('DB'), SECRET);
  assert.equal(context?.secret('NONE'), undefined);
  assert.deepEqual(world.progress, ['working with {{secret:DB}}']);
  const token = callbackToken('callback secret', 'default', 'ses_a', 'r1t1c0');
  assert.deepEqual(context?.callback(), { path: `/v1/callbacks/${token}`, token });
  assert.notEqual(callbackToken('other', 'default', 'ses_a', 'r1t1c0'), token);
});

test('verify says what became of a call, or that it is not known', async () => {
  const { toolbus, on, define, controller, bodies, bodyOf } = bench();
  const verify = async (said: ToolOptions<unknown>['verify']) =>
    toolbus.verify(
      on('unsafe'),
      define(() => '', said === undefined ? {} : { verify: said }),
      {},
      controller.signal,
      bodies,
    );
  const done = await verify(async (key) => ({ outcome: 'done', content: `paid ${key.length}` }));
  assert.ok(done.type === 'call' && done.outcome === 'done');
  assert.equal(bodyOf(done.result.digest).content, 'paid 52');
  assert.partialDeepStrictEqual(await verify(async () => ({ outcome: 'failed', message: 'no' })), {
    type: 'call',
    outcome: 'failed',
    code: 'verified_failed',
  });
  const unknown = [async () => ({ outcome: 'unknown' as const }), async () => assert.fail('broken'), undefined];
  for (const said of unknown) assert.equal((await verify(said)).type, 'call-unknown');
});
