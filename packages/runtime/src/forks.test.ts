import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Params } from '@perdure/contract';
import { World } from '../test/world.ts';
import { tool } from './definitions/tool.ts';
import { findSession } from './handles.ts';
import { effectKey } from './log/digest.ts';
import { decodeFrame } from './log/frame.ts';
import type { ToolContext } from './ports.ts';
import { StoreDamage } from './ports.ts';

const never = new Promise<never>(() => {});

/** Tools that keep the keys they were called with. */
function acting(run: (context: ToolContext) => unknown = () => 'done') {
  const keys: string[] = [];
  const of = (name: string, effect: 'keyed' | 'unsafe', approval: 'always' | 'never') =>
    tool({
      name,
      description: name,
      input: { type: 'object' },
      effect,
      approval,
      run: async (_args, context) => {
        keys.push(context.key);
        return (await run(context)) as string;
      },
    });
  return { keys, tools: [of('pay', 'keyed', 'never'), of('fire', 'unsafe', 'never'), of('wipe', 'unsafe', 'always')] };
}

const send = (session: string, input: string, more: Partial<Params<'runs.start'>> = {}): Params<'runs.start'> => ({
  session,
  input,
  mode: 'queue',
  priority: 0,
  ...more,
});

async function forkOf(world: World, session: string, more: Partial<Params<'sessions.fork'>> = {}): Promise<string> {
  return (await world.call('sessions.fork', { session, ...more })).session.id;
}

/** The seqs at which the appends of a session end. */
async function ends({ log }: World, session: string): Promise<number[]> {
  const frames = await log.read(session, { after: 0, limit: 1_000 });
  return frames.map(({ first, count }) => first + count - 1);
}

test('a fork reads as its source did, goes on by itself, and says where it comes from', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one');
  await world.system.settle();
  const before = await world.call('sessions.get', { session });
  const { session: fork, seq } = await world.call('sessions.fork', { session });
  assert.deepEqual(fork.forkedFrom, { session, seq: before.head });
  assert.equal(seq, before.head + 1);
  assert.deepEqual([fork.title, fork.agent, fork.status], [before.title, before.agent, 'idle']);
  await world.call('runs.start', send(fork.id, 'two'));
  await world.system.settle();
  const { items } = world.model.calls[1] ?? { items: [] };
  assert.deepEqual(
    items.map(({ kind }) => kind),
    ['message', 'turn', 'message'],
  );
  assert.equal((await world.call('sessions.get', { session })).head, before.head, 'the source stays as it was');
  const { messages } = await world.call('messages.list', { session: fork.id, limit: 10 });
  assert.deepEqual(
    messages.map(({ text }) => text),
    ['one', 'ok', 'two', 'ok'],
  );
  const { runs } = await world.call('runs.list', { limit: 10 });
  assert.equal(runs.filter((run) => run.session === fork.id && run.text === 'ok').length, 2);
  assert.deepEqual(await world.log.verify(), []);
});

test('a fork begins at the end of any append, and nowhere else: the nearest are told', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one');
  await world.system.settle();
  const places = await ends(world, session);
  for (let at = 1; at <= (places.at(-1) ?? 0); at += 1) {
    if (places.includes(at)) {
      const fork = await forkOf(world, session, { at });
      assert.deepEqual((await world.call('sessions.get', { session: fork })).forkedFrom, { session, seq: at });
      continue;
    }
    const { code, details } = await world.refused('sessions.fork', { session, at });
    const before = places.findLast((end) => end < at);
    const after = places.find((end) => end > at);
    assert.deepEqual(
      [code, details],
      ['invalid_request', { path: 'at', ...(before === undefined ? {} : { before }), after }],
    );
  }
  const beyond = await world.refused('sessions.fork', { session, at: 99 });
  assert.deepEqual([beyond.code, beyond.details?.['head']], ['invalid_request', places.at(-1)]);
  assert.equal(await world.code('sessions.fork', { session: `ses_${'0'.repeat(26)}` }), 'not_found');
});

