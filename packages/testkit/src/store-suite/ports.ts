import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { append, appendAfter, bodyOf, runRow, EMPTY_HEAD, type Law } from './world.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

/** Laws of blobs and documents, and of the walls between tenants. */
export const portLaws: readonly Law[] = [
  {
    name: 'a blob comes back by the SHA-256 of its bytes, also after reopening',
    async run(world) {
      const digest = await world.home.blobs.put(bytesOf('hello'));
      assert.equal(digest, digestOf('hello'));
      assert.equal(await world.home.blobs.put(new Uint8Array()), digestOf(''));
      await world.reopen();
      const { blobs } = world.home;
      assert.deepEqual(Buffer.from((await blobs.get(digest)) ?? []).toString(), 'hello');
      assert.equal(await blobs.has(digest), true);
      assert.equal((await blobs.get(digestOf('')))?.length, 0);
      assert.equal(await blobs.get(digestOf('nothing')), null);
      assert.equal(await blobs.has(digestOf('nothing')), false);
      assert.equal(await blobs.get('../../etc/passwd'), null);
      assert.equal(await blobs.has('../../etc/passwd'), false);
    },
  },
  {
    name: 'putting a blob again renews its age',
    async run(world) {
      const { blobs } = world.home;
      const digest = await blobs.put(bytesOf('old'));
      world.advance(3_600_000);
      await blobs.put(bytesOf('new'));
      const age = async () =>
        new Map((await blobs.list({ after: null, limit: 10 })).map((blob) => [blob.digest, blob.renewedAt]));
      assert.equal((await age()).get(digest), world.now() - 3_600_000);
      await blobs.put(bytesOf('old'));
      assert.equal((await age()).get(digest), world.now());
    },
  },
  {
    name: 'blobs are listed once each over the pages and can be deleted, twice without harm',
    async run({ home: { blobs } }) {
      const digests = new Map<string, number>();
      for (let at = 0; at < 20; at++) digests.set(await blobs.put(bytesOf('x'.repeat(at))), at);
      const found: { digest: string; bytes: number }[] = [];
      for (let after: string | null = null; ;) {
        const page = await blobs.list({ after, limit: 7 });
        found.push(...page);
        after = page.at(-1)?.digest ?? null;
        if (page.length < 7) break;
      }
      assert.equal(found.length, 20);
      assert.deepEqual(new Map(found.map(({ digest, bytes }) => [digest, bytes])), digests);
      const [digest = ''] = digests.keys();
      await blobs.delete(digest);
      await blobs.delete(digest);
      await blobs.delete('../../etc/passwd');
      assert.equal(await blobs.has(digest), false);
      assert.equal((await blobs.list({ after: null, limit: 100 })).length, 19);
    },
  },
  {
    name: 'many puts of one blob at once all succeed',
    async run({ home: { blobs } }) {
      const digests = await Promise.all(Array.from({ length: 8 }, () => blobs.put(bytesOf('same'))));
      assert.equal(new Set(digests).size, 1);
      assert.equal(Buffer.from((await blobs.get(digests[0] ?? '')) ?? []).toString(), 'same');
    },
  },
  {
    name: 'a document is written only at the revision its writer knows',
    async run(world) {
      const { docs } = world.home;
      assert.deepEqual(await docs.put('note', 'n1', { text: 'one' }, 0), { ok: true, revision: 1 });
      assert.deepEqual(await docs.put('note', 'n1', { text: 'x' }, 0), { ok: false, code: 'conflict', revision: 1 });
      assert.deepEqual(await docs.put('note', 'n1', { text: 'two' }, 1), { ok: true, revision: 2 });
      assert.deepEqual(await docs.put('note', 'n2', {}, 3), { ok: false, code: 'conflict', revision: 0 });
      const both = await Promise.all([docs.put('note', 'n1', 'a', 2), docs.put('note', 'n1', 'b', 2)]);
      assert.equal(both.filter((result) => result.ok).length, 1);
      await world.reopen();
      const kept = await world.home.docs.get('note', 'n1');
      assert.deepEqual(kept, { id: 'n1', revision: 3, doc: both[0]?.ok ? 'a' : 'b' });
      assert.equal(await world.home.docs.get('note', 'n2'), null);
      assert.equal(await world.home.docs.get('other', 'n1'), null);
    },
  },
  {
    name: 'a document put as null is gone and can be created anew',
    async run({ home: { docs } }) {
      await docs.put('note', 'n1', { text: 'one' }, 0);
      assert.deepEqual(await docs.put('note', 'n1', null, 0), { ok: false, code: 'conflict', revision: 1 });
      assert.equal((await docs.put('note', 'n1', null, 1)).ok, true);
      assert.equal(await docs.get('note', 'n1'), null);
      assert.deepEqual(await docs.list('note', { after: null, limit: 10 }), []);
      assert.deepEqual(await docs.search('note', 'one', 10), []);
      assert.deepEqual(await docs.put('note', 'n1', 'again', 0), { ok: true, revision: 1 });
    },
  },
  {
    name: 'documents of a kind are listed by id in pages',
    async run({ home: { docs } }) {
      for (const id of ['b', 'd', 'a', 'c']) await docs.put('note', id, { id }, 0);
      await docs.put('other', 'a', {}, 0);
      const ids = async (after: string | null, limit: number): Promise<string[]> =>
        (await docs.list('note', { after, limit })).map((doc) => doc.id);
      assert.deepEqual(await ids(null, 10), ['a', 'b', 'c', 'd']);
      assert.deepEqual(await ids(null, 2), ['a', 'b']);
      assert.deepEqual(await ids('b', 2), ['c', 'd']);
    },
  },
  {
    name: 'search finds the documents of a kind that hold every word, in any case and order',
    async run({ home: { docs } }) {
      await docs.put('note', 'n1', { title: 'Deploy Friday', tags: ['Café', 'prod'], size: 42 }, 0);
      await docs.put('note', 'n2', { title: 'deploy monday' }, 0);
      await docs.put('other', 'n3', { title: 'deploy friday' }, 0);
      const ids = async (query: string, limit = 10): Promise<string[]> =>
        (await docs.search('note', query, limit)).map((doc) => doc.id);
      assert.deepEqual(await ids('deploy'), ['n1', 'n2']);
      assert.deepEqual(await ids('deploy', 1), ['n1']);
      assert.deepEqual(await ids('FRIDAY, deploy!'), ['n1']);
      assert.deepEqual(await ids('café 42'), ['n1']);
      assert.deepEqual(await ids('deploy sunday'), []);
      assert.deepEqual(await ids("%' OR 1=1 --"), []);
    },
  },
  {
    name: 'nothing of one tenant can be seen or changed from another',
    async run(world) {
      const { home, store } = world;
      const body = bodyOf('mine');
      await append(home.log, 's1', EMPTY_HEAD, {
        bodies: [body],
        runs: [runRow('r1')],
        index: { key: 'k', outstanding: 1 },
      });
      const digest = await home.blobs.put(bytesOf('mine'));
      await home.docs.put('note', 'n1', 'mine', 0);
      await home.leases.claim('job', 'a', 1_000);
      await home.snapshots.save('s1', { seq: 1, hash: '', engine: '', checksum: '', state: 'mine', prefix: '' });

      const other = store.tenant('other');
      assert.equal(await other.log.get('s1'), null);
      assert.equal(await other.log.find('k'), null);
      assert.equal(await other.log.run('s1', 'r1'), null);
      assert.equal(await other.log.body('s1', 1, body.digest), null);
      assert.deepEqual(await other.log.read('s1', { after: 0, limit: 9 }), []);
      assert.deepEqual(await other.log.list({ limit: 9 }), { items: [], next: null });
      assert.deepEqual(await other.log.runs({ limit: 9 }), { items: [], next: null });
      assert.deepEqual(await other.log.runs({ session: 's1', limit: 9 }), { items: [], next: null });
      assert.deepEqual(await other.log.due({ now: 9e15, after: null, limit: 9 }), { sessions: [], next: null });
      const feed = await other.log.feed('', 9);
      assert.deepEqual('changes' in feed && feed.changes, []);
      assert.deepEqual(await other.log.verify('s1'), []);
      assert.equal(await other.log.delete('s1'), false);
      assert.equal(await other.snapshots.load('s1'), null);
      await other.snapshots.drop('s1');
      assert.equal(await other.blobs.get(digest), null);
      assert.equal(await other.blobs.has(digest), false);
      await other.blobs.delete(digest);
      assert.deepEqual(await other.blobs.list({ after: null, limit: 9 }), []);
      assert.equal(await other.docs.get('note', 'n1'), null);
      assert.deepEqual(await other.docs.list('note', { after: null, limit: 9 }), []);
      assert.deepEqual(await other.docs.search('note', 'mine', 9), []);
      assert.deepEqual(await other.leases.claim('job', 'b', 1_000), { ok: true, epoch: 1 });
      const own = appendAfter('s1', EMPTY_HEAD, { index: { key: 'k', title: 'theirs' } });
      assert.equal((await other.log.append(own)).ok, true, 'ids and keys are each tenant’s own');

      assert.equal((await home.log.get('s1'))?.title, 'A title');
      assert.equal((await home.snapshots.load('s1'))?.state, 'mine');
      assert.equal(await home.blobs.has(digest), true);
    },
  },
  {
    name: 'tenants are named once they have data, and odd names are names like any other',
    async run(world) {
      const names = ['default', '../up', 'Ünï cøde/%', 'a'.repeat(200), 'A'.repeat(200)];
      assert.deepEqual(await world.store.tenants(), []);
      for (const name of names) {
        await append(world.store.tenant(name).log, 's1', EMPTY_HEAD, { index: { title: name } });
        await world.store.tenant(name).blobs.put(bytesOf(name));
      }
      await world.reopen();
      assert.deepEqual((await world.store.tenants()).toSorted(), names.toSorted());
      for (const name of names) {
        assert.equal((await world.store.tenant(name).log.get('s1'))?.title, name);
        assert.equal((await world.store.tenant(name).blobs.list({ after: null, limit: 9 })).length, 1);
      }
    },
  },
];
