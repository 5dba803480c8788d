import assert from 'node:assert/strict';
import { append, appendAfter, bodyOf, indexOf, runRow, EMPTY_HEAD, type Law } from './world.ts';

const snapshot = { seq: 2, hash: 'ab', engine: 'e1', checksum: 'c', state: '{"a":1}', prefix: '[]' };

/** Laws of what comes back: frames, bodies, rows, snapshots, and what a deletion leaves. */
export const readLaws: readonly Law[] = [
  {
    name: 'frames and bodies come back byte for byte, also after reopening',
    async run(world) {
      const bodies = [bodyOf('plain'), bodyOf('sålted ✓ "q" \\ \n\u0000 𝄞', 'c2FsdA'), bodyOf('')];
      const request = appendAfter('s1', EMPTY_HEAD, { entries: 3, text: 'ünïcode ✓', bodies });
      assert.ok((await world.log.append(request)).ok);
      const check = async (): Promise<void> => {
        const [frame, ...others] = await world.log.read('s1', { after: 0, limit: 10 });
        assert.equal(others.length, 0);
        assert.deepEqual(
          { first: frame?.first, count: frame?.count, hash: frame?.hash, erased: frame?.erased },
          {
            first: 1,
            count: 3,
            hash: request.frame.hash,
            erased: false,
          },
        );
        assert.deepEqual(Buffer.from(frame?.bytes ?? []), Buffer.from(request.frame.bytes));
        assert.deepEqual(frame?.bodies, bodies);
      };
      await check();
      await world.reopen();
      await check();
    },
  },
  {
    name: 'a caller that reuses its buffer after an append changes nothing that is stored',
    async run({ log }) {
      const request = appendAfter('s1', EMPTY_HEAD, { text: 'mine' });
      const expected = Buffer.from(request.frame.bytes);
      assert.ok((await log.append(request)).ok);
      request.frame.bytes.fill(0);
      const [frame] = await log.read('s1', { after: 0, limit: 1 });
      assert.deepEqual(Buffer.from(frame?.bytes ?? []), expected);
    },
  },
  {
    name: 'read gives the frames that hold an entry after the given seq, oldest first, up to the limit',
    async run({ log }) {
      let head = EMPTY_HEAD;
      for (const entries of [1, 3, 2, 1]) head = await append(log, 's1', head, { entries });
      const firsts = async (after: number, limit = 10): Promise<number[]> =>
        (await log.read('s1', { after, limit })).map((frame) => frame.first);
      assert.deepEqual(await firsts(0), [1, 2, 5, 7]);
      assert.deepEqual(await firsts(0, 2), [1, 2]);
      assert.deepEqual(await firsts(1), [2, 5, 7]);
      assert.deepEqual(await firsts(2), [2, 5, 7], 'the frame around the seq is whole');
      assert.deepEqual(await firsts(4), [5, 7]);
      assert.deepEqual(await firsts(6, 1), [7]);
      assert.deepEqual(await firsts(7), []);
      assert.deepEqual(await firsts(99), []);
      assert.deepEqual(await log.read('nobody', { after: 0, limit: 10 }), []);
    },
  },
  {
    name: 'a body is found in the frame of its seq and nowhere else',
    async run({ log }) {
      const hello = bodyOf('hello', 'salt');
      const head = await append(log, 's1', EMPTY_HEAD, { entries: 2, bodies: [bodyOf('other'), hello] });
      await append(log, 's1', head, { entries: 2 });
      assert.deepEqual(await log.body('s1', 1, hello.digest), hello);
      assert.deepEqual(await log.body('s1', 2, hello.digest), hello);
      assert.equal(await log.body('s1', 3, hello.digest), null);
      assert.equal(await log.body('s1', 9, hello.digest), null);
      assert.equal(await log.body('s1', 1, bodyOf('nothing').digest), null);
      assert.equal(await log.body('nobody', 1, hello.digest), null);
    },
  },
  {
    name: 'get gives the whole row of the newest append',
    async run(world) {
      const index = indexOf({
        key: 'k',
        status: 'waiting',
        activeRun: 'r2',
        queue: ['r3', 'r4'],
        dueAt: 5,
        outstanding: 2,
        waits: [{ id: 'w1', kind: 'approval', run: 'r2' }],
      });
      const one = await append(world.log, 's1', EMPTY_HEAD);
      const head = await append(world.log, 's1', one, { index });
      await world.reopen();
      assert.deepEqual(await world.log.get('s1'), { id: 's1', head, ...index });
      assert.deepEqual(await world.log.find('k'), { id: 's1', head, ...index });
      assert.equal(await world.log.get('nobody'), null);
    },
  },
  {
    name: 'run rows are upserted by session and run',
    async run(world) {
      const { log } = world;
      const one = await append(log, 's1', EMPTY_HEAD, { runs: [runRow('r1'), runRow('r2', { status: 'queued' })] });
      const done = runRow('r1', { status: 'completed', text: { digest: 'd', seq: 2 }, endedAt: 7 });
      await append(log, 's1', one, { runs: [done] });
      await append(log, 's2', EMPTY_HEAD, { runs: [runRow('r1', { agent: 'b' })] });
      await world.reopen();
      assert.deepEqual(await world.log.run('s1', 'r1'), done);
      assert.equal((await world.log.run('s1', 'r2'))?.status, 'queued');
      assert.equal((await world.log.run('s2', 'r1'))?.agent, 'b');
      assert.equal(await world.log.run('s2', 'r2'), null);
      assert.equal((await world.log.runs({ limit: 10 })).items.length, 3);
    },
  },
  {
    name: 'the newest snapshot of a session is kept until it is dropped',
    async run(world) {
      await append(world.log, 's1', EMPTY_HEAD, { entries: 2 });
      assert.equal(await world.home.snapshots.load('s1'), null);
      await world.home.snapshots.save('s1', snapshot);
      await world.home.snapshots.save('s1', { ...snapshot, state: '{"a":2}' });
      await world.reopen();
      assert.deepEqual(await world.home.snapshots.load('s1'), { ...snapshot, state: '{"a":2}' });
      await world.home.snapshots.drop('s1');
      assert.equal(await world.home.snapshots.load('s1'), null);
    },
  },
  {
    name: 'a snapshot of a session that is not there is not kept',
    async run({ log, home }) {
      await home.snapshots.save('s1', snapshot);
      await append(log, 's1', EMPTY_HEAD);
      assert.equal(await home.snapshots.load('s1'), null);
    },
  },
  {
    name: 'a deleted session answers as not found everywhere and its chain stays whole',
    async run(world) {
      const body = bodyOf('a secret');
      const index = { key: 'k', outstanding: 1, dueAt: 1 };
      const head = await append(world.log, 's1', EMPTY_HEAD, { bodies: [body], runs: [runRow('r1')], index });
      await append(world.log, 's2', EMPTY_HEAD);
      await world.home.snapshots.save('s1', snapshot);
      assert.equal(await world.log.delete('s1'), true);
      const gone = async (): Promise<void> => {
        const { log, home } = world;
        assert.equal(await log.get('s1'), null);
        assert.equal(await log.find('k'), null);
        assert.deepEqual(await log.read('s1', { after: 0, limit: 10 }), []);
        assert.equal(await log.body('s1', 1, body.digest), null);
        assert.equal(await log.run('s1', 'r1'), null);
        assert.deepEqual(await log.runs({ limit: 10 }), { items: [], next: null });
        assert.deepEqual(
          (await log.list({ limit: 10 })).items.map((row) => row.id),
          ['s2'],
        );
        assert.deepEqual(await log.due({ now: 10, after: null, limit: 10 }), { sessions: [], next: null });
        const feed = await log.feed('', 10);
        assert.deepEqual('changes' in feed && feed.changes.map((change) => change.session), ['s2']);
        assert.equal(await home.snapshots.load('s1'), null);
        await home.snapshots.save('s1', snapshot);
        assert.equal(await home.snapshots.load('s1'), null, 'a late snapshot brings nothing back');
        assert.equal(await log.delete('s1'), false);
        assert.deepEqual(await log.verify('s1'), []);
        assert.deepEqual(await log.append(appendAfter('s1', EMPTY_HEAD)), { ok: false, code: 'conflict', head });
        assert.deepEqual(await log.append(appendAfter('s1', head)), { ok: false, code: 'conflict', head });
      };
      await gone();
      await world.reopen();
      await gone();
      assert.equal(await world.log.delete('nobody'), false);
      await append(world.log, 's3', EMPTY_HEAD, { index: { key: 'k' } });
    },
  },
  {
    name: 'verify finds nothing wrong with what was written, one session or all',
    async run(world) {
      let head = EMPTY_HEAD;
      for (let at = 0; at < 4; at++) head = await append(world.log, 's1', head, { bodies: [bodyOf(`b${at}`, 'x')] });
      await append(world.log, 's2', EMPTY_HEAD);
      await world.reopen();
      assert.deepEqual(world.store.damage, []);
      assert.deepEqual(await world.log.verify(), []);
      assert.deepEqual(await world.log.verify('s1'), []);
      assert.deepEqual(await world.log.verify('nobody'), []);
    },
  },
];
