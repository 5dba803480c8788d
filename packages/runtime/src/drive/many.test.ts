import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from '@perdure/engine';
import { createMemoryDisk } from '@perdure/stores/memory';
import type { ScriptedModel } from '@perdure/testkit';
import { createScriptedModel, createVirtualSystem } from '@perdure/testkit';
import { Freezer } from '../../test/freezer.ts';
import type { WorldOptions } from '../../test/world.ts';
import { World } from '../../test/world.ts';
import { tool, wait } from '../definitions/tool.ts';
import { LIMITS } from '../limits.ts';
import type { Marks } from '../log/marks.ts';
import { noMarks } from '../log/marks.ts';
import { decodeFrame } from '../log/frame.ts';
import { effectKey } from '../log/digest.ts';
import { untilRest } from '../streams/rest.ts';
import type { LeaseStore } from '../ports.ts';

const LEASE_MS = 10_000;
const SOON_MS = 1_000;

/** Processes over one shared store, with one model and one world outside. */
function cluster(options: WorldOptions = {}) {
  const system = createVirtualSystem();
  const disk = createMemoryDisk();
  const model: ScriptedModel = options.model ?? createScriptedModel(options.script ?? []);
  const start = async (more: WorldOptions = {}): Promise<World> =>
    World.create({ ...options, model, disk, system, shared: true, ...more });
  const gateway = async (): Promise<World> => start({ host: { work: false } });
  return { system, disk, model, start, gateway };
}

/** What the appends of a process say of who may dispatch: all of their entries that name an epoch. */
const epochsNamed = (world: World, from = 0): number[] =>
  world.appends.slice(from).flatMap(({ frame }) =>
    decodeFrame(frame).flatMap(({ data }) => {
      const { epoch } = data as { epoch?: number };
      return epoch === undefined ? [] : [epoch];
    }),
  );

async function entriesOf(world: World, session: string): Promise<Entry[]> {
  return (await world.log.read(session, { after: 0, limit: 1_000 })).flatMap((frame) => decodeFrame(frame));
}
const kindsOf = async (world: World, session: string): Promise<string[]> =>
  (await entriesOf(world, session)).map(({ kind }) => kind);
const statusOf = async (world: World, session: string, run: string): Promise<string | undefined> =>
  (await world.log.run(session, run))?.status;
const leaseOf = async (world: World, session: string) => world.host.parts.store.leases.offer(`session/${session}`);

test('what a gateway accepts a worker does, and readers at the gateway see each entry as it comes', async () => {
  const { gateway, start, system, model } = cluster({ script: [{ text: 'done' }] });
  const front = await gateway();
  const { session, run } = await front.open('hello');
  await system.settle();
  assert.equal(model.calls.length, 0, 'a gateway dispatches nothing');
  const reader = front.follow(session);
  await system.settle();
  const worker = await start();
  await system.advance(SOON_MS);
  assert.equal(await statusOf(front, session, run), 'completed');
  const seqs = reader.seen.flatMap((event) => (event.type === 'entry' ? [event.entry.seq] : []));
  assert.deepEqual(
    seqs,
    (await entriesOf(front, session)).map(({ seq }) => seq),
  );
  assert.equal((await leaseOf(front, session)).epoch, 1, 'the worker took what was offered');
  assert.ok(!(await kindsOf(worker, session)).includes('turn.attempted'), 'so nothing was lost on the way');
  reader.stop();
});

test('who asks at a gateway for a run that has ended elsewhere meanwhile waits for nothing', async () => {
  const { gateway, start, system } = cluster({ script: [{ text: 'done' }] });
  const front = await gateway();
  const { session, run } = await front.open('hello');
  await start();
  await system.advance(SOON_MS);
  assert.equal(await statusOf(front, session, run), 'completed');
  let status: string | null = null;
  void untilRest(front.host.parts, session, run, 60_000).then((view) => (status = view.status));
  await system.settle();
  assert.equal(status, 'completed');
});

