import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Params } from '@perdure/contract';
import type { FeedEvent } from './api.ts';
import { World } from '../test/world.ts';
import { tool, wait } from './definitions/tool.ts';
import { findSession, openSession } from './handles.ts';
import { LIMITS } from './limits.ts';
import { untilRest } from './streams/rest.ts';

const never = new Promise<never>(() => {});
const pay = (run: () => unknown = () => 'paid') =>
  tool({
    name: 'pay',
    description: 'Pays.',
    input: { type: 'object', properties: { to: { type: 'string' } } },
    approval: 'always',
    run: run as () => string,
  });
const job = tool({
  name: 'job',
  description: 'Elsewhere.',
  input: { type: 'object' },
  effect: 'keyed',
  run: () => wait({ kind: 'callback', note: 'soon' }),
});
const ask = tool({
  name: 'ask',
  description: 'Asks.',
  input: { type: 'object' },
  effect: 'pure',
  run: () => wait({ kind: 'question', question: 'Which?', choices: ['a', 'b'] }),
});
const start = (session: string, input: string, more: Partial<Params<'runs.start'>> = {}): Params<'runs.start'> => ({
  session,
  input,
  mode: 'queue',
  priority: 0,
  ...more,
});
const create = { wait: false } as const;

test('a replayed opening answers with the first status and ids; another payload is a conflict', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const params = { input: 'go', submission: 'sub', config: { temperature: 0.5 } };
  const first = await world.host.call(world.caller(), 'sessions.create', params);
  const again = await world.host.call(world.caller(), 'sessions.create', params);
  assert.deepEqual([first.status, again.status], [201, 201]);
  assert.deepEqual(
    [again.result.session.id, again.result.run?.id, again.result.seq],
    [first.result.session.id, 'r1', first.result.seq],
  );
  for (const other of [{ input: 'else' }, { config: { temperature: 1 } }, { config: undefined }, { key: 'k' }]) {
    const changed = Object.fromEntries(
      Object.entries({ ...params, ...other }).filter(([, value]) => value !== undefined),
    );
    assert.equal(await world.code('sessions.create', changed as Params<'sessions.create'>), 'submission_conflict');
  }
  const { session } = first.result;
  const send = start(session.id, 'more', { submission: 'two' });
  const sent = await world.host.call(world.caller(), 'runs.start', send);
  const resent = await world.host.call(world.caller(), 'runs.start', send);
  assert.deepEqual(
    [sent.status, resent.status, resent.result.run.id, resent.result.seq],
    [202, 202, 'r2', sent.result.seq],
  );
  assert.equal(await world.code('runs.start', { ...send, input: 'else' }), 'submission_conflict');
  assert.equal(await world.code('runs.start', { ...send, priority: 1 }), 'submission_conflict');
});

test('an opening without a message is replayed, too, and refuses to be another one', async () => {
  const world = await World.create();
  const first = await world.call('sessions.create', { submission: 'sub', key: 'k' });
  const again = await world.host.call(world.caller(), 'sessions.create', { submission: 'sub', key: 'k' });
  assert.deepEqual([again.status, again.result.session.id, again.result.seq], [201, first.session.id, 1]);
  for (const other of [{}, { key: 'k', config: { temperature: 1 } }, { key: 'k', input: 'go' }])
    assert.equal(await world.code('sessions.create', { submission: 'sub', ...other }), 'submission_conflict');
  const send = start(first.session.id, 'go', { submission: 'sub' });
  assert.equal(await world.code('runs.start', send), 'submission_conflict');
});

test('what opened a session with a message does not open it without one', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  await world.call('sessions.create', { submission: 'sub', input: 'go' });
  assert.equal(await world.code('sessions.create', { submission: 'sub' }), 'submission_conflict');
});

test('one submission sent by a hundred at once is one run', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const all = await Promise.all(Array.from({ length: 100 }, async () => world.open('go', { submission: 'same' })));
  assert.equal(new Set(all.map(({ session, run }) => `${session}.${run}`)).size, 1);
  await world.system.settle();
  assert.equal(world.model.calls.length, 1);
});

test('a key opens one session, finds it ever after, and takes the message that comes with it', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const both = await Promise.all(
    [1, 2].map(async (n) => world.host.call(world.caller(), 'sessions.create', { key: 'k', input: `hi ${n}` })),
  );
  assert.deepEqual(
    both.map(({ status }) => status).toSorted((a, b) => a - b),
    [200, 201],
  );
  assert.equal(new Set(both.map(({ result }) => result.session.id)).size, 1);
  assert.deepEqual(new Set(both.map(({ result }) => result.run?.id)), new Set(['r1', 'r2']));
  const found = await world.host.call(world.caller(), 'sessions.create', { key: 'k' });
  assert.deepEqual([found.status, found.result.run, found.result.session.key], [200, undefined, 'k']);
  const replay = { key: 'k', input: 'more', submission: 's' };
  const sent = await world.host.call(world.caller(), 'sessions.create', replay);
  const again = await world.host.call(world.caller(), 'sessions.create', replay);
  assert.deepEqual([sent.status, again.status, again.result.run?.id], [200, 200, sent.result.run?.id]);
});

