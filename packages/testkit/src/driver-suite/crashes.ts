/** A process dies at any moment, and another one goes on (P1, P4, P5, P6, P7). */
import assert from 'node:assert/strict';
import type { Append } from '@perdure/runtime/ports';
import type { Place } from './outside.ts';
import type { Law, World } from './world.ts';

const decoder = new TextDecoder();
const names = (kind: string) => (at: 'before' | 'after', request: Append) =>
  at === 'after' && decoder.decode(request.frame.bytes).includes(`"${kind}"`);
const isSettling = (at: 'before' | 'after', request: Append): boolean =>
  at === 'before' && decoder.decode(request.frame.bytes).includes('"call.settled"');

/** Dies while something is held at a place; what is held never happens. Gives the session and run, and who goes on. */
async function killedAt(world: World, message: string, place: Place) {
  const gate = world.outside.close(place);
  const first = await world.worker();
  const { session, run } = await first.open(message);
  await world.until(`somebody is held (${place})`, () => gate.came === 1);
  await first.kill();
  gate.open();
  return { session: session.id, run: run.id, worker: await world.worker() };
}

export const crashLaws: Law[] = [
  {
    name: 'what was accepted right before a crash runs',
    async run(world) {
      const first = await world.worker(names('turn.requested'));
      void first.open('put').catch(() => undefined);
      await world.dead(first);
      const worker = await world.worker();
      const [row] = (await worker.host.parts.store.log.list({ limit: 1 })).items;
      const end = await world.ended(worker, row?.id ?? '', 'r1');
      assert.equal(end.status, 'completed');
      assert.deepEqual([world.outside.requests.length, world.outside.counts('put')], [2, [1]]);
    },
  },
  {
    name: 'a crash while the model answers: it is asked again, as another attempt',
    async run(world) {
      const { session, run, worker } = await killedAt(world, 'put', 'model');
      assert.equal((await world.ended(worker, session, run)).status, 'completed');
      const [lost, again] = world.outside.requests;
      assert.deepEqual([lost?.attempt, again?.attempt, lost?.key === again?.key], [1, 2, true]);
      assert.deepEqual(world.outside.counts('put'), [1]);
    },
  },
  {
    name: 'a crash while a pure tool runs: it runs again',
    async run(world) {
      const { session, run, worker } = await killedAt(world, 'read', 'read after');
      assert.equal((await world.ended(worker, session, run)).status, 'completed');
      assert.deepEqual(world.outside.counts('read'), [2]);
    },
  },
  {
    name: 'a crash while a keyed tool runs: it runs again with the same key',
    async run(world) {
      const { session, run, worker } = await killedAt(world, 'put', 'put after');
      assert.equal((await world.ended(worker, session, run)).status, 'completed');
      assert.deepEqual(world.outside.counts('put'), [2]);
      assert.deepEqual(
        world.outside.happened.map(({ attempt }) => attempt),
        [1, 2],
      );
    },
  },
  {
    name: 'a crash while an unsafe tool runs: a person is asked, and it is not run again',
    async run(world) {
      const { session, run, worker } = await killedAt(world, 'pay', 'pay before');
      const { id, call } = await world.waiting(worker, session, 'outcome');
      assert.equal(call?.name, 'pay');
      await (await worker.session(session)).resolve(id, { outcome: 'done', content: 'it was paid' });
      assert.equal((await world.ended(worker, session, run)).status, 'completed');
      assert.deepEqual(world.outside.counts('pay'), []);
    },
  },
  {
    name: 'an unsafe tool that a person lets run again runs once more',
    async run(world) {
      const { session, run, worker } = await killedAt(world, 'pay', 'pay before');
      const { id } = await world.waiting(worker, session, 'outcome');
      await (await worker.session(session)).resolve(id, { outcome: 'retry' });
      assert.equal((await world.ended(worker, session, run)).status, 'completed');
      assert.deepEqual(world.outside.counts('pay'), [1]);
    },
  },
  {
    name: 'a crash after a keyed effect and before its entry: the same key, twice at most',
    async run(world) {
      const first = await world.worker(isSettling);
      const { session, run } = await first.open('put');
      await world.dead(first);
      const worker = await world.worker();
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
      assert.deepEqual(world.outside.counts('put'), [2]);
    },
  },
  {
    name: 'a crash after an unsafe effect and before its entry: it is unknown, and never done twice',
    async run(world) {
      const first = await world.worker(isSettling);
      const { session, run } = await first.open('pay');
      await world.dead(first);
      const worker = await world.worker();
      const { id } = await world.waiting(worker, session.id, 'outcome');
      await (await worker.session(session.id)).resolve(id, { outcome: 'done' });
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
      assert.deepEqual(world.outside.counts('pay'), [1]);
    },
  },
  {
    name: 'an approval outlives every process, and is used once',
    async run(world) {
      const first = await world.worker();
      const { session, run } = await first.open('sign');
      const { id, digest = '' } = await world.waiting(first, session.id, 'approval');
      await first.kill();
      const worker = await world.worker();
      const again = await worker.session(session.id);
      await again.resolve(id, { decision: 'approve', digest });
      await again.resolve(id, { decision: 'approve', digest });
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
      assert.deepEqual(world.outside.counts('sign'), [1]);
    },
  },
  {
    name: 'a timer that came due while nobody lived fires when somebody does',
    async run(world) {
      const first = await world.worker();
      const { session, run } = await first.open('nap');
      await world.waiting(first, session.id, 'timer');
      await first.kill();
      const worker = await world.worker();
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
    },
  },
  {
    name: 'a drain ends at once what may run again, and another process goes on with it',
    async run(world) {
      const model = world.outside.close('model');
      const first = await world.worker();
      const { session, run } = await first.open('say it');
      await world.until('the model is asked', () => model.came === 1);
      await first.drain(10_000);
      assert.equal(world.outside.requests[0]?.aborted, true);
      model.open();
      const worker = await world.worker();
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
    },
  },
  {
    name: 'a drain waits for the unsafe call that flies, and settles it as it ended',
    async run(world) {
      const gate = world.outside.close('pay after');
      const first = await world.worker();
      const { session, run } = await first.open('pay');
      await world.until('it is under way', () => gate.came === 1);
      const drained = first.drain(10_000);
      await assert.rejects(session.send('say more'), { code: 'unavailable' });
      gate.open();
      await drained;
      const worker = await world.worker();
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
      assert.deepEqual(world.outside.counts('pay'), [1]);
      assert.ok(!(await worker.kinds(session.id)).includes('call.unknown'));
    },
  },
];
