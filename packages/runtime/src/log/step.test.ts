import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import type { Append, LedgerOp } from '../ports.ts';
import type { StepInput } from './step.ts';

const send = (submission: string, text = 'more', more: object = {}): StepInput => ({
  id: submission,
  by: { kind: 'user', id: 'u' },
  bodies: [{ digest: `d-${submission}`, salt: '', text: JSON.stringify({ parts: [{ type: 'text', text }] }) }],
  command: {
    kind: 'send',
    submission,
    payload: text,
    mode: 'queue',
    priority: 0,
    message: { digest: `d-${submission}`, bytes: text.length },
    ...more,
  },
});
const opening = (id: string) => ({ open: { id, tenant: 'default', agent: 'assistant' } });
const pay = tool({ name: 'pay', description: 'Pays.', input: { type: 'object' }, effect: 'unsafe', run: () => 'paid' });
const idle = async (options = {}): Promise<World> => World.create({ idle: true, ...options });
const submit = async (world: World, session: string, input: StepInput) =>
  world.host.parts.driver.submit(session, input);

test('an input is one append, and nobody is told before it is durable', async () => {
  const world = await idle();
  const held = Promise.withResolvers<undefined>();
  world.weather.append = async () => held.promise;
  let told = false;
  const sent = submit(world, 's1', send('a', 'hi', opening('s1'))).then((result) => ((told = true), result));
  await world.system.settle();
  assert.equal(told, false);
  assert.equal(await world.log.get('s1'), null);
  held.resolve(undefined);
  const result = await sent;
  assert.ok(result.ok);
  assert.deepEqual(
    world.appends.map(({ frame }) => [frame.first, frame.count]),
    [[1, result.entries.length]],
  );
});

test('what stops work is urgent, and nothing else is', async () => {
  const world = await idle();
  await submit(world, 's1', send('a', 'hi', opening('s1')));
  await submit(world, 's1', send('b'));
  const run = { by: { kind: 'user', id: 'u' } as const, bodies: [] };
  await submit(world, 's1', { id: 'h', ...run, command: { kind: 'hold', run: 'r1' } });
  await submit(world, 's1', { id: 'r', ...run, command: { kind: 'release', run: 'r1' } });
  await submit(world, 's1', { id: 'u', ...run, command: { kind: 'unqueue', run: 'r2' } });
  await submit(world, 's1', { id: 'c', ...run, command: { kind: 'cancel', run: 'r1' } });
  const urgent = world.appends.filter((append) => append.urgent === true);
  assert.deepEqual(
    urgent.map(({ frame }) => (JSON.parse(Buffer.from(frame.bytes).toString()) as { input: string }).input),
    ['h', 'u', 'c'],
  );
});

test('the same input again changes nothing and has the first receipt', async () => {
  const world = await idle();
  const first = await submit(world, 's1', send('a', 'hi', opening('s1')));
  const again = await submit(world, 's1', send('a', 'hi', opening('s1')));
  assert.ok(first.ok && again.ok);
  assert.deepEqual(again.receipt, first.receipt);
  assert.equal(again.entries.length, 0);
  assert.equal(world.appends.length, 1);
  const other = await submit(world, 's1', send('a', 'else'));
  assert.ok(!other.ok && other.rejection.code === 'submission_conflict');
});

test('a stale head folds again: two writers of one log lose nothing of each other', async () => {
  const one = await idle();
  await submit(one, 's1', send('a', 'hi', opening('s1')));
  const { store } = one.host.parts;
  const two = await World.create({ idle: true, beside: one });
  for (let round = 0; round < 5; round += 1) {
    const both = [submit(one, 's1', send(`one ${round}`)), submit(two, 's1', send(`two ${round}`))];
    for (const result of await Promise.all(both)) assert.ok(result.ok && result.entries.length > 0);
  }
  const submissions = [];
  for (const frame of await store.log.read('s1', { after: 0, limit: 100 }))
    submissions.push((JSON.parse(Buffer.from(frame.bytes).toString()) as { input: string }).input);
  assert.equal(new Set(submissions).size, 11);
});

