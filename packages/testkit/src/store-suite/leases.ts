import assert from 'node:assert/strict';
import type { CommittedChange, Fence, Head, LogStore } from '@perdure/runtime/ports';
import { append, appendAfter, EMPTY_HEAD, type Law } from './world.ts';

/** Laws of leases, of the fence, and of what processes that share a store know of each other. */
export const leaseLaws: readonly Law[] = [
  {
    name: 'a lease has one holder at a time and its epoch only grows',
    async run(world) {
      const first = await world.home.leases.claim('job', 'a', 1_000);
      assert.deepEqual(first, { ok: true, epoch: 1 });
      assert.deepEqual(await world.home.leases.claim('job', 'b', 1_000), { ok: false, holder: 'a' });
      assert.equal((await world.home.leases.claim('other', 'b', 1_000)).ok, true);
      world.advance(1_000);
      assert.deepEqual(await world.home.leases.claim('job', 'b', 1_000), { ok: true, epoch: 2 });
      assert.deepEqual(await world.home.leases.claim('job', 'b', 1_000), { ok: true, epoch: 3 });
      await world.home.leases.release('job', 'b', 3);
      await world.reopen();
      assert.deepEqual(await world.home.leases.claim('job', 'a', 1_000), { ok: true, epoch: 4 });
    },
  },
  {
    name: 'only the holder with its epoch renews and releases, and only in time',
    async run({ home: { leases }, advance }) {
      await leases.claim('job', 'a', 1_000);
      assert.equal(await leases.renew('job', 'b', 1, 1_000), false);
      assert.equal(await leases.renew('job', 'a', 2, 1_000), false);
      assert.equal(await leases.renew('nothing', 'a', 1, 1_000), false);
      advance(900);
      assert.equal(await leases.renew('job', 'a', 1, 1_000), true);
      advance(900);
      await leases.release('job', 'a', 2);
      await leases.release('job', 'b', 1);
      assert.equal((await leases.claim('job', 'b', 1_000)).ok, false);
      advance(100);
      assert.equal(await leases.renew('job', 'a', 1, 1_000), false, 'a lease that ran out is not renewed');
      await leases.release('job', 'a', 1);
      assert.deepEqual(await leases.claim('job', 'b', 1_000), { ok: true, epoch: 2 });
    },
  },
  {
    name: 'of many claims at once exactly one wins',
    async run({ home: { leases } }) {
      const claims = await Promise.all(Array.from({ length: 8 }, (_, at) => leases.claim('job', `h${at}`, 1_000)));
      assert.equal(claims.filter((claim) => claim.ok).length, 1);
    },
  },
  {
    name: 'where a session has a lease only its holder with its epoch, in time, passes the fence',
    async run({ log, home, advance }) {
      const claim = await home.leases.claim('session/s1', 'node-a', 1_000);
      assert.ok(claim.ok);
      const { epoch } = claim;
      const tried = async (holder: string, fenceEpoch: number): Promise<string> => {
        const head = (await log.get('s1'))?.head ?? EMPTY_HEAD;
        const result = await log.append(appendAfter('s1', head, { fence: { holder, epoch: fenceEpoch } }));
        return result.ok ? 'ok' : result.code;
      };
      assert.equal(await tried('node-b', epoch), 'fenced');
      assert.equal(await tried('node-a', epoch - 1), 'fenced');
      assert.equal(await tried('node-a', epoch + 1), 'fenced');
      assert.equal(await log.get('s1'), null);
      assert.equal(await tried('node-a', epoch), 'ok');
      advance(1_001);
      assert.equal(await tried('node-a', epoch), 'fenced');
      const head = (await log.get('s1'))?.head ?? EMPTY_HEAD;
      await append(log, 's1', head);
    },
  },
  {
    name: 'where a session has no lease an epoch older than the opening is fenced off',
    only: 'sole',
    async run(world) {
      const before = world.store.epoch;
      const head = await append(world.log, 's1', EMPTY_HEAD, { fence: { holder: 'me', epoch: before } });
      await world.reopen();
      assert.ok(world.store.epoch > before, 'the epoch grows with each opening');
      const stale = appendAfter('s1', head, { fence: { holder: 'me', epoch: before } });
      assert.deepEqual(await world.log.append(stale), { ok: false, code: 'fenced' });
      await append(world.log, 's1', head, { fence: { holder: 'me', epoch: world.store.epoch } });
    },
  },
  {
    name: 'a lease without a time of its own lives as long as the one named as its holder',
    async run({ home: { leases }, advance }) {
      assert.deepEqual(await leases.claim('session/s1', 'node/a', null), { ok: false, holder: '' });
      assert.ok((await leases.claim('node/a', 'node/a', 1_000)).ok);
      assert.deepEqual(await leases.claim('session/s1', 'node/a', null), { ok: true, epoch: 1 });
      advance(900);
      assert.deepEqual(await leases.claim('session/s1', 'node/b', 1_000), { ok: false, holder: 'node/a' });
      assert.equal(await leases.renew('session/s1', 'node/a', 1, 1_000), false, 'it has nothing to renew');
      assert.equal(await leases.renew('node/a', 'node/a', 1, 1_000), true);
      advance(900);
      assert.ok((await leases.claim('node/b', 'node/b', 5_000)).ok);
      assert.deepEqual(await leases.claim('session/s1', 'node/b', null), { ok: false, holder: 'node/a' });
      advance(100);
      assert.deepEqual(await leases.claim('session/s1', 'node/b', null), { ok: true, epoch: 2 });
      assert.ok((await leases.claim('node/a', 'node/a', 1_000)).ok, 'it comes back');
      assert.deepEqual(await leases.claim('session/s1', 'node/a', null), { ok: false, holder: 'node/b' });
    },
  },
  {
    name: 'an offer names who may dispatch, and where nobody may, the next claim takes what was offered',
    async run(world) {
      const { leases } = world.home;
      assert.deepEqual(await leases.offer('job'), { holder: '', epoch: 1 });
      assert.deepEqual(await leases.offer('job'), { holder: '', epoch: 1 }, 'it stands');
      await world.reopen();
      const again = world.home.leases;
      assert.deepEqual(await again.claim('job', 'a', 1_000), { ok: true, epoch: 1 });
      assert.deepEqual(await again.offer('job'), { holder: 'a', epoch: 1 });
      await again.release('job', 'a', 1);
      assert.deepEqual(await again.offer('job'), { holder: '', epoch: 2 });
      assert.deepEqual(await again.claim('job', 'b', 1_000), { ok: true, epoch: 2 });
      world.advance(1_000);
      assert.deepEqual(await again.offer('job'), { holder: '', epoch: 3 });
      const claims = await Promise.all(['c', 'd'].map((holder) => again.claim('job', holder, 1_000)));
      assert.equal(claims.filter((claim) => claim.ok).length, 1, 'an offer is taken once');
    },
  },
  {
    name: 'a holder that has used nothing gives its epoch on, and nobody else can give it away',
    async run({ home: { leases }, advance }) {
      await leases.claim('job', 'a', 1_000);
      const mine = { holder: 'a', epoch: 1 };
      assert.deepEqual(await leases.offer('job', { holder: 'b', epoch: 1 }), mine);
      assert.deepEqual(await leases.offer('job', { holder: 'a', epoch: 2 }), mine);
      assert.deepEqual(await leases.offer('job', mine), { holder: '', epoch: 1 });
      assert.deepEqual(await leases.claim('job', 'b', 1_000), { ok: true, epoch: 1 });
      assert.deepEqual(await leases.offer('job', mine), { holder: 'b', epoch: 1 }, 'it is another one’s by now');
      advance(1_000);
      assert.deepEqual(await leases.offer('job', { holder: 'b', epoch: 1 }), { holder: '', epoch: 1 });
    },
  },
  {
    name: 'leases are listed with their addresses while they live',
    async run({ home: { leases }, advance }) {
      await leases.claim('node/b', 'node/b', 1_000, 'http://b');
      await leases.claim('node/a', 'node/a', 500);
      await leases.claim('node%', 'x', 1_000);
      await leases.claim('session/s1', 'node/a', null);
      await leases.offer('node/c');
      await leases.claim('node/d', 'node/d', 1_000);
      await leases.release('node/d', 'node/d', 1);
      const a = { name: 'node/a', holder: 'node/a', epoch: 1, address: null };
      const b = { name: 'node/b', holder: 'node/b', epoch: 1, address: 'http://b' };
      assert.deepEqual(await leases.list('node/'), [a, b]);
      const held = { name: 'session/s1', holder: 'node/a', epoch: 1, address: null };
      assert.deepEqual(await leases.list('session/'), [held]);
      assert.ok(await leases.renew('node/b', 'node/b', 1, 1_000));
      advance(500);
      assert.deepEqual(await leases.list('node/'), [b], 'a renewal keeps the address');
      assert.deepEqual(await leases.list('session/'), []);
    },
  },
  {
    name: 'an offered session takes entries under the offer, and under its claim with the same epoch',
    async run({ home: { leases }, log, advance }) {
      const lease = 'session/s1';
      const fence = await leases.offer(lease);
      const first = await append(log, 's1', EMPTY_HEAD, { fence });
      assert.ok((await leases.claim('node/a', 'node/a', 1_000)).ok);
      assert.deepEqual(await leases.claim(lease, 'node/a', null), { ok: true, epoch: fence.epoch });
      assert.equal(await tried(log, 's1', first, fence), 'fenced', 'the offer is over');
      const head = await append(log, 's1', first, { fence: { holder: 'node/a', epoch: fence.epoch } });
      advance(1_000);
      assert.equal(await tried(log, 's1', head, { holder: 'node/a', epoch: fence.epoch }), 'fenced');
      const next = await leases.offer(lease);
      assert.deepEqual(next, { holder: '', epoch: fence.epoch + 1 });
      await append(log, 's1', head, { fence: next });
    },
  },
  {
    name: 'due work is asked for without what another one holds, and of some agents only',
    async run({ home: { leases }, log, advance }) {
      for (const [id, agent] of Object.entries({ s1: 'a', s2: 'a', s3: 'b', s4: 'b' }))
        await append(log, id, EMPTY_HEAD, { index: { agent, outstanding: 1 } });
      await leases.claim('node/a', 'node/a', 1_000);
      await leases.claim('session/s1', 'node/a', null);
      await leases.claim('session/s3', 'somebody', 2_000);
      await leases.offer('session/s4');
      const due = async (filters: { holder?: string; agents?: string[] }): Promise<string[]> =>
        (await log.due({ now: 0, after: null, limit: 10, ...filters })).sessions;
      assert.deepEqual(await due({}), ['s1', 's2', 's3', 's4']);
      assert.deepEqual(await due({ holder: 'node/a' }), ['s1', 's2', 's4']);
      assert.deepEqual(await due({ holder: 'node/b' }), ['s2', 's4']);
      assert.deepEqual(await due({ agents: ['b'] }), ['s3', 's4']);
      assert.deepEqual(await due({ holder: 'node/b', agents: ['a'] }), ['s2']);
      assert.deepEqual(await due({ agents: [] }), []);
      const page = await log.due({ now: 0, after: null, limit: 1, holder: 'node/b' });
      assert.deepEqual(page.sessions, ['s2']);
      assert.deepEqual(
        (await log.due({ now: 0, after: page.next, limit: 1, holder: 'node/b' })).sessions,
        ['s4'],
        'a page is full of what is wanted',
      );
      advance(1_000);
      assert.deepEqual(await due({ holder: 'node/b' }), ['s1', 's2', 's4'], 'who stood behind s1 is gone');
    },
  },
  {
    name: 'a session of a shared store begins with the lease that its first fence names, or with none',
    only: 'shared',
    async run({ home: { leases }, log }) {
      assert.ok((await leases.claim('node/a', 'node/a', 1_000)).ok);
      const mine = await append(log, 's1', EMPTY_HEAD, { fence: { holder: 'node/a', epoch: 1 } });
      assert.deepEqual(await leases.offer('session/s1'), { holder: 'node/a', epoch: 1 });
      await append(log, 's2', EMPTY_HEAD, { fence: { holder: '', epoch: 1 } });
      assert.deepEqual(await leases.claim('session/s2', 'node/a', null), { ok: true, epoch: 1 });
      assert.equal(await tried(log, 's3', EMPTY_HEAD, { holder: 'node/a', epoch: 2 }), 'fenced');
      assert.equal(await tried(log, 's3', EMPTY_HEAD, { holder: 'node/gone', epoch: 1 }), 'fenced');
      const bare = await append(log, 's3', EMPTY_HEAD);
      assert.equal(await tried(log, 's3', bare, { holder: 'node/a', epoch: 1 }), 'fenced', 'it is born already');
      const fork = { ...appendAfter('s4', mine), fence: { holder: 'node/a', epoch: 1 } };
      assert.ok((await log.fork({ session: 's1' }, fork)).ok);
      assert.deepEqual(await leases.offer('session/s4'), { holder: 'node/a', epoch: 1 });
      const conflict = { ...appendAfter('s2', EMPTY_HEAD), fence: { holder: 'node/a', epoch: 1 } };
      assert.equal((await log.append(conflict)).ok, false);
      const refused = { ...appendAfter('s5', EMPTY_HEAD, { index: { key: 'k' } }), fence: { holder: '', epoch: 1 } };
      await append(log, 's6', EMPTY_HEAD, { index: { key: 'k' } });
      assert.equal((await log.append(refused)).ok, false);
      assert.deepEqual(await leases.offer('session/s5'), { holder: '', epoch: 1 }, 'what is refused leaves no lease');
    },
  },
  {
    name: 'two that share a store append by turns, and the second of two on one head is told of the conflict',
    only: 'shared',
    async run(world) {
      const other = (await world.another()).tenant('default').log;
      const first = await append(world.log, 's1', EMPTY_HEAD);
      const second = await append(other, 's1', first);
      const late = await world.log.append(appendAfter('s1', first));
      assert.deepEqual(late, { ok: false, code: 'conflict', head: second });
      await append(world.log, 's1', second);
      const race = await Promise.all(
        [world.log, other].map((log) => log.append(appendAfter('s2', EMPTY_HEAD, { text: 'race' }))),
      );
      assert.equal(race.filter(({ ok }) => ok).length, 1);
      assert.equal(world.store.unavailable(), null, 'nobody takes it from the other');
    },
  },
  {
    name: 'of claims by all that share a store exactly one wins, and the fence is the same for all of them',
    only: 'shared',
    async run(world) {
      const homes = [world.home, (await world.another()).tenant('default')];
      const claims = await Promise.all(
        homes.map(({ leases }, at) => leases.claim('session/s1', `holder ${at}`, 60_000)),
      );
      assert.equal(claims.filter(({ ok }) => ok).length, 1);
      const winner = claims.findIndex(({ ok }) => ok);
      const fence = { holder: `holder ${winner}`, epoch: 1 };
      let head = EMPTY_HEAD;
      for (const { log } of homes) head = await append(log, 's1', head, { fence });
      for (const { log } of homes)
        assert.equal(await tried(log, 's1', head, { holder: `holder ${1 - winner}`, epoch: 1 }), 'fenced');
    },
  },
  {
    name: 'a watcher of a shared store hears what another one commits, and knows whose it is',
    only: 'shared',
    async run(world) {
      const other = (await world.another()).tenant('default');
      await world.home.leases.claim('node/a', 'node/a', 60_000);
      await other.leases.claim('node/b', 'node/b', 60_000);
      const heard = Promise.withResolvers<CommittedChange>();
      const own: boolean[] = [];
      const ends = [
        world.log.watch((change) => heard.resolve(change)),
        other.log.watch((change) => own.push(change.own)),
      ];
      await append(other.log, 's1', EMPTY_HEAD, { entries: 2, index: { status: 'running', outstanding: 1 } });
      assert.deepEqual(own, [true], 'its own before the append resolves');
      const { session, head, own: isOwn, outstanding, status } = await heard.promise;
      assert.deepEqual(
        { session, head, isOwn, outstanding, status },
        {
          session: 's1',
          head: 2,
          isOwn: false,
          outstanding: 1,
          status: 'running',
        },
      );
      for (const end of ends) end();
    },
  },
];

/** What becomes of one more append with this fence. */
async function tried(log: LogStore, session: string, head: Head, fence: Fence): Promise<string> {
  const result = await log.append(appendAfter(session, head, { fence }));
  return result.ok ? 'ok' : result.code;
}