test('what is open where a session is forked never runs in the fork, and goes on in the source', async () => {
  const { keys, tools } = acting();
  const script = [{ calls: [{ name: 'wipe', arguments: {} }] }, { text: 'wiped' }];
  const world = await World.create({ script, tools });
  const { session, run } = await world.open('one');
  await world.system.settle();
  const fork = await forkOf(world, session);
  const view = await world.call('runs.get', { session: fork, run });
  assert.deepEqual([view.status, view.reason], ['cancelled', 'fork']);
  assert.deepEqual((await world.call('waits.list', { session: fork, limit: 10 })).waits, []);
  const [wait] = (await world.call('waits.list', { session, limit: 10 })).waits;
  const answer = { decision: 'approve', digest: wait?.digest ?? '' } as const;
  assert.equal(await world.code('waits.resolve', { session: fork, wait: 'w1', answer }), 'wait_resolved');
  const crashed = await world.crash();
  await crashed.system.settle();
  assert.deepEqual(keys, []);
  await crashed.call('waits.resolve', { session, wait: 'w1', answer });
  await crashed.system.settle();
  assert.deepEqual(keys, [effectKey('default', session, 'r1t1c0')]);
  assert.equal((await crashed.run(session, run)).status, 'completed');
});

test('a call that flies while its session is forked is done once, under the key of its session', async () => {
  const gate = Promise.withResolvers<undefined>();
  const { keys, tools } = acting(async () => gate.promise.then(() => 'fired'));
  const world = await World.create({ script: [{ calls: [{ name: 'fire', arguments: {} }] }, { text: 'ok' }], tools });
  const { session, run } = await world.open('one');
  await world.system.settle();
  const fork = await forkOf(world, session);
  gate.resolve(undefined);
  assert.equal((await world.run(session, run)).status, 'completed');
  const { messages } = await world.call('messages.list', { session: fork, limit: 10 });
  const [step] = messages.flatMap(({ steps = [] }) => steps);
  assert.deepEqual([step?.status, step?.code], ['unknown', 'fork'], 'it may have happened [P6]');
  assert.deepEqual(keys, [effectKey('default', session, 'r1t1c0')]);
});

test('the same call in a fork has another key', async () => {
  const { keys, tools } = acting();
  const calls = [{ name: 'pay', arguments: {} }];
  const world = await World.create({ script: [{ calls }, { text: 'ok' }, { calls }, { text: 'ok' }], tools });
  const { session } = await world.open('one');
  await world.system.settle();
  const fork = await forkOf(world, session, { at: 4 });
  await world.call('runs.start', send(fork, 'one'));
  await world.system.settle();
  assert.deepEqual(keys, [effectKey('default', session, 'r1t1c0'), effectKey('default', fork, 'r2t1c0')]);
});

test('a fork that is asked for again is the same one; another place under its submission is a conflict', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one');
  await world.system.settle();
  const asked = { session, submission: 'try', config: { temperature: 0.5 } };
  const all = await Promise.all([1, 2, 3].map(async () => world.call('sessions.fork', asked)));
  assert.equal(new Set(all.map(({ session: fork, seq }) => `${fork.id} ${seq}`)).size, 1);
  await world.call('runs.start', send(session, 'two'));
  await world.system.settle();
  const crashed = await world.crash();
  assert.equal(
    (await crashed.call('sessions.fork', asked)).session.id,
    all[0]?.session.id,
    'also when both have gone on',
  );
  assert.equal(await crashed.code('sessions.fork', { ...asked, at: 4 }), 'submission_conflict');
  assert.equal(await crashed.code('sessions.fork', { session, submission: 'try' }), 'submission_conflict');
});

test('a message of the prefix may be sent to the fork again, under the same submission', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('open');
  await world.call('runs.start', send(session, 'two', { submission: 's' }));
  await world.system.settle();
  const fork = await forkOf(world, session);
  const sent = await world.call('runs.start', send(fork, 'three', { submission: 's' }));
  assert.equal(sent.run.id, 'r3');
});

test('a fork has no key, and the configuration it was asked for, as a revision', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one', { key: 'k', config: { temperature: 0.1, instructions: 'Be brief.' } });
  await world.system.settle();
  const { session: fork } = await world.call('sessions.fork', {
    session,
    config: { temperature: 0.9, instructions: 'Be long.' },
  });
  assert.deepEqual(fork.config, { revision: 2, temperature: 0.9, instructions: 'Be long.' });
  assert.equal(fork.key, undefined);
  assert.equal((await world.call('sessions.create', { key: 'k' })).session.id, session);
  await world.call('runs.start', send(fork.id, 'two'));
  await world.system.settle();
  assert.equal(world.model.calls.at(-1)?.request.instructions, 'Be long.');
  assert.equal(await world.code('sessions.fork', { session, config: { model: 'none/such' } }), 'invalid_request');
});

