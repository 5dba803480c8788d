import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tree, TreeNode } from '@perdure/contract';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { createVirtualSystem } from '@perdure/testkit';
import { sha256 } from '../log/digest.ts';
import { LIMITS } from '../limits.ts';
import type { Found, Placed, TenantStore } from '../ports.ts';
import { changesBy, mountedFor, writable } from './mounted.ts';
import { Workspaces } from './workspaces.ts';

class Killed extends Error {}

/** A store of which the process dies at a given write: before it, or after it and before anybody hears. */
function mortal(store: Pick<TenantStore, 'docs' | 'blobs'>, dies: { at: number; after: boolean }) {
  let writes = 0;
  let dead = false;
  const write = async <T>(work: () => Promise<T>): Promise<T> => {
    const mine = writes++;
    dead ||= mine === dies.at && !dies.after;
    if (dead) throw new Killed();
    const done = await work();
    dead = mine === dies.at;
    if (dead) throw new Killed();
    return done;
  };
  const read = async <T>(work: () => Promise<T>): Promise<T> => {
    if (dead) throw new Killed();
    return work();
  };
  return {
    docs: {
      ...store.docs,
      get: async (kind: string, id: string) => read(async () => store.docs.get(kind, id)),
      put: async (...args: Parameters<typeof store.docs.put>) => write(async () => store.docs.put(...args)),
    },
    blobs: {
      ...store.blobs,
      get: async (digest: string) => read(async () => store.blobs.get(digest)),
      has: async (digest: string) => read(async () => store.blobs.has(digest)),
      put: async (bytes: Uint8Array) => write(async () => store.blobs.put(bytes)),
    },
    writes: () => writes,
  };
}

const { clock } = createVirtualSystem();
const openStore = () => openMemoryStore({ clock, disk: createMemoryDisk() }).tenant('default');
const put = (text: string): Placed => ({ content: Buffer.from(text), executable: false });

async function world(files: { [path: string]: string } = { a: 'one' }) {
  const store = openStore();
  const workspaces = new Workspaces({ ...store, clock });
  const tree = new Map<string, TreeNode>();
  for (const [path, text] of Object.entries(files))
    tree.set(path, { digest: await store.blobs.put(Buffer.from(text)), bytes: text.length });
  const to = await workspaces.keep(tree);
  const made = await workspaces.move('site', { from: null, to, key: 'push', origin: 'push' });
  assert.ok(made.ok);
  const mounts = [{ path: '/site', workspace: 'site', mode: 'read-write' as const, tree: to }];
  const call = (over: Pick<TenantStore, 'docs' | 'blobs'> = store, key = 'call-key') =>
    mountedFor({ workspaces: new Workspaces({ ...over, clock }), blobs: over.blobs }, mounts, {
      key,
      session: 'ses_a',
      call: 'r1t1c0',
    });
  const now = async (): Promise<{ [path: string]: string }> =>
    textsOf(store, await workspaces.tree((await workspaces.head('site'))?.tree ?? ''));
  return { store, workspaces, mounts, call, now, first: to };
}

async function textsOf(store: Pick<TenantStore, 'blobs'>, tree: Tree): Promise<{ [path: string]: string }> {
  const texts: { [path: string]: string } = {};
  for (const [path, node] of tree)
    texts[path] =
      'link' in node ? `-> ${node.link}` : Buffer.from((await store.blobs.get(node.digest)) ?? []).toString();
  return texts;
}

/** What a tool does to append a line, as every attempt of it does the same. */
async function appendLine(call: ReturnType<typeof mountedFor>): Promise<void> {
  const [mount] = call.mounts;
  assert.ok(mount !== undefined);
  for (;;) {
    const before: Found = (await call.earlier(mount))?.before ?? (await call.open(mount));
    const node = before.tree.get('a');
    assert.ok(node !== undefined && 'digest' in node);
    const text = Buffer.from(await call.content(node.digest)).toString();
    if (await call.change(mount, before, new Map([['a', put(`${text}+`)]]))) return;
  }
}

void test('a process that dies at any write of a change loses nothing and does nothing twice', async () => {
  let last = 1;
  for (const after of [false, true]) {
    for (let at = 0; at < last; at += 1) {
      const { store, call, now, workspaces, mounts, first } = await world();
      const dying = mortal(store, { at, after });
      await assert.rejects(appendLine(call(dying)), Killed, `write ${at}`);
      // What the head names is whole, before the change or after it.
      assert.match((await now())['a'] ?? '', /^one\+?$/);
      await appendLine(call());
      assert.deepEqual(await now(), { a: 'one+' });
      const changes = await changesBy(workspaces, writable(mounts), 'call-key');
      assert.deepEqual(changes, [{ workspace: 'site', before: first, after: (await workspaces.head('site'))?.tree }]);
      const alive = mortal(store, { at: 1_000, after: false });
      await appendLine(call(alive, 'other-key'));
      last = alive.writes();
    }
  }
  assert.equal(last, 3, 'content, tree and head are one write each');
});