test('a message to a gateway is under way in the worker that comes first for it, at once', async () => {
  const hold = Promise.withResolvers<void>();
  const { gateway, start, system, model } = cluster({ script: () => ({ text: 'ok', hold: hold.promise }) });
  const workers = [await start(), await start()];
  const front = await gateway();
  await system.advance(LIMITS.nodesMs);
  const sessions: string[] = [];
  for (let n = 0; n < 20; n += 1) sessions.push((await front.open(`hello ${n}`)).session);
  await system.settle();
  assert.equal(model.calls.length, 20, 'no sweep was waited for');
  for (const session of sessions) {
    const [first, ...more] = workers.filter(({ host }) => host.parts.holding.prefers(session));
    assert.equal(more.length, 0);
    assert.equal(first?.host.parts.holding.held(session), 1);
  }
  hold.resolve();
});

test('when a worker dies its sessions go on within the lease and a second, each claimed once', async () => {
  const claims: string[] = [];
  const { start, system, model } = cluster({
    script: ({ n }) => (n < 30 ? { text: '', hold: never } : { text: 'ok' }),
  });
  const freezer = new Freezer();
  const dying = await start({ freezer });
  const sessions = await Promise.all(
    Array.from({ length: 30 }, async (_, n) => (await dying.open(`hello ${n}`)).session),
  );
  await system.settle();
  assert.equal(model.calls.length, 30);
  const others = [await start(), await start(), await start()];
  for (const { host } of others) counted(host.parts.store.leases, claims);
  freezer.freeze();
  await system.advance(LEASE_MS - 1);
  assert.equal(model.calls.length, 30, 'not before its lease is over');
  await system.advance(SOON_MS + 1);
  for (const session of sessions) assert.equal(await statusOf(others[0] ?? dying, session, 'r1'), 'completed');
  assert.equal(model.calls.length, 60, 'each was asked once more');
  const ofSessions = claims.filter((name) => name.startsWith('session/'));
  assert.equal(ofSessions.length, 30, 'nobody else asked');
});

test('a session goes on within the lease and a second though whoever comes first for it has died as well', async () => {
  const { start, system, model } = cluster({
    script: ({ n }) => (n === 0 ? { text: '', hold: never } : { text: 'ok' }),
  });
  const freezers = [new Freezer(), new Freezer()] as const;
  const dying = await start({ freezer: freezers[0] });
  const left = await start();
  const { session, run } = await dying.open('hello');
  await system.settle();
  await system.advance(LEASE_MS / 2);
  freezers[0].freeze();
  await system.advance(LEASE_MS / 2);
  // Others come, and die before the first one's lease is over: one of them comes first for the session.
  let first = left;
  while (first === left) {
    const next = await start({ freezer: freezers[1] });
    if (next.host.parts.holding.prefers(session)) first = next;
    await system.advance(10);
  }
  // Everybody has heard of it.
  await system.advance(LIMITS.nodesMs);
  freezers[1].freeze();
  assert.equal(left.host.parts.holding.prefers(session), false);
  await system.advance(LEASE_MS / 2 + SOON_MS);
  assert.equal(await statusOf(left, session, run), 'completed');
  assert.equal(model.calls.length, 2);
});

test('what comes to a worker while it is not sure of its lease is under way when it is', async () => {
  const answer = Promise.withResolvers<void>();
  const { start, gateway, system } = cluster({
    script: [{ calls: [{ name: 'look', arguments: {} }], hold: answer.promise }, { text: 'seen' }],
    tools: [tool({ name: 'look', description: 'Looks.', input: { type: 'object' }, effect: 'pure', run: () => 'x' })],
  });
  const [worker, front] = [await start(), await gateway()];
  const { session, run } = await worker.open('go');
  await system.settle();
  // The store takes each renewal at once, and says so late.
  const { leases } = worker.host.parts.store;
  const renew = leases.renew.bind(leases);
  const late = Promise.withResolvers<void>();
  leases.renew = async (...given) => {
    const isKept = await renew(...given);
    await late.promise;
    return isKept;
  };
  await system.advance(LEASE_MS - 1);
  assert.equal(worker.host.parts.holding.held(session), null, 'it is not sure');
  answer.resolve();
  await system.settle();
  assert.equal(await statusOf(front, session, run), 'running');
  late.resolve();
  await system.advance(SOON_MS);
  assert.equal(await statusOf(front, session, run), 'completed');
});

