/** Two processes work on the same data: what one is told, either may do, and it is done once. */
import assert from 'node:assert/strict';
import type { Law } from './world.ts';

export const manyLaws: Law[] = [
  {
    name: 'what a process without work is told, a worker does',
    async run(world) {
      const front = await world.worker(undefined, false);
      await world.worker();
      const { session, run } = await front.open('put');
      assert.equal((await world.ended(front, session.id, run.id)).status, 'completed');
      const again = await session.send('sign');
      const { id, digest = '' } = await world.waiting(front, session.id, 'approval');
      await session.resolve(id, { decision: 'approve', digest });
      assert.equal((await world.ended(front, session.id, again.id)).status, 'completed');
      assert.deepEqual([world.outside.counts('put'), world.outside.counts('sign')], [[1], [1]]);
    },
  },
  {
    name: 'a session is driven by a process that works on its agent, whoever is told of it',
    async run(world) {
      const gate = world.outside.close('read before');
      const workers = [
        await world.worker(undefined, { agents: ['a'] }),
        await world.worker(undefined, { agents: ['b'] }),
      ] as const;
      const asked = [
        await workers[0].open('read', 'b'),
        await workers[1].open('read', 'a'),
        await workers[0].open('read', 'a'),
        await workers[1].open('read', 'b'),
      ];
      await world.until('all calls fly', () => gate.came === 4);
      const holders = await workers[0].host.parts.store.leases.list('session/');
      const byAgent = asked.map(({ session }) => ({
        agent: session.agent,
        holder: holders.find(({ name }) => name === `session/${session.id}`)?.holder,
      }));
      for (const { agent, holder } of byAgent)
        assert.equal(holder, byAgent.find((other) => other.agent === agent)?.holder, agent);
      assert.equal(new Set(byAgent.map(({ holder }) => holder)).size, 2);
      gate.open();
      for (const { session, run } of asked)
        assert.equal((await world.ended(workers[0], session.id, run.id)).status, 'completed');
    },
  },
  {
    name: 'two workers on one session: each message runs once, each effect happens once',
    async run(world) {
      const workers = [await world.worker(), await world.worker()] as const;
      const { session, run } = await workers[0].open('put');
      const other = await workers[1].session(session.id);
      const more = await Promise.all([session.send('put'), other.send('put'), session.send('put'), other.send('put')]);
      for (const { id } of [run, ...more])
        assert.equal((await world.ended(workers[0], session.id, id)).status, 'completed');
      assert.deepEqual(world.outside.counts('put'), [1, 1, 1, 1, 1]);
      assert.deepEqual(
        [world.outside.requests.length, world.outside.requests.every(({ attempt }) => attempt === 1)],
        [10, true],
      );
    },
  },
  {
    name: 'a cancel that another worker is told stops what flies here',
    async run(world) {
      const model = world.outside.close('model');
      const workers = [await world.worker(), await world.worker()] as const;
      const { session, run } = await workers[0].open('put');
      await world.until('the model is asked', () => model.came === 1);
      await (await (await workers[1].session(session.id)).run(run.id)).cancel();
      assert.equal((await world.ended(workers[1], session.id, run.id)).status, 'cancelled');
      assert.deepEqual(
        world.outside.requests.map(({ aborted }) => aborted),
        [true],
      );
    },
  },
  {
    name: 'an approval that another worker is told is acted on once',
    async run(world) {
      const workers = [await world.worker(), await world.worker()] as const;
      const { session, run } = await workers[0].open('sign');
      const { id, digest = '' } = await world.waiting(workers[1], session.id, 'approval');
      for (const worker of workers.toReversed())
        await (await worker.session(session.id)).resolve(id, { decision: 'approve', digest });
      assert.equal((await world.ended(workers[1], session.id, run.id)).status, 'completed');
      assert.deepEqual(world.outside.counts('sign'), [1]);
    },
  },
  {
    name: 'when a worker dies, the other one goes on with what it drove',
    async run(world) {
      const model = world.outside.close('model');
      const workers = [await world.worker(), await world.worker()] as const;
      const { session, run } = await workers[0].open('put');
      await world.until('the model is asked', () => model.came === 1);
      await workers[0].kill();
      // Whichever drove it: the one that is left finishes it, and asked for it at most once more.
      model.open();
      assert.equal((await world.ended(workers[1], session.id, run.id)).status, 'completed');
      assert.ok(world.outside.requests.length <= 3);
      assert.deepEqual(world.outside.counts('put'), [1]);
    },
  },
  {
    name: 'a worker that drains hands over: the other one goes on, and no unsafe call is done twice',
    async run(world) {
      const gate = world.outside.close('read before');
      const workers = [await world.worker(), await world.worker()] as const;
      const { session, run } = await workers[0].open('read;pay');
      await world.until('the call flies', () => gate.came === 1);
      await workers[0].drain(10_000);
      gate.open();
      assert.equal((await world.ended(workers[1], session.id, run.id)).status, 'completed');
      assert.deepEqual(world.outside.counts('pay'), [1]);
    },
  },
];