test('a key stays with its agent', async () => {
  const world = await World.create();
  await world.call('sessions.create', { key: 'k' });
  assert.equal(await world.code('sessions.create', { key: 'k', agent: 'other' }), 'not_found');
});

test('what is not defined is said at once, with what is', async () => {
  const world = await World.create();
  const agent = await world.refused('sessions.create', { agent: 'nobody', input: 'x' });
  assert.deepEqual([agent.code, /nobody.*defined: assistant/.test(agent.message)], ['not_found', true]);
  const model = await world.refused('runs.create', { input: 'x', config: { model: 'gpt-0' }, ...create });
  assert.deepEqual([model.code, model.details?.['model']], ['invalid_request', 'gpt-0']);
  const { session } = await world.call('sessions.create', {});
  assert.equal(
    await world.code('sessions.configure', { session: session.id, ifRevision: 1, model: 'gpt-0' }),
    'invalid_request',
  );
  assert.equal(await world.code('runs.start', start('ses_none', 'x')), 'not_found');
  assert.equal(await world.code('runs.get', { session: session.id, run: 'r9' }), 'not_found');
  assert.equal(await world.code('agents.get', { name: 'nobody' }), 'not_found');
  const image = await world.refused('runs.start', {
    ...start(session.id, ''),
    input: [{ type: 'image', digest: 'a'.repeat(43), mediaType: 'image/png' }],
  });
  assert.deepEqual([image.code, image.details?.['path']], ['invalid_request', 'input[0]']);
});

test('configuration has revisions, is patched, and binds the runs that start after it', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }), agent: { instructions: 'one' } });
  const { session } = await world.open('go', { config: { temperature: 0.5, instructions: 'two' } });
  await world.system.settle();
  const patched = await world.call('sessions.configure', { session, ifRevision: 1, temperature: 1 });
  assert.deepEqual(patched.config, { revision: 2, temperature: 1, instructions: 'two' });
  const stale = await world.refused('sessions.configure', { session, ifRevision: 1, temperature: 0 });
  assert.deepEqual([stale.code, stale.details], ['revision_conflict', { revision: 2 }]);
  await world.call('runs.start', start(session, 'more', { config: { temperature: 0.1 } }));
  await world.system.settle();
  await world.call('runs.start', start(session, 'more'));
  await world.system.settle();
  assert.deepEqual(
    world.model.calls.map(({ request }) => [request.params.temperature, request.instructions]),
    [
      [0.5, 'two'],
      [0.1, 'two'],
      [1, 'two'],
    ],
  );
});

test('runs are held, released, cancelled and taken out of the queue, and say where they stand', async () => {
  const world = await World.create({ script: () => ({ hold: never }) });
  const { session, run } = await world.open();
  await world.call('runs.start', start(session, 'two'));
  await world.call('runs.start', start(session, 'three'));
  assert.equal(await world.status('runs.hold', { session, run }), 202);
  assert.equal((await world.call('runs.get', { session, run })).status, 'held');
  assert.equal((await world.call('runs.release', { session, run })).status, 'running');
  assert.equal((await world.call('runs.unqueue', { session, run: 'r3' })).status, 'cancelled');
  assert.equal(await world.code('runs.unqueue', { session, run }), 'invalid_state');
  assert.deepEqual((await world.call('sessions.get', { session })).queue, ['r2']);
  assert.equal((await world.call('runs.cancel', { session, run })).status, 'cancelling');
  const ended = await world.run(session, run);
  assert.deepEqual([ended.status, ended.reason], ['cancelled', 'requested']);
  assert.equal((await world.run(session, 'r2')).status, 'running');
  assert.equal(await world.code('runs.cancel', { session, run }), 'invalid_state');
});

test('a session is closed, then deleted: nothing of it is left but its tombstone', async () => {
  const world = await World.create({ script: () => ({ text: 'private words' }) });
  const { session } = await world.open();
  await world.system.settle();
  assert.equal(await world.code('sessions.delete', { session }), 'invalid_state');
  assert.equal(await world.status('sessions.close', { session }), 202);
  assert.equal(await world.code('runs.start', start(session, 'more')), 'session_closed');
  assert.equal(await world.status('sessions.delete', { session }), 200);
  for (const method of ['sessions.get', 'waits.list', 'messages.list'] as const)
    assert.equal(await world.code(method, { session, limit: 1 } as never), 'not_found');
  assert.equal(await world.code('runs.start', start(session, 'more')), 'not_found');
  assert.equal(await world.code('events.list', { session, after: 0, limit: 1, waitMs: 0 }), 'not_found');
  assert.ok(
    !JSON.stringify(
      [...(world.disk.tenants.get('default')?.sessions.values() ?? [])].map(({ frames }) =>
        frames.map(({ bodies }) => bodies),
      ),
    ).includes('private'),
  );
});