test('a worker that was stopped past its lease names no attempt under its epoch, and what it paid for is recorded', async () => {
  const hold = Promise.withResolvers<void>();
  const { start, system, model } = cluster({
    script: [{ calls: [{ name: 'look', arguments: {} }], hold: hold.promise }, { text: 'seen' }],
  });
  const freezer = new Freezer();
  const look = tool({ name: 'look', description: 'Looks.', input: { type: 'object' }, effect: 'pure', run: () => 'x' });
  const worker = await start({ freezer, tools: [look] });
  const { session, run } = await worker.open('go');
  await system.settle();
  assert.equal(model.calls.length, 1);
  const before = worker.appends.length;
  freezer.freeze();
  await system.advance(2 * LEASE_MS);
  hold.resolve();
  await system.settle();
  freezer.thaw();
  await system.advance(2 * SOON_MS);
  assert.equal(await statusOf(worker, session, run), 'completed');
  assert.equal(model.calls.length, 2, 'the answer was not paid for again');
  assert.ok(epochsNamed(worker, before).length > 0);
  assert.ok(epochsNamed(worker, before).every((epoch) => epoch > 1));
});

test('of two workers the one that was stopped comes too late: the outcome of the other one counts, and its own is evidence', async () => {
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const { start, system, model } = cluster({
    script: [
      { text: 'too late', hold: first.promise },
      { text: 'in time', hold: second.promise },
    ],
  });
  const freezer = new Freezer();
  const stopped = await start({ freezer });
  const { session, run } = await stopped.open('go');
  await system.settle();
  const other = await start();
  freezer.freeze();
  await system.advance(LEASE_MS + SOON_MS);
  assert.equal(model.calls.length, 2);
  const before = stopped.appends.length;
  first.resolve();
  freezer.thaw();
  await system.advance(SOON_MS);
  assert.equal(await statusOf(other, session, run), 'running');
  second.resolve();
  await system.advance(SOON_MS);
  assert.equal(await statusOf(other, session, run), 'completed');
  const settled = (await entriesOf(other, session)).filter(({ kind }) => kind === 'turn.settled');
  assert.equal(settled.length, 1);
  assert.deepEqual(epochsNamed(stopped, before), [], 'the stopped one names nothing');
  assert.ok((await kindsOf(other, session)).includes('effect.late'));
});

test('a worker that is stopped right before a dispatch does not dispatch when it goes on; what left before is counted', async () => {
  const { start, system, model } = cluster({ script: () => ({ calls: [{ name: 'pay', arguments: {} }] }) });
  const freezer = new Freezer();
  const done: string[] = [];
  const pay = (who: string) =>
    tool({
      name: 'pay',
      description: 'Pays.',
      input: { type: 'object' },
      effect: 'unsafe',
      run: async (_input, { call }) => {
        done.push(`${who} ${call}`);
        return never;
      },
    });
  const stopped = await start({ freezer, tools: [pay('stopped')] });
  // It stands still once the entry that lets the call go is durable, and before it hears so.
  stopped.weather.appended = (request, result) => {
    const names = decodeFrame(request.frame).map(({ kind }) => kind);
    if (names.includes('call.attempted')) freezer.freeze();
    return result;
  };
  const { session } = await stopped.open('go');
  await system.settle();
  const other = await start({ tools: [pay('other')] });
  await system.advance(LEASE_MS + SOON_MS);
  assert.ok((await kindsOf(other, session)).includes('call.unknown'), 'nobody can tell whether it left');
  stopped.weather.appended = null;
  freezer.thaw();
  await system.advance(SOON_MS);
  assert.deepEqual(done, [], 'it did not, and does not');
  assert.equal(model.calls.length, 1);
});

