import assert from 'node:assert/strict';
import type { Head, LogStore, StoredFrame } from '@perdure/runtime/ports';
import { append, appendAfter, bodyOf, EMPTY_HEAD, type Law, rejectsWith, runRow, type World } from './world.ts';

type Built = { heads: Head[]; bodies: ReturnType<typeof bodyOf>[] };

/** A session of three frames, with a body in each. */
async function build(log: LogStore, session: string): Promise<Built> {
  const bodies = ['one', 'two', 'three'].map((text) => bodyOf(text, 'salt'));
  const heads: Head[] = [];
  for (const [at, body] of bodies.entries()) {
    const runs = [runRow(`r${at + 1}`)];
    heads.push(await append(log, session, heads.at(-1) ?? EMPTY_HEAD, { entries: at + 1, bodies: [body], runs }));
  }
  return { heads, bodies };
}

const all = async (log: LogStore, session: string): Promise<StoredFrame[]> =>
  log.read(session, { after: 0, limit: 100 });
const plain = (frames: readonly StoredFrame[]): unknown[] =>
  frames.map(({ bytes, ...frame }) => ({ ...frame, bytes: Buffer.from(bytes).toString() }));

async function forked(log: LogStore, from: string, to: string, head: Head | undefined): Promise<Head> {
  const request = appendAfter(to, head ?? EMPTY_HEAD, {
    text: 'forked',
    runs: [runRow('r1', { status: 'cancelled' })],
  });
  const result = await log.fork({ session: from }, request);
  assert.ok(result.ok, JSON.stringify(result));
  return result.head;
}