test('an id that was drawn for an input is not looked for; where it has a log all the same, nothing of it is lost', async () => {
  const world = await idle();
  const { log } = world.host.parts.store;
  const ask = log.get.bind(log);
  const asked: string[] = [];
  log.get = async (id) => {
    asked.push(id);
    return ask(id);
  };
  const input = { ...send('a', 'hi', opening('s1')), isNew: true };
  const first = await submit(world, 's1', input);
  assert.deepEqual([first.ok, asked], [true, []]);
  world.host.parts.sessions.drop('s1');
  const again = await submit(world, 's1', input);
  assert.ok(first.ok && again.ok);
  assert.deepEqual([again.receipt, again.entries], [first.receipt, []]);
  const other = await submit(world, 's1', { ...send('b', 'more'), isNew: true });
  assert.deepEqual([other.ok && other.receipt.run, (await ask('s1'))?.queue], ['r2', ['r2']]);
});

test('a refusal is said of the newest head only', async () => {
  const one = await idle();
  await submit(one, 's1', send('a', 'hi', opening('s1')));
  const two = await World.create({ idle: true, beside: one });
  await submit(two, 's1', { id: 'l', by: { kind: 'user', id: 'u' }, bodies: [], command: { kind: 'hold', run: 'r1' } });
  await submit(one, 's1', send('b'));
  // `two` has not seen the second run.
  const cancel = {
    id: 'c',
    by: { kind: 'user', id: 'u' },
    bodies: [],
    command: { kind: 'cancel', run: 'r2' },
  } as const;
  const result = await submit(two, 's1', cancel);
  assert.ok(result.ok && result.entries.some(({ kind }) => kind === 'run.ended'));
});

test('a head that never comes to rest is given up with a word on what to do', async () => {
  const world = await idle();
  world.weather.append = (request) => ({ ok: false, code: 'conflict', head: request.expectedHead });
  await assert.rejects(submit(world, 's1', send('a', 'hi', opening('s1'))), {
    code: 'unavailable',
    message: /try again/,
  });
});

test("the ledger's refusal is folded again as a fact", async () => {
  const world = await idle({ agent: { limits: { tokens: 1_000_000 } } });
  let refusals = 0;
  world.weather.append = () => {
    refusals += 1;
    return refusals > 1
      ? undefined
      : { ok: false, code: 'refused', shortage: { account: 'tenant', limit: 'tokens', needed: 9_999, free: 2_000 } };
  };
  const result = await submit(world, 's1', send('a', 'hi', opening('s1')));
  assert.ok(result.ok);
  const requested = result.entries.find(({ kind }) => kind === 'turn.requested');
  assert.ok(requested?.kind === 'turn.requested');
  assert.ok(requested.data.reserve.tokens <= 2_000, 'its maximum output has shrunk to what is free');
});

test('full and unavailable acknowledge nothing and leave nothing in memory', async () => {
  for (const [code, thrown] of [
    ['full', 'storage_full'],
    ['unavailable', 'unavailable'],
    ['fenced', 'fenced'],
  ] as const) {
    const world = await idle();
    await submit(world, 's1', send('a', 'hi', opening('s1')));
    world.weather.append = () => (code === 'unavailable' ? { ok: false, code, detail: 'gone' } : { ok: false, code });
    await assert.rejects(submit(world, 's1', send('b')), { code: thrown });
    assert.equal(world.host.parts.sessions.size, 0, 'the fold that was ahead is dropped');
    world.weather.append = null;
    const again = await submit(world, 's1', send('b'));
    assert.ok(again.ok && again.entries.length > 0);
  }
});