test('a drain hands over at once: what never left goes on under the same epoch and costs nothing', async () => {
  const hold = Promise.withResolvers<void>();
  const { start, system, model } = cluster({
    script: ({ n }) => ({ text: 'ok', ...(n < 1 ? { hold: hold.promise } : {}) }),
  });
  const draining = await start({ host: { effects: 1 } });
  const flying = await draining.open('first');
  const waiting = await draining.open('second');
  await system.settle();
  assert.equal(model.calls.length, 1, 'one is under way, the other one waits for it');
  const other = await start();
  await system.settle();
  const stopped = draining.host.stop();
  await system.advance(SOON_MS);
  await stopped;
  for (const { session, run } of [flying, waiting]) assert.equal(await statusOf(other, session, run), 'completed');
  const kinds = await kindsOf(other, waiting.session);
  assert.ok(!kinds.includes('turn.attempted'), 'it is the first attempt that was named');
  assert.ok((await kindsOf(other, flying.session)).includes('turn.attempted'), 'what had left is charged');
});

test('a cancel at one process stops what flies in another, and a session that rests is let go', async () => {
  const { start, gateway, system, model } = cluster({
    script: ({ n }) => (n === 0 ? { text: '', hold: never } : { text: 'ok' }),
  });
  const [worker, front] = [await start(), await gateway()];
  const { session, run } = await worker.open('go');
  await system.settle();
  await front.call('runs.cancel', { session, run });
  await system.settle();
  assert.equal(model.calls[0]?.signal.aborted, true);
  assert.equal(await statusOf(front, session, run), 'cancelled');
  assert.equal(worker.host.parts.holding.held(session), 1);
  await system.advance(LIMITS.idleHoldMs + SOON_MS);
  assert.equal(worker.host.parts.holding.held(session), null);
  assert.deepEqual(await leaseOf(front, session), { holder: '', epoch: 1 });
  const { run: again } = await front.call('runs.start', { session, input: 'go on', mode: 'queue', priority: 0 });
  await system.settle();
  assert.equal(await statusOf(front, session, again.id), 'completed');
  assert.equal(worker.host.parts.holding.held(session), 1, 'and taken again where it is preferred');
});

test('a timer of a session that nobody holds fires though the process that set it is gone', async () => {
  const nap = tool({
    name: 'nap',
    description: 'Waits.',
    input: { type: 'object' },
    effect: 'pure',
    run: () => wait({ kind: 'timer', afterMs: 5 * LIMITS.sweepMs }),
  });
  const { start, system } = cluster({
    script: [{ calls: [{ name: 'nap', arguments: {} }] }, { text: 'rested' }],
    tools: [nap],
  });
  const freezer = new Freezer();
  const setting = await start({ freezer });
  const others = [await start(), await start()];
  const { session, run } = await setting.open('go');
  await system.advance(LIMITS.idleHoldMs + SOON_MS);
  assert.equal(setting.host.parts.holding.held(session), null, 'a session that waits is held by nobody');
  freezer.freeze();
  await system.advance(5 * LIMITS.sweepMs);
  assert.equal(await statusOf(others[0] ?? setting, session, run), 'completed');
});

test('what a worker remembers of who has a session does not keep it from taking one that was let go', async () => {
  const { start, gateway, system, model } = cluster({ script: () => ({ text: 'ok' }) });
  const [first, second, front] = [await start(), await start(), await gateway()];
  await system.advance(LIMITS.nodesMs);
  const send = async (session: string): Promise<void> => {
    await front.call('runs.start', { session, input: 'go on', mode: 'queue', priority: 0 });
    await system.settle();
  };
  // Begun where it does not come first: there it stays while it works, and the one that would come first is told so.
  const opened: string[] = [];
  for (let n = 0; n < 12; n += 1) opened.push((await first.open(`hello ${n}`)).session);
  await system.settle();
  const misplaced = opened.filter((session) => second.host.parts.holding.prefers(session));
  assert.ok(misplaced.length > 0);
  for (const session of misplaced) await send(session);
  for (const session of misplaced) assert.equal(first.host.parts.holding.held(session), 1);
  await system.advance(LIMITS.idleHoldMs + SOON_MS);
  const before = model.calls.length;
  for (const session of misplaced) await send(session);
  await system.advance(2 * LIMITS.nodesMs);
  assert.equal(model.calls.length - before, misplaced.length, 'long before a sweep');
  for (const session of misplaced) assert.equal(second.host.parts.holding.held(session), 1);
});

