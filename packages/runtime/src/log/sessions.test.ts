import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeState } from '@perdure/engine';
import type { MemoryDisk } from '@perdure/stores/memory';
import { World } from '../../test/world.ts';
import { LIMITS } from '../limits.ts';
import type { Snapshot } from '../ports.ts';
import type { Hot } from './hot.ts';
import type { SessionsOptions } from './sessions.ts';
import { Sessions } from './sessions.ts';
import { snapshotChecksum } from './snapshots.ts';

/** A world whose session has a few rounds behind it. */
async function told(rounds: number): Promise<{ world: World; session: string }> {
  const world = await World.create({ script: () => ({ text: 'said' }) });
  const { session } = await world.open();
  for (let round = 1; round < rounds; round += 1) {
    await world.system.settle();
    await world.call('runs.start', { session, input: `again ${round}`, mode: 'queue', priority: 0 });
  }
  await world.system.settle();
  return { world, session };
}

const fresh = (world: World, more: Partial<SessionsOptions> = {}): Sessions =>
  new Sessions({
    store: world.host.parts.store,
    clock: world.system.clock,
    engineHash: 'test',
    logger: world.host.parts.logger,
    ...more,
  });

const load = async (sessions: Sessions, id: string): Promise<Hot> =>
  sessions.exclusive(id, async () => sessions.load(id));
const kept = (disk: MemoryDisk, id: string): Snapshot | null =>
  disk.tenants.get('default')?.sessions.get(id)?.snapshot ?? null;

test('work on one session is done alone and in the order of asking, and on others at the same time', async () => {
  const { world } = await told(1);
  const sessions = fresh(world);
  const order: string[] = [];
  const hold = Promise.withResolvers<void>();
  const within: Promise<unknown>[] = [];
  const first = sessions.exclusive('a', async () => {
    order.push('a1');
    within.push(sessions.exclusive('a', async () => void order.push('asked for within')));
    await hold.promise;
    order.push('a1 done');
    throw new Error('broken');
  });
  const second = sessions.exclusive('a', async () => void order.push('a2'));
  const third = sessions.exclusive('a', async () => void order.push('a3'));
  await sessions.exclusive('b', async () => void order.push('b'));
  hold.resolve();
  await assert.rejects(first, /broken/);
  await Promise.all([...within, second, third]);
  assert.deepEqual(order, ['a1', 'b', 'a1 done', 'asked for within', 'a2', 'a3']);
});

test('work that throws before it waits for anything has failed, and lets the next one in', async () => {
  const { world } = await told(1);
  const sessions = fresh(world);
  const thrown = sessions.exclusive('a', () => {
    throw new Error('broken at once');
  });
  const next = sessions.exclusive('a', async () => 'next');
  await assert.rejects(thrown, /broken at once/);
  assert.equal(await next, 'next');
});

test('a session loaded from its log is the one that was written, and is loaded once', async () => {
  const { world, session } = await told(3);
  const hot = await load(world.host.parts.sessions, session);
  let reads = 0;
  world.weather.reads = () => void (reads += 1);
  const sessions = fresh(world);
  const again = await load(sessions, session);
  assert.equal(encodeState(again.state), encodeState(hot.state));
  assert.deepEqual([again.head, again.title], [hot.head, hot.title]);
  const after = reads;
  assert.equal(await load(sessions, session), again);
  assert.equal(reads, after);
});

test('a snapshot and what follows it give the same session as the whole log', async () => {
  const { world, session } = await told(2);
  const sessions = fresh(world);
  const early = await load(sessions, session);
  await sessions.snapshot(early, 1);
  const seq = early.head.seq;
  await world.call('runs.start', { session, input: 'more', mode: 'queue', priority: 0 });
  await world.system.settle();
  const whole = await load(fresh(world, { engineHash: 'other' }), session);
  const after: number[] = [];
  const { store } = world.host.parts;
  const log = new Proxy(store.log, {
    get: (target, name) =>
      name === 'read'
        ? async (...args: Parameters<typeof target.read>) => (after.push(args[1].after), target.read(...args))
        : Reflect.get(target, name),
  });
  const shortcut = await load(fresh(world, { store: { ...store, log } }), session);
  assert.equal(encodeState(shortcut.state), encodeState(whole.state));
  assert.deepEqual(after, [seq - 1, seq]);
  assert.deepEqual(shortcut.prefix, early.prefix);
});

