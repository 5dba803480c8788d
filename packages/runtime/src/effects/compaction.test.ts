import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScriptedCall, ScriptedReply } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import { tool } from '../index.ts';

const LONG = 'A long story. '.repeat(200);
const TASK = /The conversation so far has grown long/;
const never = new Promise<never>(() => {});

const textOf = (item: ScriptedCall['items'][number] | undefined): string =>
  item?.kind === 'message' ? item.parts.map((part) => (part.type === 'text' ? part.text : '')).join('') : '';
const isSummary = ({ items }: ScriptedCall): boolean => TASK.test(textOf(items.at(-1)));
/** Answers at length, and summarises in a few words. */
const script = (call: ScriptedCall): ScriptedReply =>
  isSummary(call) ? { text: 'They told stories.' } : { text: `${LONG}${call.n}` };

const send = async (world: World, session: string, input: string) => {
  const { run } = await world.call('runs.start', { session, input, mode: 'queue', priority: 0 });
  return world.run(session, run.id);
};
const compactions = async (world: World, session: string) => {
  const { events } = await world.call('events.list', { session, after: 0, limit: 1_000, waitMs: 0 });
  return events.flatMap((event) =>
    event.kind === 'compaction.settled' ? [event.data.outcome === 'failed' ? event.data.code : event.data.outcome] : [],
  );
};

test('a conversation that is compacted goes on behind its summary; what was said stays in the log', async () => {
  const world = await World.create({ script });
  const { session } = await world.open('tell me of the sea');
  await world.system.settle();
  const asked = await world.call('context.compact', { session });
  assert.equal(asked.session.id, session);
  await world.system.settle();
  assert.deepEqual(await compactions(world, session), ['done']);
  const ended = await send(world, session, 'and of the hills');
  assert.equal(ended.status, 'completed');
  const last = world.model.calls.at(-1);
  assert.deepEqual(
    last?.items.map(({ kind }) => kind),
    ['message', 'message'],
  );
  assert.match(textOf(last?.items[0]), /summary of the conversation before[\s\S]*They told stories\./);
  assert.equal(textOf(last?.items[1]), 'and of the hills');
  const { messages } = await world.call('messages.list', { session, limit: 100 });
  assert.deepEqual(
    messages.map(({ role }) => role),
    ['user', 'assistant', 'summary', 'user', 'assistant'],
  );
  assert.equal(messages[2]?.text, 'They told stories.');
  for (const run of ['r1', 'r2'] as const)
    assert.equal((await world.call('turns.request', { session, run, n: 1 })).exact, true);
  const { spans } = await world.call('trace.get', { session, limit: 100 });
  const span = spans.find(({ kind }) => kind === 'compaction');
  assert.deepEqual([span?.status, span?.name], ['done', 'scripted']);
});

test('who summarises reads what its turns read, and calls nothing', async () => {
  const tools = [
    tool({ name: 'look', description: 'Looks.', input: { type: 'object' }, effect: 'pure', run: () => 'seen' }),
  ];
  const world = await World.create({ tools, script });
  const { session } = await world.open();
  await world.system.settle();
  await world.call('context.compact', { session });
  await world.system.settle();
  const [turn, summary] = world.model.calls;
  assert.equal(summary?.request.params.toolChoice, 'none');
  assert.equal(summary?.request.rendered.startsWith(turn?.request.rendered ?? '-'), true);
  assert.deepEqual(
    [summary?.request.instructions, summary?.request.tools],
    [turn?.request.instructions, turn?.request.tools],
  );
});

test('another model summarises a text of the conversation', async () => {
  const world = await World.create({ agent: { compaction: { model: 'scripted/small' } }, script });
  const { session } = await world.open('tell me of the sea');
  await world.system.settle();
  await world.call('context.compact', { session });
  await world.system.settle();
  const summary = world.model.calls.at(-1);
  assert.deepEqual([summary?.request.model, summary?.items.length, summary?.request.tools], ['scripted/small', 1, []]);
  assert.match(textOf(summary?.items[0]), /\[user\]\ntell me of the sea[\s\S]*\[assistant\]\nA long story/);
  assert.deepEqual(await compactions(world, session), ['done']);
});