test('a fork’s account begins with what its prefix had spent, and its caps bind both', async () => {
  const config = { limits: { session: { tokens: 40_000 } } };
  const world = await World.create({ script: () => ({ text: 'ok', usage: { input: 6_000, output: 100 } }) });
  const { session } = await world.open('one', { config });
  await world.system.settle();
  const { spent } = world.disk.tenants.get('default')?.accounts.get(session) ?? {};
  const fork = await forkOf(world, session);
  await world.call('runs.start', send(fork, 'two'));
  await world.system.settle();
  const accounts = world.disk.tenants.get('default')?.accounts;
  assert.deepEqual(spent, { tokens: 6_100, nanoUsd: 6_200 });
  assert.deepEqual(accounts?.get(fork)?.spent, { tokens: 12_200, nanoUsd: 12_400 });
  assert.deepEqual(accounts?.get(session)?.spent, spent);
  const view = await world.call('sessions.get', { session: fork });
  assert.equal(view.cost.nanoUsd, 12_400);
});

test('a reservation that is open where a session is forked stays with the session', async () => {
  const config = { limits: { tokens: 40_000, session: { tokens: 40_000 } } };
  const world = await World.create({ script: [{ hold: never }, { text: 'ok' }] });
  const { session } = await world.open('one', { config });
  await world.system.settle();
  const fork = await forkOf(world, session);
  await world.call('runs.start', send(fork, 'two'));
  const { status } = await world.run(fork, 'r2');
  const accounts = world.disk.tenants.get('default')?.accounts;
  assert.equal(status, 'completed');
  assert.ok((accounts?.get(session)?.reserved.tokens ?? 0) > 0);
  assert.equal(accounts?.get(fork)?.reserved.tokens, 0);
});

test('a closed session can be forked, and the fork is open', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one');
  await world.system.settle();
  await world.call('sessions.close', { session });
  const fork = await forkOf(world, session);
  await world.call('runs.start', send(fork, 'two'));
  assert.equal((await world.run(fork, 'r2')).status, 'completed');
  const reader = world.follow(fork);
  await world.system.settle();
  const { head } = await world.call('sessions.get', { session: fork });
  assert.deepEqual(reader.seen.at(-1), { type: 'caught-up', head }, 'the end of the prefix is not the fork’s');
  reader.stop();
  await world.call('sessions.delete', { session });
  assert.equal(await world.code('sessions.fork', { session }), 'not_found');
  const { messages } = await world.call('messages.list', { session: fork, limit: 10 });
  assert.deepEqual(
    messages.map(({ text }) => text),
    ['one', 'ok', 'two', 'ok'],
    'what was deleted there is here',
  );
});

test('a damaged session is refused, and its damage is told', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one');
  await world.system.settle();
  const report = { session, code: 'hash', seq: 6, detail: 'the frame does not match its hash' } as const;
  world.weather.reads = () => {
    throw new StoreDamage(report);
  };
  const { code, message } = await world.refused('sessions.fork', { session });
  assert.deepEqual([code, /damaged at seq/.test(message)], ['unavailable', true]);
});

test('a fork is a handle like any other', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one');
  await world.system.settle();
  const handle = await findSession(world.host, session);
  const fork = await handle.fork({ at: 4, config: { temperature: 0 } });
  assert.notEqual(fork.id, session);
  const end = await (await fork.send('two')).result();
  assert.equal(end.status, 'completed');
});

test('a fork’s log is one chain, and its own append begins with session.forked', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one');
  await world.system.settle();
  const fork = await forkOf(world, session, { at: 4 });
  const frames = await world.log.read(fork, { after: 0, limit: 10 });
  const own = frames.at(-1);
  assert.ok(own);
  assert.deepEqual(
    decodeFrame(own).map(({ kind }) => kind),
    ['session.forked', 'run.cancelling', 'turn.settled', 'run.ended'],
  );
  const { spans } = await world.call('trace.get', { session: fork, limit: 100 });
  assert.deepEqual([spans[0]?.id, spans[1]?.parent, spans[1]?.status], [fork, fork, 'cancelled']);
});

test('a fork that the storage does not take leaves nothing behind, and is made when it is asked for again', async () => {
  const world = await World.create({ script: () => ({ text: 'ok' }) });
  const { session } = await world.open('one');
  await world.system.settle();
  const asked = { session, submission: 'try' };
  world.weather.append = () => ({ ok: false, code: 'full' });
  assert.equal(await world.code('sessions.fork', asked), 'storage_full');
  world.weather.append = null;
  const { sessions } = await world.call('sessions.list', { limit: 10 });
  assert.deepEqual(
    sessions.map(({ id }) => id),
    [session],
  );
  assert.equal((await world.call('sessions.fork', asked)).session.status, 'idle');
});
