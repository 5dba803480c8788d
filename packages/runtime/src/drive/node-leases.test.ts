import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { createVirtualSystem } from '@perdure/testkit';
import { leasedHolding } from './node-leases.ts';
import type { LeasedOptions } from './node-leases.ts';
import { LIMITS } from '../limits.ts';
import { silentLogger } from '../logger.ts';
import type { LeaseStore } from '../ports.ts';
import { sessionLease } from '../ports.ts';

const LEASE_MS = 10_000;

/** Processes with clocks of their own turn, on one store. */
function world() {
  const system = createVirtualSystem();
  const store = openMemoryStore({ clock: system.clock, disk: createMemoryDisk(), shared: true });
  const { leases } = store.tenant('default');
  const node = (options: Partial<LeasedOptions> = {}) => {
    const asked: string[] = [];
    const state = { isCutOff: false, changes: 0, asked };
    const reached = new Proxy(leases, {
      get: (target, name: keyof LeaseStore) => {
        return async (...given: unknown[]): Promise<unknown> => {
          if (state.isCutOff) throw new Error('unreachable');
          asked.push(name);
          return (target[name] as (...args: unknown[]) => Promise<unknown>)(...given);
        };
      },
    });
    const holding = leasedHolding({
      leases: reached,
      system,
      logger: silentLogger,
      newId: () => Buffer.from(system.random.bytes(4)).toString('hex'),
      work: {},
      leaseMs: LEASE_MS,
      ...options,
    });
    const start = async (): Promise<void> => holding.start(() => void (state.changes += 1));
    return { holding, state, start, count: (name: keyof LeaseStore) => asked.filter((one) => one === name).length };
  };
  const started = async (options: Partial<LeasedOptions> = {}) => {
    const made = node(options);
    await made.start();
    return made;
  };
  return { system, leases, started };
}

test('a session that begins here is held without a word to the store; a gateway offers it', async () => {
  const { started, leases } = world();
  const a = await started();
  const gateway = await started({ work: false });
  const before = a.state.asked.length;
  const fence = await a.holding.fence('s1', 'assistant');
  assert.equal(fence.epoch, 1);
  assert.equal(a.holding.held('s1'), null, 'not before the store has it');
  a.holding.born('s1', fence);
  assert.equal(a.holding.held('s1'), 1);
  assert.equal(a.state.asked.length, before);
  assert.deepEqual(await gateway.holding.fence('s2', 'assistant'), { holder: '', epoch: 1 });
  assert.equal(await gateway.holding.hold('s2'), null);
  assert.deepEqual(
    (await leases.list('')).map(({ name }) => name.split('/')[0]),
    ['gateway', 'node'],
  );
});

test('a node that cannot renew stops dispatching before anybody else can begin', async () => {
  const { started, system } = world();
  const [a, b] = [await started(), await started()];
  assert.equal(await a.holding.hold('s1'), 1);
  a.state.isCutOff = true;
  await system.advance(LEASE_MS * 0.9 - 1);
  assert.equal(a.holding.held('s1'), 1);
  await system.advance(1);
  assert.equal(a.holding.held('s1'), null);
  assert.equal(await b.holding.hold('s1'), null);
  await system.advance(LEASE_MS * 0.1 + LIMITS.nodesMs);
  assert.ok(b.state.changes > 0, 'the other one is told that somebody is gone');
  assert.equal(await b.holding.hold('s1'), 2);
});

test('a node that comes back after its lease has another name, and holds nothing of what it held', async () => {
  const { started, system, leases } = world();
  const a = await started();
  const names = async () => (await leases.list('node/')).map(({ name }) => name);
  const [before] = await names();
  assert.equal(await a.holding.hold('s1'), 1);
  a.state.isCutOff = true;
  await system.advance(2 * LEASE_MS);
  a.state.isCutOff = false;
  await system.advance(LEASE_MS);
  const [after, ...more] = await names();
  assert.ok(after !== undefined && after !== before && more.length === 0);
  assert.equal(a.holding.held('s1'), null);
  assert.ok(a.state.changes > 0, 'what it had is looked for anew');
  assert.equal(await a.holding.hold('s1'), 2, 'under a new epoch');
});

test('a renewal keeps all sessions, and a slow store does not stop the next one from being sent', async () => {
  const { started, system } = world();
  const a = await started();
  assert.equal(await a.holding.hold('s1'), 1);
  await system.advance(10 * LEASE_MS);
  assert.equal(a.holding.held('s1'), 1);
  assert.ok(a.count('renew') <= 31, `${a.count('renew')} renewals in ten leases`);
  a.state.isCutOff = true;
  await system.advance(LEASE_MS * 0.5);
  a.state.isCutOff = false;
  await system.advance(LEASE_MS * 0.5);
  assert.equal(a.holding.held('s1'), 1, 'a short trouble costs nothing');
});