test('there is nothing to compact before something was said, and no such session', async () => {
  const world = await World.create({ script });
  const { session } = await world.call('sessions.create', {});
  assert.equal(await world.code('context.compact', { session: session.id }), 'invalid_state');
  assert.equal(await world.code('context.compact', { session: 's_none' }), 'not_found');
});

const reads = [
  tool({ name: 'read', description: 'Reads.', input: { type: 'object' }, effect: 'pure', run: () => LONG.repeat(2) }),
];
/** Reads so many times in one run, then answers. */
const reader =
  (times: number) =>
  (call: ScriptedCall): ScriptedReply => {
    if (isSummary(call)) return { text: 'It read a page.' };
    answered_ += 1;
    return answered_ <= times ? { text: '', calls: [{ name: 'read', arguments: {} }] } : { text: 'all read' };
  };
let answered_ = 0;

test('before its model’s window is full a run is compacted by itself; its question stays word for word', async () => {
  answered_ = 0;
  const world = await World.create({
    tools: reads,
    scripted: { windowTokens: 6_000, maxOutputTokens: 500 },
    script: reader(6),
  });
  const { session, run } = await world.open('read it all, please');
  const ended = await world.run(session, run);
  assert.deepEqual([ended.status, ended.text], ['completed', 'all read']);
  assert.equal((await compactions(world, session)).includes('done'), true);
  for (const { items } of world.model.calls) {
    assert.equal(
      items.some((item) => textOf(item) === 'read it all, please' || /<conversation>/.test(textOf(item))),
      true,
    );
    const asked = items.flatMap((item) => (item.kind === 'turn' ? item.calls.map(({ id }) => id) : []));
    const answered = items.flatMap((item) => (item.kind === 'result' ? [item.providerId] : []));
    assert.deepEqual(answered, asked, 'each call has its result');
  }
});

test('an agent that says so is compacted only when somebody asks', async () => {
  answered_ = 0;
  const world = await World.create({
    tools: reads,
    agent: { compaction: { auto: false } },
    scripted: { windowTokens: 6_000, maxOutputTokens: 500 },
    script: reader(6),
  });
  const { session, run } = await world.open('read it all, please');
  assert.equal((await world.run(session, run)).status, 'completed');
  assert.deepEqual(await compactions(world, session), []);
});

test('a context that its provider refuses as too long is compacted once, and the turn made once more', async () => {
  for (const again of [false, true]) {
    let refused = 0;
    const world = await World.create({
      scripted: { windowTokens: null },
      script: (call) => {
        if (isSummary(call)) return { text: 'They told stories.' };
        const isLong = call.items.some(({ kind }) => kind === 'turn');
        if (!isLong && !(again && refused > 0)) return { text: LONG };
        refused += 1;
        return { fail: 'context_length', detail: 'too long', retry: 'no', spent: { kind: 'none' } };
      },
    });
    const { session } = await world.open('tell me of the sea');
    await world.system.settle();
    const ended = await send(world, session, 'and of the hills');
    assert.equal(refused, again ? 2 : 1);
    assert.deepEqual(await compactions(world, session), ['done']);
    assert.deepEqual([ended.status, ended.reason ?? null], again ? ['failed', 'context'] : ['completed', null]);
    assert.equal(
      world.model.calls.at(-1)?.items.some((item) => textOf(item) === 'and of the hills'),
      true,
    );
  }
});