test('an approval binds what was seen: by digest, once, and with an edit of its own', async () => {
  let given: unknown[] = [];
  const careful = tool({
    name: 'pay',
    description: 'Pays.',
    input: { type: 'object', properties: { to: { type: 'string' } } },
    approval: 'always',
    run: (args) => ((given = [...given, args]), 'paid'),
  });
  const world = await World.create({
    tools: [careful],
    script: (call) =>
      call.items.at(-1)?.kind === 'result' ? { text: 'ok' } : { calls: [{ name: 'pay', arguments: { to: 'a' } }] },
  });
  const { session, run } = await world.open();
  await world.system.settle();
  const [open] = (await world.call('waits.list', { session, limit: 5 })).waits;
  assert.deepEqual([open?.kind, open?.call?.arguments, open?.call?.class], ['approval', { to: 'a' }, 'unsafe']);
  const answer = async (body: object) => world.code('waits.resolve', { session, wait: 'w1', answer: body as never });
  const digest = open?.digest ?? '';
  assert.equal(await answer({ decision: 'approve', digest: 'other' }), 'invalid_request');
  assert.equal(await answer({ answer: 'yes' }), 'invalid_request');
  assert.equal(await answer({ decision: 'approve', digest, arguments: { to: 5 } }), 'invalid_request');
  const edit = { decision: 'approve' as const, digest, arguments: { to: 'b' }, note: 'rather b' };
  const first = await world.host.call(world.caller(), 'waits.resolve', { session, wait: 'w1', answer: edit });
  const again = await world.host.call(world.caller(), 'waits.resolve', { session, wait: 'w1', answer: edit });
  assert.deepEqual([again.status, again.result], [202, first.result]);
  assert.equal(await answer({ decision: 'deny', digest }), 'wait_resolved');
  assert.equal((await world.run(session, run)).status, 'completed');
  assert.deepEqual(given, [{ to: 'b' }]);
});

test('a callback resolves its own call: once, the same again, and never with a token of another making', async () => {
  let token = '';
  const elsewhere = tool({
    name: 'job',
    description: 'Elsewhere.',
    input: { type: 'object' },
    effect: 'keyed',
    run: (_args, context) => ((token = context.callback().token), wait({ kind: 'callback' })),
  });
  const world = await World.create({ tools: [elsewhere], script: [{ calls: [{ name: 'job' }] }, { text: 'ok' }] });
  const { session, run } = await world.open();
  await world.system.settle();
  const [open] = (await world.call('waits.list', { session, limit: 1 })).waits;
  assert.equal(open?.callback?.path, `/v1/callbacks/${token}`);
  const forged = `${Buffer.from(JSON.stringify(['default', session, 'r1t1c0'])).toString('base64url')}.${'x'.repeat(43)}`;
  for (const wrong of [forged, 'nothing', '', '.', token.slice(0, -1)])
    assert.equal(await world.code('callbacks.resolve', { token: wrong, payload: 1 }), 'not_found');
  let deep: unknown = 1;
  for (let i = 0; i < 100; i += 1) deep = [deep];
  assert.equal(await world.code('callbacks.resolve', { token, payload: deep }), 'invalid_request');
  const first = await world.host.call(world.caller(), 'callbacks.resolve', { token, payload: { total: 5 } });
  assert.equal(first.status, 202);
  assert.equal((await world.run(session, run)).status, 'completed');
  assert.deepEqual(await world.call('callbacks.resolve', { token, payload: { total: 5 } }), first.result);
  assert.equal(await world.code('callbacks.resolve', { token, payload: { total: 6 } }), 'wait_resolved');
  const result = world.model.calls.at(-1)?.items.at(-1);
  assert.ok(result?.kind === 'result' && result.content === '{"total":5}');
});

test('a callback that comes before its call waits for it is kept for a while, also after an approval of the same call', async () => {
  let token = '';
  const slow = Promise.withResolvers<void>();
  const early = tool({
    name: 'job',
    description: 'Elsewhere.',
    input: { type: 'object' },
    effect: 'keyed',
    approval: 'always',
    run: async (_args, context) => {
      token = context.callback().token;
      await slow.promise;
      return wait({ kind: 'callback' });
    },
  });
  const world = await World.create({ tools: [early], script: [{ calls: [{ name: 'job' }] }, { text: 'ok' }] });
  const { session, run } = await world.open();
  await world.system.settle();
  const [open] = (await world.call('waits.list', { session, limit: 1 })).waits;
  await world.call('waits.resolve', {
    session,
    wait: 'w1',
    answer: { decision: 'approve', digest: open?.digest ?? '' },
  });
  await world.system.settle();
  const impatient = world.refused('callbacks.resolve', { token, payload: 'early' });
  await world.system.advance(LIMITS.earlyCallbackMs);
  const refused = await impatient;
  assert.deepEqual([refused.code, refused.details?.['retryMs']], ['unavailable', LIMITS.retryMs]);
  const kept = world.host.call(world.caller(), 'callbacks.resolve', { token, payload: 'early' });
  await world.system.settle();
  slow.resolve();
  const { status, result } = await kept;
  assert.equal(status, 202);
  assert.equal((await world.run(session, run)).status, 'completed');
  assert.deepEqual(await world.call('callbacks.resolve', { token, payload: 'early' }), result);
});