/** Laws of forks: a session that begins with the frames of another, or with frames that come from elsewhere. */
export const forkLaws: readonly Law[] = [
  {
    name: 'a fork has the frames of its prefix byte for byte, with their bodies, and then its own',
    async run(world) {
      const { heads, bodies } = await build(world.log, 's1');
      const head = await forked(world.log, 's1', 's2', heads[1]);
      const check = async (): Promise<void> => {
        const { log } = world;
        const frames = await all(log, 's2');
        assert.deepEqual(plain(frames.slice(0, 2)), plain((await all(log, 's1')).slice(0, 2)));
        assert.deepEqual(
          frames.map(({ first, count }) => [first, count]),
          [
            [1, 1],
            [2, 2],
            [4, 1],
          ],
        );
        assert.deepEqual((await log.get('s2'))?.head, head);
        assert.deepEqual(await log.body('s2', 1, bodies[0]?.digest ?? ''), bodies[0]);
        assert.deepEqual(await log.verify(), []);
      };
      await check();
      await world.reopen();
      await check();
      assert.deepEqual(world.store.damage, []);
    },
  },
  {
    name: 'a fork has the rows that its append gives, and the session it comes from keeps its own',
    async run({ log }) {
      const { heads } = await build(log, 's1');
      await forked(log, 's1', 's2', heads[0]);
      assert.deepEqual(
        (await log.runs({ session: 's2', limit: 10 })).items.map(({ run }) => run),
        ['r1'],
      );
      assert.equal((await log.run('s2', 'r1'))?.status, 'cancelled');
      assert.equal((await log.run('s1', 'r1'))?.status, 'running');
      assert.deepEqual((await log.get('s1'))?.head, heads[2]);
    },
  },
  {
    name: 'a fork and the session it comes from go on apart, and one survives the deletion of the other',
    async run(world) {
      const { heads, bodies } = await build(world.log, 's1');
      const two = await forked(world.log, 's1', 's2', heads[2]);
      await forked(world.log, 's1', 's3', heads[2]);
      await append(world.log, 's1', heads[2] ?? EMPTY_HEAD, { text: 'on' });
      await append(world.log, 's2', two, { text: 'apart' });
      assert.ok(await world.log.delete('s1'));
      assert.ok(await world.log.delete('s3'));
      await world.reopen();
      const { log } = world;
      assert.equal((await all(log, 's2')).length, 5);
      assert.deepEqual(await log.body('s2', 4, bodies[2]?.digest ?? ''), bodies[2]);
      assert.equal(await log.get('s1'), null);
      assert.deepEqual(await log.verify(), []);
    },
  },
  {
    name: 'a fork of a fork holds both prefixes',
    async run({ log }) {
      const { heads } = await build(log, 's1');
      const two = await forked(log, 's1', 's2', heads[1]);
      await forked(log, 's2', 's3', two);
      assert.deepEqual(
        (await all(log, 's3')).map(({ first }) => first),
        [1, 2, 4, 5],
      );
      assert.deepEqual(await log.verify('s3'), []);
    },
  },
  {
    name: 'a fork at what is no frame’s end, of another chain, or of nothing is refused and writes nothing',
    async run({ log }) {
      const { heads } = await build(log, 's1');
      const [one = EMPTY_HEAD, two = EMPTY_HEAD] = heads;
      await append(log, 's9', EMPTY_HEAD, { text: 'other' });
      const none = { ok: false, code: 'no_prefix' };
      const at = async (from: string, head: Head): Promise<unknown> =>
        log.fork({ session: from }, appendAfter('s2', head));
      assert.deepEqual(await at('s1', { ...two, seq: two.seq - 1 }), none);
      assert.deepEqual(await at('s1', { ...two, hash: one.hash }), none);
      assert.deepEqual(await at('s1', { ...two, seq: 99 }), none);
      assert.deepEqual(await at('nobody', one), none);
      assert.deepEqual(await at('s9', one), none);
      assert.equal(await log.get('s2'), null);
      assert.ok(await log.delete('s1'));
      assert.deepEqual(await at('s1', one), none);
    },
  },
  {
    name: 'a fork of a session that is there, or was deleted, is refused with its head',
    async run({ log }) {
      const { heads } = await build(log, 's1');
      const [one = EMPTY_HEAD] = heads;
      const other = await append(log, 's2', EMPTY_HEAD);
      const refused = { ok: false, code: 'conflict', head: other };
      assert.deepEqual(await log.fork({ session: 's1' }, appendAfter('s2', one)), refused);
      assert.deepEqual(await log.fork({ session: 's2' }, appendAfter('s2', other)), refused);
      assert.ok(await log.delete('s2'));
      assert.deepEqual(await log.fork({ session: 's1' }, appendAfter('s2', one)), refused);
    },
  },
  {
    name: 'of two forks into one session exactly one is made',
    async run({ log }) {
      const { heads } = await build(log, 's1');
      const request = appendAfter('s2', heads[0] ?? EMPTY_HEAD);
      const results = await Promise.all([log.fork({ session: 's1' }, request), log.fork({ session: 's1' }, request)]);
      assert.equal(results.filter(({ ok }) => ok).length, 1);
    },
  },
  {
    name: 'a fork whose key is taken, or that breaks the chain, is refused as an append is',
    async run({ log }) {
      const { heads } = await build(log, 's1');
      const [one = EMPTY_HEAD] = heads;
      await append(log, 's9', EMPTY_HEAD, { index: { key: 'k' } });
      const taken = await log.fork({ session: 's1' }, appendAfter('s2', one, { index: { key: 'k' } }));
      assert.deepEqual(taken, { ok: false, code: 'key_taken', session: 's9' });
      const good = appendAfter('s2', one);
      const broken = { ...good, frame: { ...good.frame, hash: 'ab'.repeat(32) } };
      await rejectsWith('invalid_append', log.fork({ session: 's1' }, broken));
      assert.equal(await log.get('s2'), null);
    },
  },
  {
    name: 'a fork books on accounts as an append does',
    async run({ log }) {
      const { heads } = await build(log, 's1');
      const open = {
        op: 'open',
        account: 'a',
        parent: null,
        caps: { tokens: 5 },
        spent: { tokens: 4, nanoUsd: 0 },
      } as const;
      const reserve = { op: 'reserve', key: 'x', account: 'a', amount: { tokens: 2, nanoUsd: 0 } } as const;
      const result = await log.fork(
        { session: 's1' },
        appendAfter('s2', heads[0] ?? EMPTY_HEAD, { ledger: [open, reserve] }),
      );
      assert.deepEqual(result.ok || result.code, 'refused');
      assert.equal(await log.get('s2'), null);
    },
  },
  {
    name: 'a fork is told to watchers and in the feed',
    async run({ log }) {
      const { heads } = await build(log, 's1');
      const told: string[] = [];
      const end = log.watch(({ session, head }) => told.push(`${session} ${head}`));
      await forked(log, 's1', 's2', heads[1]);
      end();
      assert.deepEqual(told, ['s2 4']);
      const feed = await log.feed('', 10);
      assert.deepEqual('changes' in feed && feed.changes.map(({ session }) => session), ['s1', 's2']);
    },
  },
  {
    name: 'frames that were staged become a session by a fork, byte for byte, and are used up',
    async run(world) {
      const { heads, bodies } = await build(world.log, 's1');
      const frames = await all(world.log, 's1');
      await world.log.stage('in', frames.slice(0, 1));
      await world.log.stage('in', frames.slice(1));
      assert.equal(await world.log.get('in'), null);
      const request = appendAfter('s2', heads[2] ?? EMPTY_HEAD);
      assert.ok((await world.log.fork({ stage: 'in' }, request)).ok);
      await world.reopen();
      const { log } = world;
      assert.deepEqual(plain((await all(log, 's2')).slice(0, 3)), plain(frames));
      assert.deepEqual(await log.body('s2', 2, bodies[1]?.digest ?? ''), bodies[1]);
      assert.deepEqual(await log.verify(), []);
      const again = await log.fork({ stage: 'in' }, appendAfter('s3', heads[2] ?? EMPTY_HEAD));
      assert.deepEqual(again, { ok: false, code: 'no_prefix' });
    },
  },
  {
    name: 'what was staged is gone when it is let go, and when the data is opened anew',
    async run(world) {
      const { heads } = await build(world.log, 's1');
      const frames = await all(world.log, 's1');
      const use = async (): Promise<unknown> =>
        world.log.fork({ stage: 'in' }, appendAfter('s2', heads[2] ?? EMPTY_HEAD));
      await world.log.stage('in', frames);
      await world.log.stage('in', null);
      assert.deepEqual(await use(), { ok: false, code: 'no_prefix' });
      await world.log.stage('in', frames);
      await world.reopen();
      assert.deepEqual(await use(), { ok: false, code: 'no_prefix' });
    },
  },
  {
    name: 'a fork of another tenant’s session is not to be had',
    async run(world: World) {
      const { heads } = await build(world.log, 's1');
      const { log } = world.store.tenant('other');
      const result = await log.fork({ session: 's1' }, appendAfter('s2', heads[0] ?? EMPTY_HEAD));
      assert.deepEqual(result, { ok: false, code: 'no_prefix' });
    },
  },
];