test('a compaction that a crash cut off is charged once, and made again', async () => {
  let isUp = false;
  const world = await World.create({
    agent: { limits: { session: { tokens: 200_000 } } },
    script: (call) => (isSummary(call) && !isUp ? { hold: never } : script(call)),
  });
  const { session } = await world.open();
  await world.system.settle();
  await world.call('context.compact', { session });
  await world.system.settle();
  isUp = true;
  const after = await world.crash();
  await after.system.settle();
  assert.deepEqual(await compactions(after, session), ['done']);
  const { events } = await after.call('events.list', { session, after: 0, limit: 1_000, waitMs: 0 });
  const charged = events.flatMap((event) => (event.kind === 'compaction.attempted' ? [event.data.charged] : []));
  const settled = events.flatMap((event) => (event.kind === 'compaction.settled' ? [event.data.usage] : []));
  assert.equal(charged.length, 1);
  const [usage] = settled;
  const turn = events.flatMap((event) => (event.kind === 'turn.settled' ? [event.data.usage] : []))[0];
  const sum = (each: typeof usage): number =>
    each === undefined ? 0 : each.input + each.cachedInput + each.cacheWrite + each.output;
  const account = world.disk.tenants.get('default')?.accounts.get(session);
  assert.deepEqual(
    [account?.spent.tokens, account?.reserved.tokens],
    [(charged[0]?.tokens ?? 0) + sum(usage) + sum(turn), 0],
  );
});

test('a cancelled run stops the compaction that it waits for', async () => {
  const aborted: unknown[] = [];
  const world = await World.create({
    script: (call) => {
      if (!isSummary(call)) return { text: LONG };
      call.signal.addEventListener('abort', () => aborted.push(call.signal.reason));
      return { hold: never };
    },
  });
  const { session } = await world.open();
  await world.system.settle();
  await world.call('context.compact', { session });
  const { run: next } = await world.call('runs.start', { session, input: 'go on', mode: 'queue', priority: 0 });
  const run = next.id as `r${number}`;
  await world.system.settle();
  const { causes } = await world.call('explain.get', { session, run });
  assert.equal(causes[0]?.code, 'compacting');
  await world.call('runs.cancel', { session, run });
  assert.equal((await world.run(session, run)).status, 'cancelled');
  assert.deepEqual(aborted, ['cancelled']);
  assert.deepEqual(await compactions(world, session), ['cancelled']);
});

test('what makes nothing smaller, or is not whole, stands for nothing', async () => {
  const replies: [ScriptedReply, string][] = [
    [{ text: LONG.repeat(4) }, 'no_gain'],
    [{ text: 'cut', stop: 'length' }, 'length'],
    [{ text: ' ' }, 'empty'],
    [{ fail: 'auth', detail: 'no key', retry: 'no' }, 'auth'],
  ];
  for (const [reply, code] of replies) {
    const world = await World.create({ script: (call) => (isSummary(call) ? reply : { text: LONG }) });
    const { session } = await world.open();
    await world.system.settle();
    await world.call('context.compact', { session });
    await world.system.settle();
    assert.deepEqual(await compactions(world, session), [code]);
    await send(world, session, 'go on');
    assert.deepEqual(
      world.model.calls.at(-1)?.items.map(({ kind }) => kind),
      ['message', 'turn', 'message'],
    );
  }
});

test('a summary holds no secret, and a hook may refuse it', async () => {
  const world = await World.create({
    secrets: { DB: 'hunter2-hunter2' },
    script: (call) => (isSummary(call) ? { text: 'the password is hunter2-hunter2' } : { text: LONG }),
  });
  const { session } = await world.open();
  await world.system.settle();
  await world.call('context.compact', { session });
  await world.system.settle();
  const { messages } = await world.call('messages.list', { session, limit: 100 });
  assert.match(messages.at(-1)?.text ?? '', /the password is/);
  assert.doesNotMatch(messages.at(-1)?.text ?? '', /hunter2/);
});

test('what a session compacts between two runs is in its account, also where only its runs have caps', async () => {
  const world = await World.create({ agent: { limits: { tokens: 100_000 } }, script });
  const { session } = await world.open();
  await world.system.settle();
  const before = world.disk.tenants.get('default')?.accounts.get(session)?.spent.tokens ?? 0;
  await world.call('context.compact', { session });
  await world.system.settle();
  const { usage } = await world.call('sessions.get', { session });
  const account = world.disk.tenants.get('default')?.accounts.get(session);
  const sum = usage.input + usage.cachedInput + usage.cacheWrite + usage.output;
  assert.deepEqual([account?.spent.tokens, account?.reserved.tokens], [sum, 0]);
  assert.ok(sum > before);
});