test('a blob is flushed before the append that refers to it, and where that fails nothing is appended', async () => {
  const world = await idle();
  const order: string[] = [];
  const { store } = world.host.parts;
  const put = store.blobs.put.bind(store.blobs);
  store.blobs.put = async (bytes) => (order.push('blob'), put(bytes));
  world.weather.append = () => void order.push('append');
  await submit(world, 's1', { ...send('a', 'hi', opening('s1')), blobs: [Buffer.from('large')] });
  assert.deepEqual(order, ['blob', 'append']);
  store.blobs.put = async () => Promise.reject(Object.assign(new Error('no space'), { code: 'full' }));
  await assert.rejects(submit(world, 's1', { ...send('b'), blobs: [Buffer.from('large')] }), { code: 'storage_full' });
  assert.deepEqual(order, ['blob', 'append']);
});

test("an input that does not fit into a frame is refused, writes nothing and is nobody's fault", async () => {
  const world = await idle();
  const { session } = await world.open();
  const rules = Array.from({ length: 1_000 }, () => ({ decision: 'ask' as const, tool: 'x', reason: 'y'.repeat(400) }));
  for (let i = 0; i < 5; i += 1) {
    const refused = await world.refused('runs.start', {
      session,
      input: 'x',
      mode: 'queue',
      priority: 0,
      config: { policies: { rules } },
    });
    assert.equal(refused.code, 'too_large');
  }
  assert.equal((await world.call('sessions.get', { session })).status, 'running');
  assert.equal(world.appends.length, 1);
});

test('an answer that asks for more than a frame can name fails its run, paid and recorded', async () => {
  const calls = Array.from({ length: 200 }, (_, n) => ({ name: 'x'.repeat(3_000), id: `c${n}` }));
  const world = await World.create({ script: [{ calls }] });
  const { session, run } = await world.open();
  const view = await world.run(session, run);
  assert.deepEqual([view.status, view.reason, view.detail], ['failed', 'provider', 'too_large']);
  assert.ok(view.usage.output > 0);
});

test('entries that name who may dispatch carry the fence, and so does whoever says that an attempt is lost', async () => {
  const world = await World.create({ tools: [pay], script: [{ calls: [{ name: 'pay' }] }, { text: 'ok' }] });
  const { session, run } = await world.open();
  assert.equal((await world.run(session, run)).status, 'completed');
  const fenced = world.appends.map(({ fence }) => fence?.epoch);
  assert.deepEqual(fenced, [1, 1, 1, 1, undefined], 'start, calls, gate, next turn; the last outcome carries none');
  assert.equal(world.appends[0]?.fence?.holder, 'epoch 1');
});

test('who says that an unsafe call was lost speaks as the holder', async () => {
  const hangs = tool({
    name: 'pay',
    description: 'Pays.',
    input: { type: 'object' },
    run: async () => new Promise<never>(() => {}),
  });
  const world = await World.create({ tools: [hangs], script: [{ calls: [{ name: 'pay' }] }] });
  const { session } = await world.open();
  await world.system.settle();
  const next = await world.crash();
  await next.system.settle();
  assert.equal((await next.call('waits.list', { session, limit: 1 })).waits[0]?.kind, 'outcome');
  assert.deepEqual(
    next.appends.map(({ fence }) => fence?.epoch),
    [2],
  );
});

test('the title is the beginning of the first message, without secrets', async () => {
  const world = await idle({ secrets: { DB: 'hunter2-hunter2' } });
  const { session } = await world.open(`use  hunter2-hunter2\n${'and more '.repeat(50)}`);
  const { title } = await world.call('sessions.get', { session });
  assert.match(title, /^use \{\{secret:DB\}\} and more/);
  assert.ok(title.length <= 80);
  await world.call('runs.start', { session, input: 'other', mode: 'queue', priority: 0 });
  assert.equal((await world.call('sessions.get', { session })).title, title);
});

test('a run that is queued and ended by one input has its row', async () => {
  const world = await World.create({ agent: { limits: { tokens: 10 } }, scripted: {} });
  const { session, run } = await world.open('a message that is far too long for its cap');
  const view = await world.run(session, run);
  assert.deepEqual([view.status, view.reason, view.seq], ['limited', 'tokens', 2]);
  assert.ok(view.endedAt);
});