test('a one-shot run answers at its end, at its first wait for a person, or when the time is up', async () => {
  const world = await World.create({
    tools: [ask],
    script: [{ text: 'ok' }, { calls: [{ name: 'ask' }] }, { hold: never }, { hold: never }],
  });
  const done = await world.host.call(world.caller(), 'runs.create', { input: 'x', wait: true });
  assert.deepEqual([done.status, done.result.run.status, done.result.run.text], [200, 'completed', 'ok']);
  const asks = await world.host.call(world.caller(), 'runs.create', { input: 'x', wait: true });
  assert.deepEqual([asks.status, asks.result.run.status], [202, 'waiting']);
  const late = world.host.call(world.caller(), 'runs.create', { input: 'x', wait: true, timeoutMs: 500 });
  await world.system.advance(500);
  assert.deepEqual([(await late).status, (await late).result.run.status], [202, 'running']);
  const timers = world.system.timersSet;
  const stopped = world.host.call(world.caller(), 'runs.create', { input: 'x', wait: true, timeoutMs: 600_000 });
  await world.system.settle();
  void world.host.stop();
  assert.equal((await stopped).status, 202);
  assert.ok(world.system.timersSet <= timers);
});

test('lists have pages, in both their kinds, and refuse a cursor that is not theirs', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const opened: string[] = [];
  for (let i = 0; i < 5; i += 1) opened.push((await world.open(`go ${i}`)).session);
  await world.system.settle();
  const seen: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await world.call('sessions.list', cursor === undefined ? { limit: 2 } : { limit: 2, cursor });
    seen.push(...page.sessions.map(({ id }) => id));
    cursor = page.next;
  } while (cursor !== undefined);
  assert.deepEqual(seen, opened.toReversed());
  const [session = ''] = opened;
  const first = await world.call('messages.list', { session, limit: 1 });
  const second = await world.call('messages.list', { session, limit: 1, cursor: first.next ?? '' });
  assert.notDeepEqual(first.messages, second.messages);
  for (const wrong of ['x', '-1', '1.5', '99999999999999999999']) {
    const refused = await world.refused('messages.list', { session, limit: 1, cursor: wrong });
    assert.deepEqual([refused.code, refused.details?.['path']], ['invalid_request', 'cursor']);
    assert.equal(await world.code('sessions.list', { limit: 1, cursor: wrong }), 'invalid_request');
    assert.equal(await world.code('runs.list', { limit: 1, cursor: wrong }), 'invalid_request');
  }
  const { runs } = await world.call('runs.list', { limit: 10, status: 'completed' });
  assert.equal(runs.length, 5);
  assert.deepEqual(
    runs.map(({ text }) => text),
    ['ok', 'ok', 'ok', 'ok', 'ok'],
  );
});

test('entries come in pages of any size, and a long poll ends with the next one, its time or the host', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open();
  await world.system.settle();
  const { head } = await world.call('sessions.get', { session });
  for (let limit = 1; limit <= head + 1; limit += 1) {
    const seqs: number[] = [];
    for (let after = 0; after < head;) {
      const page = await world.call('events.list', { session, after, limit, waitMs: 0 });
      assert.ok(page.events.length > 0 && page.events.length <= limit);
      seqs.push(...page.events.map(({ seq }) => seq));
      after = page.next;
    }
    assert.deepEqual(
      seqs,
      Array.from({ length: head }, (_, at) => at + 1),
    );
  }
  const poll = async () => world.call('events.list', { session, after: head, limit: 10, waitMs: 1_000 });
  const late = poll();
  await world.system.advance(1_000);
  assert.deepEqual((await late).events, []);
  const woken = poll();
  await world.system.settle();
  await world.call('runs.start', start(session, 'more'));
  assert.equal((await woken).events[0]?.seq, head + 1);
  await world.system.settle();
  const { head: now } = await world.call('sessions.get', { session });
  const draining = world.call('events.list', { session, after: now, limit: 10, waitMs: 60_000 });
  await world.system.settle();
  await world.host.stop();
  assert.deepEqual((await draining).events, []);
});

test('views are what the fold says, also of runs that have ended, in another process and with a text that is too long', async () => {
  const long = 'é'.repeat(LIMITS.runTextBytes);
  const world = await World.create({ script: [{ text: 'short' }, { text: long }, { hold: never }] });
  const { session } = await world.open('go', { key: 'k' });
  await world.system.settle();
  await world.call('runs.start', start(session, 'two'));
  await world.system.settle();
  await world.call('runs.start', start(session, 'three'));
  await world.call('runs.start', start(session, 'four'));
  await world.system.settle();
  const views = async (by: World) => ({
    session: await by.call('sessions.get', { session }),
    runs: await Promise.all(
      (['r1', 'r2', 'r3', 'r4'] as const).map(async (run) => by.call('runs.get', { session, run })),
    ),
  });
  const here = await views(world);
  assert.partialDeepStrictEqual(here.session, {
    id: session,
    agent: 'assistant',
    key: 'k',
    title: 'go',
    status: 'running',
    activeRun: 'r3',
    queue: ['r4'],
    waits: [],
    config: { revision: 1 },
  });
  assert.deepEqual(
    here.runs.map(({ status }) => status),
    ['completed', 'completed', 'running', 'queued'],
  );
  assert.equal(here.runs[0]?.text, 'short');
  assert.equal(Buffer.byteLength(here.runs[1]?.text ?? ''), LIMITS.runTextBytes);
  assert.equal(here.runs[1]?.truncated, true);
  assert.ok(here.runs[1]?.text.endsWith('é'));
  const there = await views(await world.crash({ idle: true }));
  assert.deepEqual(there, here);
});