test('a session that one worker parked is not picked up by the others', async () => {
  const { start, gateway, system, model } = cluster({ script: () => ({ text: '', hold: never }) });
  const freezer = new Freezer();
  const [parking, other, front] = [await start({ freezer }), await start(), await gateway()];
  const { session, run } = await parking.open('go');
  await system.settle();
  await parking.host.parts.quarantine.add(session, 'it fails again and again', 0);
  freezer.freeze();
  await system.advance(LEASE_MS + SOON_MS);
  assert.equal(model.calls.length, 1);
  assert.equal(other.host.parts.quarantine.has(session), true, 'it learns so before it looks at it');
  assert.equal(other.host.parts.holding.held(session), null);
  await system.advance(LIMITS.sweepMs);
  assert.equal(front.host.parts.quarantine.has(session), true);
  const send = { session, input: 'x', mode: 'queue', priority: 0 } as const;
  assert.equal(await front.code('runs.start', send), await other.code('runs.start', send));
  assert.equal(await statusOf(front, session, run), 'running');
  await front.call('sessions.readmit', { session });
  await system.advance(2 * LIMITS.sweepMs);
  assert.equal(model.calls.length, 2, 'and tried again by whoever works where another one says so');
});

test('a session that may have killed the process is tried alone by the next one, once the lease of the dead is over', async () => {
  const { start, system, model } = cluster({
    script: ({ n }) => (n === 0 ? { text: '', hold: never } : { text: 'ok' }),
  });
  const freezer = new Freezer();
  const dying = await start({ freezer });
  const { session, run } = await dying.open('go');
  await system.settle();
  freezer.freeze();
  const said: string[] = [];
  const marks: Marks = {
    ...noMarks,
    left: () => ({ session, trials: 2 }),
    accuse: ({ trials }) => void said.push(`trial ${trials} after ${model.calls.length} calls`),
    acquit: () => void said.push(`acquitted after ${model.calls.length} calls`),
  };
  const next = await start({ host: { marks } });
  await system.advance(LEASE_MS - SOON_MS);
  assert.ok(said.length > 0 && said.every((line) => line.startsWith('trial 2')), 'what is counted is kept meanwhile');
  await system.advance(3 * SOON_MS);
  assert.deepEqual(said.slice(-2), ['trial 3 after 1 calls', 'acquitted after 1 calls']);
  assert.equal(await statusOf(next, session, run), 'completed');
});

test('where one process owns the data, sharing work is refused', async () => {
  await assert.rejects(World.create({ host: { work: false } }), { code: 'invalid_config' });
});

test('a key of an effect is the same in every process', async () => {
  const { start, system, model } = cluster({
    script: ({ n }) => (n === 0 ? { text: '', hold: never } : { text: 'ok' }),
  });
  const freezer = new Freezer();
  const dying = await start({ freezer });
  const { session } = await dying.open('go');
  await system.settle();
  await start();
  freezer.freeze();
  await system.advance(LEASE_MS + SOON_MS);
  assert.deepEqual(
    model.calls.map(({ request }) => request.key),
    [effectKey('default', session, 'r1t1'), effectKey('default', session, 'r1t1')],
  );
});

const never = new Promise<never>(() => {});

function counted(leases: LeaseStore, claims: string[]): void {
  const claim = leases.claim.bind(leases);
  leases.claim = async (name, ...rest) => {
    claims.push(name);
    return claim(name, ...rest);
  };
}