test('a snapshot that is not of this log, this engine or this form is not believed', async () => {
  const broken: [string, (snapshot: Snapshot) => void][] = [
    ['checksum', (snapshot) => void (snapshot.checksum = 'x')],
    ['state', (snapshot) => void (snapshot.state = snapshot.state.replace('"lastRun":1', '"lastRun":9'))],
    ['truncated', (snapshot) => void (snapshot.state = snapshot.state.slice(0, 100))],
    ['prefix', (snapshot) => void (snapshot.prefix = '{')],
    ['hash', (snapshot) => void (snapshot.hash = 'f'.repeat(64))],
    ['seq', (snapshot) => void (snapshot.seq -= 1)],
    ['ahead', (snapshot) => void (snapshot.seq += 100)],
  ];
  for (const [name, damage] of broken) {
    const { world, session } = await told(1);
    const sessions = fresh(world);
    const right = await load(sessions, session);
    await sessions.snapshot(right, 1);
    const snapshot = kept(world.disk, session) ?? assert.fail();
    damage(snapshot);
    const again = await load(fresh(world), session);
    assert.equal(encodeState(again.state), encodeState(right.state), name);
    assert.equal(kept(world.disk, session), null, `${name} is dropped`);
  }
});

test('a snapshot that is written in another way is not believed by builds with the same engine', async () => {
  const { world, session } = await told(1);
  const sessions = fresh(world, { engineHash: 'same' });
  const right = await load(sessions, session);
  await sessions.snapshot(right, 1);
  const snapshot = kept(world.disk, session) ?? assert.fail();
  assert.notEqual(snapshot.engine, 'same', 'an earlier build believes what names its engine alone');
  // As that build writes it.
  Object.assign(snapshot, { engine: 'same', prefix: JSON.stringify({ version: 1, ...right.prefix }) });
  snapshot.checksum = snapshotChecksum(snapshot);
  const again = await load(fresh(world, { engineHash: 'same' }), session);
  assert.equal(encodeState(again.state), encodeState(right.state));
  assert.equal(again.snapshotAt, 0);
});

test('a snapshot by another engine is not believed, however well it is formed', async () => {
  const { world, session } = await told(1);
  const other = fresh(world, { engineHash: 'other' });
  const hot = await load(other, session);
  hot.state.lastRun = 9;
  await other.snapshot(hot, 1);
  assert.equal((await load(fresh(world, { engineHash: 'other' }), session)).state.lastRun, 9);
  assert.equal((await load(fresh(world), session)).state.lastRun, 1);
});

test('a snapshot is taken after so many entries, and when a session is let go', async () => {
  const { world, session } = await told(1);
  const sessions = fresh(world);
  const hot = await load(sessions, session);
  await sessions.snapshot(hot);
  assert.equal(kept(world.disk, session), null);
  hot.head = { ...hot.head, seq: LIMITS.snapshotEntries };
  await sessions.snapshot(hot);
  assert.equal(kept(world.disk, session)?.seq, LIMITS.snapshotEntries);
  assert.equal(hot.snapshotAt, LIMITS.snapshotEntries);
  const long = await told(14);
  const letting = fresh(long.world);
  const { head } = await load(letting, long.session);
  assert.ok(head.seq >= 64);
  await letting.settleAll();
  assert.equal(letting.size, 0);
  assert.deepEqual(kept(long.world.disk, long.session)?.seq, head.seq);
});