test('a wait has what an answer needs: its question, its call with arguments, its time', async () => {
  const world = await World.create({
    tools: [ask, job, pay()],
    agent: { policies: { approvalTtlMs: 5_000 } },
    script: [{ calls: [{ name: 'ask' }, { name: 'job' }, { name: 'pay', arguments: { to: 'a' } }] }],
  });
  const { session, run } = await world.open();
  await world.system.settle();
  const { waits } = await world.call('waits.list', { session, limit: 10 });
  const [approval, question, callback] = waits;
  assert.partialDeepStrictEqual(question, { kind: 'question', run, question: 'Which?', choices: ['a', 'b'] });
  assert.partialDeepStrictEqual(callback, { kind: 'callback', callback: { note: 'soon' } });
  assert.partialDeepStrictEqual(approval, {
    kind: 'approval',
    call: { name: 'pay', arguments: { to: 'a' }, rule: 'the tool asks for approval' },
  });
  assert.equal(approval?.expiresAt, (approval?.openedAt ?? 0) + 5_000);
  assert.equal((await world.call('waits.list', { session, limit: 1 })).waits.length, 1);
  assert.equal(await world.code('waits.resolve', { session, wait: 'w99', answer: { answer: 'a' } }), 'not_found');
});

test('a session that is quarantined says so, keeps its log readable, and takes nothing; another build tries again', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session, run } = await world.open();
  await world.system.settle();
  const { models } = world.host.parts;
  const resolve = models.resolve.bind(models);
  models.resolve = () => assert.fail('broken');
  await world.call('runs.start', start(session, 'two')).catch(() => {});
  await world.system.advance(10_000);
  world.host.parts.models.resolve = resolve;
  const view = await world.call('sessions.get', { session });
  assert.equal(view.status, 'quarantined');
  assert.deepEqual(
    (await world.call('sessions.list', { status: 'quarantined', limit: 5 })).sessions.map(({ id }) => id),
    [session],
  );
  assert.deepEqual((await world.call('sessions.list', { status: 'running', limit: 5 })).sessions, []);
  assert.equal(await world.code('runs.start', start(session, 'three')), 'invalid_state');
  assert.equal(await world.code('waits.list', { session, limit: 1 }), 'invalid_state');
  assert.equal((await world.call('runs.get', { session, run })).text, 'ok');
  const { causes } = await world.call('explain.get', { session, run });
  assert.deepEqual(
    causes.map(({ code }) => code),
    ['ended'],
    'what has ended waits for nothing',
  );
  assert.ok((await world.call('messages.list', { session, limit: 10 })).messages.length > 0);
  assert.equal((await world.open()).session === session, false);
  const same = await world.crash();
  assert.equal((await same.call('sessions.get', { session })).status, 'quarantined');
  const newer = await same.crash({ host: { engineHash: 'newer' } });
  await newer.system.settle();
  assert.notEqual((await newer.call('sessions.get', { session })).status, 'quarantined');
  assert.equal((await newer.run(session, 'r2')).status, 'completed');
});

test('what a program gives is held against what a client may send, and nothing is written of what is refused', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const session = openSession(world.host, 'assistant');
  const wrong: [unknown, object, string][] = [
    [undefined, {}, 'input is missing'],
    [5, {}, 'input is not valid'],
    [[{ type: 'blah' }], {}, 'input[0].type is not valid'],
    ['', {}, 'input is not valid'],
    ['x', { mode: 'no' }, 'mode is not valid'],
    ['x', { priority: 'hi' }, 'priority is not valid'],
    ['x', { bogus: 1 }, 'bogus is an unknown field'],
    ['x', { config: { temprature: 1 } }, 'config.temprature is an unknown field'],
    ['x', { config: { limits: { turns: 'x' } } }, 'config.limits.turns is not valid'],
    ['x', { submission: '' }, 'submission is not valid'],
  ];
  for (const [input, options, message] of wrong)
    await assert.rejects(session.send(input as string, options), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'invalid_request');
      assert.ok(error.message.startsWith(message), `${error.message}: ${message}`);
      return true;
    });
  assert.throws(() => openSession(world.host, 'assistant', { kee: 1 } as object), /kee is an unknown field/);
  assert.deepEqual((await world.call('sessions.list', { limit: 5 })).sessions, []);
  const run = await session.send('x', { submission: undefined } as object);
  assert.equal((await run.result()).status, 'completed');
});