void test('what another one changed at the same moment is not lost', async () => {
  const { call, now, store } = await world();
  const [one, two] = [call(store, 'one'), call(store, 'two')];
  await Promise.all([appendLine(one), appendLine(two)]);
  assert.deepEqual(await now(), { a: 'one++' });
  const [mount] = one.mounts;
  assert.ok(mount !== undefined);
  const stale = await one.open(mount);
  await appendLine(call(store, 'three'));
  assert.equal(await call(store, 'four').change(mount, stale, new Map([['a', null]])), false);
  assert.deepEqual(await now(), { a: 'one+++' });
});

void test('an attempt that comes late finds its own change among those of others', async () => {
  const { call, now, store, workspaces, mounts } = await world();
  await appendLine(call());
  for (const key of ['x', 'y', 'z']) await appendLine(call(store, key));
  await appendLine(call());
  assert.deepEqual(await now(), { a: 'one++++' });
  assert.equal((await changesBy(workspaces, writable(mounts), 'call-key')).length, 1);
  assert.equal((await workspaces.head('site'))?.revision, 5);
});

void test('a head remembers so many moves and no more', async () => {
  const { call, store, workspaces } = await world();
  for (let at = 0; at < LIMITS.keptMoves + 3; at += 1) await appendLine(call(store, `k${at}`));
  const head = await workspaces.head('site');
  assert.equal(head?.moves.length, LIMITS.keptMoves);
  assert.equal(head?.moves.at(-1)?.after, head?.tree);
});

void test('a head moves only to a tree that is here, with all its contents', async () => {
  const { workspaces, store, first } = await world();
  const to = async (text: string) =>
    workspaces.move('site', { from: first, to: await store.blobs.put(Buffer.from(text)), key: 'k', origin: 'o' });
  await assert.rejects(workspaces.move('site', { from: first, to: sha256('nothing'), key: 'k', origin: 'o' }), {
    code: 'tree_missing',
  });
  await assert.rejects(to('no tree'), { code: 'tree_missing' });
  const lost = await workspaces.keep(new Map([['b', { digest: sha256('lost'), bytes: 4 }]]));
  await assert.rejects(workspaces.move('site', { from: first, to: lost, key: 'k', origin: 'o' }), {
    code: 'tree_missing',
  });
  assert.equal((await workspaces.head('site'))?.tree, first);
});

void test('what is mounted read-only is not changed, and what is gone is said', async () => {
  const { store, workspaces, first } = await world();
  const mounted = mountedFor(
    { workspaces, blobs: store.blobs },
    [
      { path: '/site', workspace: 'site', mode: 'read-only', tree: first },
      { path: '/gone', workspace: 'gone', mode: 'read-write', tree: first },
    ],
    { key: 'k', session: 's', call: 'c' },
  );
  const [site, gone] = mounted.mounts;
  assert.ok(site !== undefined && gone !== undefined);
  await assert.rejects(mounted.change(site, await mounted.open(site), new Map([['a', null]])), { code: 'read_only' });
  await assert.rejects(mounted.open(gone), { code: 'no_workspace' });
  await assert.rejects(mounted.content(sha256('gone')), { code: 'damaged' });
  const opened = await mounted.open(site);
  const outside = { ...site, write: true };
  for (const path of ['../a', '/a', 'a/../b', '.git/config', 'A'])
    await assert.rejects(mounted.change(outside, opened, new Map([[path, put('x')]])), { code: 'invalid_tree' }, path);
  assert.equal(await workspaces.delete('site', sha256('other')), false);
  assert.equal(await workspaces.delete('site', first), true);
  assert.equal(await workspaces.head('site'), null);
});

void test('a write whose answer was lost is asked for again, and happens once', async () => {
  const { store, call, now, workspaces } = await world();
  let lost = 0;
  const docs = {
    ...store.docs,
    async put(...args: Parameters<typeof store.docs.put>) {
      const done = await store.docs.put(...args);
      if (lost++ === 0) throw new Error('the answer was lost');
      return done;
    },
  };
  await appendLine(call({ ...store, docs }));
  assert.deepEqual(await now(), { a: 'one+' });
  assert.equal((await workspaces.head('site'))?.revision, 2);
});
