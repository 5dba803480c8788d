/** Laws of one process that lives: messages, calls, and everything a person may say meanwhile. */
import assert from 'node:assert/strict';
import type { Law } from './world.ts';

export const runLaws: Law[] = [
  {
    name: 'a round: a message, a tool call, the answer',
    async run(world) {
      const worker = await world.worker();
      const { session, run } = await worker.open('put');
      const { status, text } = await world.ended(worker, session.id, run.id);
      assert.deepEqual([status, text], ['completed', 'done put']);
      assert.deepEqual([world.outside.requests.length, world.outside.counts('put')], [2, [1]]);
    },
  },
  {
    name: 'the pure calls of a turn fly together, the others one after another',
    async run(world) {
      const worker = await world.worker();
      const reads = world.outside.close('read before');
      const puts = world.outside.close('put before');
      const { session, run } = await worker.open('read,put,read,put');
      await world.until('both reads and one put fly', () => reads.came === 2 && puts.came === 1);
      reads.open();
      await world.until('both reads are settled', async () => (await settled(worker.kinds(session.id))) === 2);
      assert.equal(puts.came, 1);
      puts.open();
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
      assert.deepEqual(world.outside.counts('put'), [1, 1]);
    },
  },
  {
    name: 'a steered message is read at the next turn of the run',
    async run(world) {
      const worker = await world.worker();
      const reads = world.outside.close('read before');
      const { session, run } = await worker.open('read');
      await world.until('the call flies', () => reads.came === 1);
      const steered = await session.send('+ be quick', { mode: 'steer' });
      assert.equal(steered.id, run.id);
      reads.open();
      await world.ended(worker, session.id, run.id);
      assert.deepEqual(
        world.outside.requests.map(({ said }) => said),
        ['read', 'read | + be quick'],
      );
    },
  },
  {
    name: 'an interrupt ends the run cancelled, stops what flies, and a new run answers',
    async run(world) {
      const worker = await world.worker();
      const model = world.outside.close('model');
      const { session, run } = await worker.open('say long');
      await world.until('the model is asked', () => model.came === 1);
      const next = await session.send('say short', { mode: 'interrupt' });
      await world.until('the first request is stopped', () => world.outside.requests[0]?.aborted === true);
      model.open();
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'cancelled');
      const end = await world.ended(worker, session.id, next.id);
      assert.deepEqual([end.status, end.text], ['completed', 'done say short']);
    },
  },
  {
    name: 'queued messages run one after another, in their order',
    async run(world) {
      const worker = await world.worker();
      const model = world.outside.close('model');
      const { session, run } = await worker.open('say 1');
      await world.until('the model is asked', () => model.came === 1);
      const more = [await session.send('say 2'), await session.send('say 3')];
      model.open();
      for (const { id } of [run, ...more])
        assert.equal((await world.ended(worker, session.id, id)).status, 'completed');
      const asked = world.outside.requests.map(({ said }) => said.split(' | ').at(-1));
      assert.deepEqual(asked, ['say 1', 'say 2', 'say 3']);
    },
  },
  {
    name: 'a held run starts nothing new, and goes on when it is released',
    async run(world) {
      const worker = await world.worker();
      const reads = world.outside.close('read before');
      const { session, run } = await worker.open('read');
      await world.until('the call flies', () => reads.came === 1);
      await worker.hold(session.id, run.id, 'hold');
      reads.open();
      await world.until('the call is settled', async () => (await settled(worker.kinds(session.id))) === 1);
      assert.deepEqual([(await worker.view(session.id, run.id)).status, world.outside.requests.length], ['held', 1]);
      await worker.hold(session.id, run.id, 'release');
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
    },
  },
  {
    name: 'a refused model call is asked for again, and not before its Retry-After',
    async run(world) {
      const worker = await world.worker();
      world.outside.failNext('rate_limited', { afterMs: RETRY_AFTER_MS });
      const { session, run } = await worker.open('say it');
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
      const [first, second] = world.outside.requests;
      assert.deepEqual([first?.attempt, second?.attempt, world.outside.requests.length], [1, 2, 2]);
      const between = (second?.at ?? 0) - (first?.at ?? 0);
      assert.ok(between >= RETRY_AFTER_MS - CLOCK_MS, `${between} ms are between them`);
    },
  },
  {
    name: 'a timer fires in its time',
    async run(world) {
      const worker = await world.worker();
      const { session, run } = await worker.open('nap');
      assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
    },
  },
  {
    name: 'a session that fails by itself again and again is parked; its neighbours live',
    async run(world) {
      const worker = await world.worker();
      const good = await worker.open('say well');
      await world.ended(worker, good.session.id, good.run.id);
      world.poison = 'arsenic';
      const bad = await worker.open('say arsenic');
      await world.until('it is parked', async () => (await bad.session.view()).status === 'quarantined');
      await assert.rejects(bad.session.send('say more'), { code: 'invalid_state' });
      const again = await good.session.send('say on');
      assert.equal((await world.ended(worker, good.session.id, again.id)).status, 'completed');
    },
  },
];

const RETRY_AFTER_MS = 200;
/** Wall and monotonic time differ by rounding. */
const CLOCK_MS = 5;

const settled = async (kinds: Promise<string[]>): Promise<number> =>
  (await kinds).filter((kind) => kind === 'call.settled').length;