test('whoever follows a run of a session that is quarantined meanwhile is told so, and so is who comes later', async () => {
  const world = await World.create({ script: () => ({ text: '', hold: new Promise<void>(() => {}) }) });
  const { session, run } = await world.open();
  await world.system.settle();
  const handle = await (await findSession(world.host, session)).run(run);
  const read = async (): Promise<string[]> => {
    const kinds: string[] = [];
    for await (const { kind } of handle.events()) kinds.push(kind);
    return kinds;
  };
  const pending = [handle.result(), read()];
  const asked = world.call('runs.create', { input: 'again', wait: true, timeoutMs: 600_000 });
  await world.system.settle();
  const other = (await world.call('sessions.list', { limit: 5 })).sessions.find(({ id }) => id !== session)?.id ?? '';
  for (const each of [session, other]) await world.host.parts.quarantine.add(each, 'broken', 0);
  for (const each of [...pending, handle.result(), read()])
    await assert.rejects(each, { code: 'invalid_state', message: /is quarantined/ });
  assert.equal((await asked).session.status, 'quarantined');
  const { causes } = await world.call('explain.get', { session, run });
  assert.equal(causes[0]?.code, 'quarantined');
});

test('a quarantine is lifted by hand: the session is tried again, or deleted with what was open in it', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { models } = world.host.parts;
  const resolve = models.resolve.bind(models);
  const ids: string[] = [];
  for (const key of ['a', 'b']) {
    const { session } = await world.open('one', { key });
    await world.system.settle();
    ids.push(session);
  }
  const [again = '', gone = ''] = ids;
  const breakDown = async (session: string): Promise<void> => {
    models.resolve = () => assert.fail('broken');
    await world.call('runs.start', start(session, 'two')).catch(() => {});
    await world.system.advance(10_000);
    assert.equal((await world.call('sessions.get', { session })).status, 'quarantined');
  };
  await breakDown(again);
  await breakDown(gone);
  assert.match((await world.refused('runs.start', start(gone, 'x'))).message, /sessions readmit.*sessions delete/);
  assert.equal(await world.status('sessions.delete', { session: gone }), 200);
  assert.equal(await world.code('sessions.get', { session: gone }), 'not_found');
  assert.equal(await world.code('runs.start', start(gone, 'x')), 'not_found');
  assert.deepEqual((await world.call('sessions.list', { status: 'quarantined', limit: 5 })).sessions.length, 1);
  await world.call('sessions.readmit', { session: again });
  await world.system.advance(10_000);
  assert.equal((await world.call('sessions.get', { session: again })).status, 'quarantined', 'it failed again');
  models.resolve = resolve;
  assert.equal(await world.status('sessions.readmit', { session: again }), 202);
  await world.system.advance(10_000);
  assert.equal((await world.run(again, 'r2')).status, 'completed');
  assert.equal(await world.status('sessions.readmit', { session: again }), 202, 'lifted already, it stays as it is');
  assert.equal(await world.code('sessions.readmit', { session: gone }), 'not_found');
  const next = await world.crash();
  assert.equal((await next.call('sessions.get', { session: again })).status, 'idle');
});

test('data of a newer version is refused by name', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open();
  await world.system.settle();
  const frames = world.disk.tenants.get('default')?.sessions.get(session)?.frames ?? [];
  const [first] = frames;
  assert.ok(first);
  const body = JSON.parse(Buffer.from(first.bytes).toString()) as { entries: { kind: string }[] };
  for (const entry of body.entries) entry.kind = `future.${entry.kind}`;
  Object.assign(first, { bytes: Buffer.from(JSON.stringify(body)) });
  const next = await world.crash();
  for (let i = 0; i < LIMITS.faultsToQuarantine; i += 1) {
    const refused = await next.refused('runs.start', start(session, 'x'));
    assert.deepEqual([refused.code, /newer Perdure/.test(refused.message)], ['invalid_state', true]);
  }
  assert.equal((await next.call('sessions.get', { session })).status, 'quarantined');
  assert.equal((await next.call('runs.get', { session, run: 'r1' })).status, 'completed', 'its rows are still there');
});

test('what fails outside has its code and when to come back, and nothing of it is logged as ours', async () => {
  const world = await World.create({ idle: true });
  const { session } = await world.open();
  for (const [answer, code] of [
    [{ ok: false, code: 'full' }, 'storage_full'],
    [{ ok: false, code: 'unavailable', detail: 'stopped' }, 'unavailable'],
  ] as const) {
    world.weather.append = () => answer;
    const refused = await world.refused('runs.start', start(session, 'x'));
    assert.deepEqual([refused.code, refused.details?.['retryMs']], [code, LIMITS.retryMs]);
  }
  world.weather.append = null;
  const { blobs } = world.host.parts.store;
  blobs.put = async () => Promise.reject(Object.assign(new Error('no space'), { code: 'full' }));
  assert.equal(await world.code('runs.start', start(session, 'x'.repeat(2 * LIMITS.inlineBodyBytes))), 'storage_full');
  await world.host.stop();
  const refused = await world.refused('runs.start', start(session, 'x'));
  assert.deepEqual([refused.code, refused.details?.['retryMs']], ['unavailable', LIMITS.retryMs]);
  assert.deepEqual(
    world.lines.filter(({ level }) => level === 'error'),
    [],
  );
});