test('whoever does not hold writes under the fence of who does, and asks again where it is refused', async () => {
  const { started } = world();
  const [a, b] = [await started(), await started()];
  assert.equal(await a.holding.hold('s1'), 1);
  const fence = await a.holding.fence('s1', null);
  assert.deepEqual(await b.holding.fence('s1', null), fence);
  assert.deepEqual(await b.holding.fence('s1', null), fence);
  assert.equal(b.count('offer'), 1, 'it is remembered');
  await a.holding.release('s1', false);
  assert.deepEqual(await b.holding.fence('s1', null), fence, 'and may be out of date');
  assert.equal(b.holding.refused('s1'), true);
  assert.deepEqual(await b.holding.fence('s1', null), { holder: '', epoch: 2 });
  assert.equal(await b.holding.hold('s1'), 2, 'what was offered is taken as it is');
});

test('what a node has not used goes on under the same epoch; what it used does not', async () => {
  const { started } = world();
  const [a, b] = [await started(), await started()];
  assert.equal(await a.holding.hold('s1'), 1);
  await a.holding.release('s1', true);
  assert.equal(a.holding.held('s1'), null);
  assert.equal(await b.holding.hold('s1'), 1);
  await b.holding.release('s1', false);
  assert.equal(await a.holding.hold('s1'), 2);
});

test('a session that could not be let go stays held, so that nothing is lost on the way', async () => {
  const { started } = world();
  const a = await started();
  assert.equal(await a.holding.hold('s1'), 1);
  a.state.isCutOff = true;
  await a.holding.release('s1', true);
  assert.equal(a.holding.held('s1'), 1);
});

test('a session is claimed once however many ask, and not at all while another one is known to have it', async () => {
  const { started, system } = world();
  const [a, b] = [await started(), await started()];
  await system.advance(LIMITS.nodesMs);
  const before = a.count('claim');
  const epochs = await Promise.all([a.holding.hold('s1'), a.holding.hold('s1'), a.holding.hold('s1')]);
  assert.deepEqual(epochs, [1, 1, 1]);
  assert.equal(a.count('claim') - before, 1);
  const claims = b.count('claim');
  for (let n = 0; n < 50; n += 1) assert.equal(await b.holding.hold('s1'), null);
  assert.equal(b.count('claim') - claims, 1);
  const changes = b.state.changes;
  await system.advance(4 * LIMITS.nodesMs);
  assert.equal(b.state.changes - changes, 1, 'what was left to another one is looked for once');
});

test('of all nodes one comes first for a session, and only what a node had moves when it goes', async () => {
  const { started, system } = world();
  const nodes = [await started(), await started(), await started(), await started({ work: { agents: ['b'] } })];
  await started({ work: false });
  await system.advance(LIMITS.nodesMs);
  const sessions = Array.from({ length: 60 }, (_, at) => `s${at}`);
  const [a, b, c, other] = nodes;
  assert.ok(a !== undefined && b !== undefined && c !== undefined && other !== undefined);
  const firstOf = (session: string) => [a, b, c].filter(({ holding }) => holding.prefers(session));
  const before = new Map(sessions.map((session) => [session, firstOf(session)]));
  for (const first of before.values()) assert.equal(first.length, 1);
  for (const one of [a, b, c]) assert.ok(sessions.filter((session) => one.holding.prefers(session)).length > 5);
  assert.ok(
    sessions.every((session) => other.holding.prefers(session)),
    'it is alone for its agents',
  );
  assert.deepEqual([other.holding.serves('b'), other.holding.serves('a'), a.holding.serves('a')], [true, false, true]);
  await c.holding.stop();
  await system.advance(LIMITS.nodesMs);
  for (const session of sessions) {
    const [was] = before.get(session) ?? [];
    const now: unknown[] = [a, b].filter(({ holding }) => holding.prefers(session));
    assert.equal(now.length, 1);
    if (was !== c) assert.equal(now[0], was);
  }
});

test('a node that stops gives everything back at once', async () => {
  const { started, system, leases } = world();
  const [a, b] = [await started(), await started()];
  assert.equal(await a.holding.hold('s1'), 1);
  await system.advance(LIMITS.nodesMs);
  await a.holding.stop();
  await a.holding.stop();
  assert.equal(await a.holding.hold('s1'), null);
  const changes = b.state.changes;
  await system.advance(LIMITS.nodesMs);
  assert.ok(b.state.changes > changes);
  assert.equal(await b.holding.hold('s1'), 2);
  assert.deepEqual(await leases.offer(sessionLease('s1')), { ...(await b.holding.fence('s1', null)) });
});

test('a node knows whether another one works', async () => {
  const { started, system } = world();
  const a = await started();
  await started({ work: false });
  await system.advance(LIMITS.nodesMs);
  assert.equal(a.holding.isAlone(), true, 'one that only takes requests does not');
  const b = await started();
  await system.advance(LIMITS.nodesMs);
  assert.equal(a.holding.isAlone(), false);
  await b.holding.stop();
  await system.advance(LIMITS.nodesMs);
  assert.equal(a.holding.isAlone(), true);
});
