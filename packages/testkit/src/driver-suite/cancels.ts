/** Cancel means stop (P10), in whatever state it meets the run. */
import assert from 'node:assert/strict';
import type { SessionRun } from '@perdure/runtime';
import type { Law, Worker, World } from './world.ts';

export const cancelLaws: Law[] = [
  {
    name: 'a cancelled run that waits its turn never starts',
    async run(world) {
      const worker = await world.worker();
      const model = world.outside.close('model');
      const { session, run } = await worker.open('say 1');
      await world.until('the model is asked', () => model.came === 1);
      const queued = await session.send('put');
      await queued.cancel();
      model.open();
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
      await isCancelled(world, worker, session.id, queued);
      assert.deepEqual([world.outside.requests.length, world.outside.happened.length], [1, 0]);
    },
  },
  {
    name: 'a cancel stops the model call that flies',
    async run(world) {
      const worker = await world.worker();
      const model = world.outside.close('model');
      const { session, run } = await worker.open('put');
      await world.until('the model is asked', () => model.came === 1);
      await run.cancel();
      await isCancelled(world, worker, session.id, run);
      assert.deepEqual(
        world.outside.requests.map(({ aborted }) => aborted),
        [true],
      );
    },
  },
  {
    name: 'a cancel stops the tool that flies, and no turn follows',
    async run(world) {
      const worker = await world.worker();
      const gate = world.outside.close('read before');
      const { session, run } = await worker.open('read;put');
      await world.until('the call flies', () => gate.came === 1);
      await run.cancel();
      await isCancelled(world, worker, session.id, run);
      assert.deepEqual([world.outside.aborted, world.outside.requests.length], [['read'], 1]);
    },
  },
  {
    name: 'a cancel ends an approval, and what it asked for never happens',
    async run(world) {
      const worker = await world.worker();
      const { session, run } = await worker.open('sign');
      const { id, digest = '' } = await world.waiting(worker, session.id, 'approval');
      await run.cancel();
      await isCancelled(world, worker, session.id, run);
      await assert.rejects(session.resolve(id, { decision: 'approve', digest }), { code: 'wait_resolved' });
      assert.deepEqual([world.outside.happened, world.outside.requests.length], [[], 1]);
    },
  },
  {
    name: 'a cancel ends a timer',
    async run(world) {
      const worker = await world.worker();
      const { session, run } = await worker.open('ask');
      await world.waiting(worker, session.id, 'timer');
      await run.cancel();
      await isCancelled(world, worker, session.id, run);
    },
  },
  {
    name: 'a cancel ends a held run',
    async run(world) {
      const worker = await world.worker();
      const gate = world.outside.close('read before');
      const { session, run } = await worker.open('read');
      await world.until('the call flies', () => gate.came === 1);
      await worker.hold(session.id, run.id, 'hold');
      gate.open();
      await world.until('it is held', async () => (await worker.view(session.id, run.id)).status === 'held');
      await run.cancel();
      await isCancelled(world, worker, session.id, run);
      assert.equal(world.outside.requests.length, 1);
    },
  },
  {
    name: 'a cancel ends the pause before a retry at once',
    async run(world) {
      const worker = await world.worker();
      world.outside.failNext('rate_limited', { afterMs: 600_000 });
      const { session, run } = await worker.open('say it');
      await world.until('it is to be retried', async () => (await worker.kinds(session.id)).includes('turn.attempted'));
      await run.cancel();
      await isCancelled(world, worker, session.id, run);
      assert.equal(world.outside.requests.length, 1);
    },
  },
];

async function isCancelled(world: World, worker: Worker, session: string, { id }: SessionRun): Promise<void> {
  assert.equal((await world.ended(worker, session, id)).status, 'cancelled');
}