test('what nobody foresaw is told by its request id alone', async () => {
  const world = await World.create({ idle: true });
  world.host.parts.store.log.list = async () => assert.fail('select * from secrets');
  await assert.rejects(
    world.host.call(world.caller('req-7'), 'sessions.list', { limit: 1 }),
    (error: { code: string; message: string; requestId: string }) => {
      assert.deepEqual([error.code, error.requestId], ['internal', 'req-7']);
      assert.ok(!error.message.includes('select'));
      return true;
    },
  );
  assert.ok(
    world.lines.some(({ fields }) => fields['requestId'] === 'req-7' && String(fields['error']).includes('select')),
  );
});

test('another tenant finds nothing', async () => {
  const world = await World.create({ idle: true });
  const { session } = await world.open();
  const stranger = { ...world.caller(), tenant: 'other' };
  await assert.rejects(world.host.call(stranger, 'sessions.get', { session }), { code: 'not_found' });
  await assert.rejects(world.host.putBlob(stranger, Buffer.from('x')), { code: 'not_found' });
  assert.throws(() => world.host.feed(stranger, { after: null, signal: new AbortController().signal }), {
    code: 'not_found',
  });
});

test('the feed tells of each session from its cursor on, of one agent where asked, and ends with the host', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open();
  const read = (after: string | null, agent?: string): { seen: FeedEvent[]; done: Promise<void> } => {
    const seen: FeedEvent[] = [];
    const options = { after, signal: new AbortController().signal, ...(agent === undefined ? {} : { agent }) };
    const done = (async () => {
      for await (const event of world.host.feed(world.caller(), options)) seen.push(event);
    })();
    return { seen, done };
  };
  const all = read(null);
  const other = read(null, 'other');
  await world.system.settle();
  const caughtUp = all.seen.find((event) => event.type === 'caught-up');
  assert.ok(caughtUp?.type === 'caught-up');
  await world.call('runs.start', start(session, 'more'));
  await world.system.settle();
  const { head } = await world.call('sessions.get', { session });
  assert.partialDeepStrictEqual(all.seen.at(-1), {
    type: 'change',
    change: { session, agent: 'assistant', head, status: 'idle' },
  });
  const resumed = read(caughtUp.cursor);
  await world.system.settle();
  assert.equal(resumed.seen.filter(({ type }) => type === 'change').length, 1);
  await assert.rejects(read('not a cursor').done, { code: 'invalid_request' });
  await world.host.stop();
  await Promise.all([all.done, other.done, resumed.done]);
  for (const { seen } of [all, other, resumed])
    assert.partialDeepStrictEqual(seen.at(-1), { type: 'end', reason: 'drain' });
  assert.ok(!other.seen.some(({ type }) => type === 'change'));
});

test('after its stop a host has no timer and nothing that waits', async () => {
  const world = await World.create({ tools: [ask], script: [{ calls: [{ name: 'ask' }] }, { hold: never }] });
  const session = openSession(world.host, 'assistant');
  const run = await session.send('go');
  await world.system.settle();
  await session.resolve('w1', { answer: 'a' });
  const results = [run.result(), run.result({ signal: new AbortController().signal })];
  await world.host.stop();
  await Promise.all(results);
  assert.equal(world.system.timersSet, 0);
  assert.deepEqual(world.host.ready(), { ready: false, reason: 'shutting down' });
});

test('a handle sends, follows, waits, resolves and finds its session again', async () => {
  const world = await World.create({
    tools: [ask],
    script: [{ calls: [{ name: 'ask' }] }, { text: 'b it is' }, { text: 'hello', pieces: 2 }],
  });
  const session = openSession(world.host, 'assistant', { config: { temperature: 0.5 } });
  const run = await session.send('go', { config: { temperature: 1 } });
  const followed: string[] = [];
  for await (const event of run.events()) followed.push(event.kind);
  assert.equal(followed[0], 'run.queued');
  assert.equal(followed.at(-1), 'wait.opened');
  const parked = await run.result();
  assert.deepEqual([parked.status, parked.waits?.length], ['waiting', 1]);
  await session.resolve(parked.waits?.[0]?.id ?? '', { answer: 'b' });
  const end = await run.result();
  assert.deepEqual([end.status, end.text], ['completed', 'b it is']);
  const again = await findSession(world.host, session.id);
  const all: string[] = [];
  for await (const event of (await again.run(run.id)).events()) all.push(event.kind);
  assert.equal(all.at(-1), 'run.ended', 'what it once waited for does not end the telling');
  const second = await again.send('more');
  assert.equal((await second.result()).text, 'hello');
  assert.deepEqual(
    world.model.calls.map(({ request }) => request.params.temperature),
    [1, 1, 0.5],
  );
  await assert.rejects(findSession(world.host, 'ses_none'), { code: 'not_found' });
  assert.equal((await again.close()).status, 'closed');
});