test('a snapshot that cannot be saved costs nothing but time', async () => {
  const { world, session } = await told(1);
  const { store } = world.host.parts;
  const snapshots = { ...store.snapshots, save: async () => assert.fail('disk') };
  const sessions = fresh(world, { store: { ...store, snapshots } });
  const hot = await load(sessions, session);
  await sessions.snapshot(hot, 1);
  assert.ok(world.lines.some(({ message }) => /could not be saved/.test(message)));
});

test('only who is idle for long leaves, and nobody who is busy or locked', async () => {
  const { world, session } = await told(1);
  const sessions = fresh(world);
  await load(sessions, session);
  assert.equal(await sessions.evict(() => false), 0);
  await world.system.advance(LIMITS.hotIdleMs);
  assert.equal(await sessions.evict(() => true), 0);
  const hold = Promise.withResolvers<void>();
  const locked = sessions.exclusive(session, async () => hold.promise);
  assert.equal(await sessions.evict(() => false), 0);
  hold.resolve();
  await locked;
  assert.equal(await sessions.evict(() => false), 1);
  assert.equal(sessions.size, 0);
});

test('the number of hot sessions has a bound between sweeps: the least recently used leaves', async () => {
  const world = await World.create({ script: () => ({ text: 'said' }) });
  const ids: string[] = [];
  for (let i = 0; i < 6; i += 1) ids.push((await world.open()).session);
  const sessions = fresh(world, { hotSessions: 3 });
  const loads: string[] = [];
  for (const id of ids.slice(0, 3)) await load(sessions, id);
  await world.system.advance(LIMITS.hotOrderMs);
  await load(sessions, ids[0] ?? '');
  for (const id of ids.slice(3, 5)) await load(sessions, id);
  await world.system.settle();
  assert.equal(sessions.size, 3);
  world.weather.reads = () => void loads.push('read');
  await load(sessions, ids[0] ?? '');
  assert.deepEqual(loads, []);
  await load(sessions, ids[1] ?? '');
  assert.notEqual(loads.length, 0);
});

test('a session that was dropped is not saved when all are let go: its fold may be ahead of its log', async () => {
  const { world, session } = await told(14);
  const sessions = fresh(world);
  await load(sessions, session);
  const hold = Promise.withResolvers<void>();
  const failing = sessions.exclusive(session, async () => {
    await hold.promise;
    sessions.drop(session);
  });
  const all = sessions.settleAll();
  hold.resolve();
  await Promise.all([failing, all]);
  assert.equal(kept(world.disk, session), null);
});

test('a head that somebody else moved is seen, and the session is read anew', async () => {
  const { world, session } = await told(1);
  const sessions = fresh(world);
  const heads: number[] = [];
  const hot = await load(sessions, session);
  assert.equal(await sessions.isNewest(hot), true);
  await world.call('runs.start', { session, input: 'more', mode: 'queue', priority: 0 });
  await world.system.settle();
  assert.equal((await load(sessions, session)).head.seq, hot.head.seq);
  await world.system.advance(LIMITS.confirmedMs);
  const current = await sessions.exclusive(session, async () => sessions.current(session, LIMITS.confirmedMs));
  assert.ok(current.head.seq > hot.head.seq);
  const watching = fresh(world, { loaded: (_id, head) => void heads.push(head) });
  await load(watching, session);
  assert.deepEqual(heads, [current.head.seq]);
});

test('bodies are kept in small number and size, and a missing one has its code', async () => {
  const { world, session } = await told(1);
  const sessions = fresh(world);
  const hot = await load(sessions, session);
  assert.ok(hot.bodies.size <= LIMITS.hotBodies);
  await assert.rejects(async () => sessions.body(hot, { digest: 'none', bytes: 1, seq: 1 }), { code: 'blob_missing' });
  const digest = await world.host.parts.store.blobs.put(Buffer.alloc(LIMITS.inlineBodyBytes + 1, 'x'));
  assert.equal((await sessions.body(hot, { digest, bytes: 1, seq: 1 })).length, LIMITS.inlineBodyBytes + 1);
  assert.equal(hot.bodies.has(digest), false);
});