test('the ledger is told of each reservation, its settling and its release, under one key an attempt', async () => {
  const failing = { fail: 'overloaded', retry: 'now' } as const;
  const world = await World.create({
    agent: { limits: { tokens: 1_000_000, session: { tokens: 2_000_000 } } },
    script: [failing, { text: 'ok' }],
  });
  const { session, run } = await world.open();
  await world.system.advance(60_000);
  assert.equal((await world.run(session, run)).status, 'completed');
  const ops = world.appends.flatMap(({ ledger }: Append): LedgerOp[] => [...ledger]);
  const key = (attempt: number): string => `${session}/r1t1#${attempt}`;
  assert.deepEqual(
    ops.map((op) => [op.op, 'key' in op ? op.key : op.account]),
    [
      ['open', session],
      ['open', `${session}/r1`],
      ['reserve', key(1)],
      ['release', key(1)],
      ['reserve', key(2)],
      ['settle', key(2)],
    ],
  );
  assert.deepEqual(ops[0], {
    op: 'open',
    account: session,
    parent: null,
    caps: { tokens: 2_000_000 },
    spent: { tokens: 0, nanoUsd: 0 },
  });
});

test('a lost model call is settled at its reserve before the next one is named', async () => {
  const hold = new Promise<never>(() => {});
  const world = await World.create({ agent: { limits: { tokens: 1_000_000 } }, script: [{ hold }, { text: 'ok' }] });
  const { session, run } = await world.open();
  await world.model.called(0);
  const next = await world.crash();
  await next.system.settle();
  assert.equal((await next.run(session, run)).status, 'completed');
  const ops = next.appends.flatMap(({ ledger }) => [...ledger]);
  assert.deepEqual(
    ops.map(({ op }) => op),
    ['settle', 'reserve', 'settle'],
  );
  const reserved = world.appends[0]?.ledger.find((op) => op.op === 'reserve');
  assert.ok(reserved?.op === 'reserve' && ops[0]?.op === 'settle');
  assert.deepEqual([ops[0].key, ops[0].amount], [reserved.key, reserved.amount]);
});

test('no ledger is kept where nothing is capped', async () => {
  const world = await World.create({ script: [{ text: 'ok' }] });
  await world.open();
  await world.system.settle();
  assert.deepEqual(
    world.appends.flatMap(({ ledger }) => ledger),
    [],
  );
});

test('the id of a deleted session is not used again', async () => {
  const world = await World.create({ script: [{ text: 'ok' }] });
  const { session } = await world.open('go', { submission: 'sub' });
  await world.system.settle();
  await world.call('sessions.close', { session });
  await world.call('sessions.delete', { session });
  assert.equal(await world.code('sessions.create', { input: 'go', submission: 'sub' }), 'session_closed');
  assert.equal(await world.code('sessions.get', { session }), 'not_found');
});

test('the rules of agent and run add up, and the deciding one is in the log', async () => {
  const world = await World.create({
    tools: [pay],
    agent: { policies: { rules: [{ decision: 'deny', tool: 'pay', reason: 'closed' }] } },
    script: [{ calls: [{ name: 'pay' }] }, { text: 'ok' }],
  });
  const config = { policies: { mode: 'bypass' as const, rules: [{ decision: 'allow' as const, tool: '*' }] } };
  const { session, run } = await world.open('go', { config });
  assert.equal((await world.run(session, run)).status, 'completed');
  const { events } = await world.call('events.list', { session, after: 0, limit: 100, waitMs: 0 });
  const requested = events.find(({ kind }) => kind === 'call.requested');
  assert.ok(requested?.kind === 'call.requested');
  assert.deepEqual([requested.data.decision, requested.data.rule], ['deny', 'rule deny pay: closed']);
});