test('a handle stops telling when its run comes to wait for a person while others of its calls still run', async () => {
  const slow = Promise.withResolvers<string>();
  const read = tool({
    name: 'read',
    description: 'Reads.',
    input: { type: 'object' },
    effect: 'pure',
    run: async () => slow.promise,
  });
  const world = await World.create({ tools: [ask, read], script: [{ calls: [{ name: 'ask' }, { name: 'read' }] }] });
  const run = await openSession(world.host, 'assistant').send('go');
  const seen: string[] = [];
  const told = (async () => {
    for await (const event of run.events()) seen.push(event.kind);
  })();
  await world.system.settle();
  assert.ok(seen.includes('wait.opened'));
  slow.resolve('seen');
  await told;
  assert.equal(seen.at(-1), 'call.settled');
});

test('a list shows what a run that is under way has used by now', async () => {
  const slow = Promise.withResolvers<string>();
  const read = tool({
    name: 'read',
    description: 'Reads.',
    input: { type: 'object' },
    effect: 'pure',
    run: async () => slow.promise,
  });
  const world = await World.create({ tools: [read], script: [{ calls: [{ name: 'read' }] }, { text: 'done' }] });
  const { session, run } = await world.open();
  await world.system.settle();
  const view = await world.call('runs.get', { session, run });
  assert.equal(view.status, 'running');
  assert.ok(view.usage.input > 0);
  assert.deepEqual((await world.call('runs.list', { limit: 10 })).runs, [view]);
  assert.deepEqual((await world.call('runs.list', { limit: 10, status: 'running' })).runs, [view]);
  slow.resolve('seen');
  await world.system.settle();
  assert.equal((await world.call('runs.list', { limit: 10 })).runs[0]?.status, 'completed');
});

test('what becomes of a run is told to who runs the process, with its session and run', async () => {
  const world = await World.create({ script: [{ fail: 'overloaded', retry: 'now' }, { text: 'done' }] });
  const { session, run } = await world.open();
  await world.system.advance(60_000);
  const told = world.lines.filter(({ fields }) => fields['session'] === session && fields['run'] === run);
  assert.deepEqual(
    told.map(({ level, message, fields }) => [level, message, fields['status'] ?? fields['code']]),
    [
      ['debug', 'run.started', undefined],
      ['debug', 'turn.failed', 'overloaded'],
      ['debug', 'run.ended', 'completed'],
    ],
  );
});

test('a handle that is stopped from outside stops', async () => {
  const world = await World.create({ script: [{ hold: never }] });
  const run = await openSession(world.host, 'assistant').send('go');
  const controller = new AbortController();
  const told = (async () => {
    for await (const _event of run.events({ signal: controller.signal }))
      if (_event.kind === 'turn.requested') controller.abort();
  })();
  await told;
  for await (const _event of run.events({ signal: controller.signal })) assert.fail('it was stopped before it began');
  const waiting = run.result({ signal: controller.signal });
  assert.equal((await waiting).status, 'running');
});

test('whoever waits for a run is woken by its changes alone, and misses none', async () => {
  const world = await World.create({ script: [{ text: 'ok' }] });
  const { session, run } = await world.open();
  const end = await untilRest(world.host.parts, session, run, 60_000);
  assert.equal(end.status, 'completed');
});

test('a configuration for a session that its key finds is refused, not passed over', async () => {
  const world = await World.create();
  const create = async (params: { key: string; config?: { temperature: number } }) =>
    world.host.call(world.caller(), 'sessions.create', params);
  const { result } = await create({ key: 'k' });
  assert.equal((await create({ key: 'k' })).result.session.id, result.session.id);
  await assert.rejects(create({ key: 'k', config: { temperature: 1 } }), { code: 'invalid_state' });
});

test('a page of events asked for beyond the head goes on at the head', async () => {
  const world = await World.create();
  const { result } = await world.host.call(world.caller(), 'sessions.create', { key: 'k' });
  const page = await world.host.call(world.caller(), 'events.list', {
    session: result.session.id,
    after: 99,
    limit: 10,
    waitMs: 0,
  });
  assert.deepEqual(page.result, { events: [], next: 1, head: 1 });
});

test('what another writer has parked is seen, although nothing of it is under way here', async () => {
  const tools = [pay()];
  const script = [{ text: 'ok' }, { calls: [{ name: 'pay', arguments: { to: 'a' } }] }];
  const world = await World.create({ script, tools });
  const { session } = await world.open('one');
  await world.system.settle();
  const beside = await World.create({ beside: world, model: world.model, tools });
  await beside.call('runs.start', start(session, 'two'));
  await world.system.settle();
  await world.system.advance(LIMITS.confirmedMs);
  const { waits } = await world.call('waits.list', { session, limit: 10 });
  assert.deepEqual(
    waits.map(({ kind }) => kind),
    ['approval'],
  );
  assert.equal((await world.call('sessions.get', { session })).status, 'waiting');
});
