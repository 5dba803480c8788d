import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigPatch, TreeNode } from '@perdure/contract';
import { decodeTree, encodeTree } from '@perdure/contract';
import { World } from '../../test/world.ts';
import { sha256 } from '../log/digest.ts';
import type { ToolDefinition } from '../ports.ts';
import { WorkspaceError } from '../ports.ts';

/** Writes a text to a path of the first mount, as a tool for files would. */
const write: ToolDefinition = {
  name: 'write',
  description: 'Writes.',
  input: { type: 'object' },
  effect: 'keyed',
  approval: 'never',
  timeoutMs: 1_000,
  async run(args, { workspaces, attempt }) {
    const { path, text } = args as { path: string; text: string };
    const [mount] = workspaces.mounts;
    if (mount === undefined) throw new WorkspaceError('no_workspace', 'nothing is mounted');
    const found = (attempt > 1 ? await workspaces.earlier(mount) : null)?.before ?? (await workspaces.open(mount));
    const placed = text === '' ? null : { content: Buffer.from(text), executable: false };
    await workspaces.change(mount, found, new Map([[path, placed]]));
    return { content: 'written' };
  },
};

type Call = { path: string; text: string };
/** For each run: one turn that writes, one that ends. */
const script = (...runs: readonly (readonly Call[])[]) =>
  runs.flatMap((calls) => [{ calls: calls.map((call) => ({ name: 'write', arguments: call })) }, { text: 'done' }]);

const put = async (world: World, files: { [path: string]: string }, name = 'site'): Promise<string> => {
  const { blobs } = world.store.tenant('default');
  const tree = new Map<string, TreeNode>();
  for (const [path, text] of Object.entries(files))
    tree.set(path, { digest: await blobs.put(Buffer.from(text)), bytes: text.length });
  const to = await blobs.put(Buffer.from(encodeTree(tree)));
  const there = await world.call('workspaces.get', { workspace: name }).catch(() => null);
  await world.call('workspaces.move', { workspace: name, to, ...(there === null ? {} : { from: there.tree }) });
  return to;
};

async function texts(world: World, name = 'site'): Promise<{ [path: string]: string }> {
  const { tree } = await world.call('workspaces.get', { workspace: name });
  const { blobs } = world.store.tenant('default');
  const found: { [path: string]: string } = {};
  for (const [path, node] of decodeTree(Buffer.from((await blobs.get(tree)) ?? []).toString()))
    if ('digest' in node) found[path] = Buffer.from((await blobs.get(node.digest)) ?? []).toString();
  return found;
}

const MOUNTED: ConfigPatch = { mounts: [{ path: '/', workspace: 'site', mode: 'read-write' }] };

const world = async (...runs: readonly (readonly Call[])[]): Promise<World> =>
  World.create({ script: script(...runs), tools: [write] });

const changesIn = async (made: World, session: string) => {
  const { events } = await made.call('events.list', { session, after: 0, limit: 1_000, waitMs: 0 });
  return events.flatMap((entry) => (entry.kind === 'workspace.changed' ? [{ ...entry.data, call: entry.effect }] : []));
};

const again = async (made: World, session: string): Promise<`r${number}`> => {
  const { run } = await made.call('runs.start', { session, input: 'more', mode: 'queue', priority: 0 });
  await made.system.settle();
  return run.id as `r${number}`;
};

test('what a call changes is in the log beside how it ended: from which tree to which', async () => {
  const made = await world([
    { path: 'a', text: '1' },
    { path: 'b', text: '2' },
  ]);
  const first = await put(made, { a: '0' });
  const { session } = await made.open('go', { config: MOUNTED });
  await made.system.settle();
  const changes = await changesIn(made, session);
  const { tree, moves } = await made.call('workspaces.get', { workspace: 'site' });
  assert.deepEqual(
    changes.map(({ call }) => call),
    ['r1t1c0', 'r1t1c1'],
  );
  assert.deepEqual([changes[0]?.before, changes[0]?.after, changes[1]?.after], [first, changes[1]?.before, tree]);
  assert.deepEqual(
    moves.map(({ origin }) => origin),
    ['pushed by user u', `${session}/r1t1c0`, `${session}/r1t1c1`],
  );
  assert.deepEqual(await texts(made), { a: '1', b: '2' });
  const kinds = await made.kinds(session);
  assert.deepEqual(kinds.slice(kinds.indexOf('workspace.changed')).slice(0, 2), ['workspace.changed', 'call.settled']);
});

test('a mount is recorded with where its workspace stood, and one that is not there is refused', async () => {
  const made = await world();
  assert.equal(await made.code('sessions.create', { config: MOUNTED }), 'not_found');
  const first = await put(made, { a: '0' });
  const opened = await made.call('sessions.create', { config: MOUNTED });
  const session = opened.session.id;
  const view = await made.call('sessions.get', { session });
  assert.deepEqual(view.config.mounts, [{ path: '/', workspace: 'site', mode: 'read-write', tree: first }]);
  const second = await put(made, { a: '1' });
  const at = (tree: string) => ({
    session,
    ifRevision: 1,
    mounts: [{ path: '/x', workspace: 'site', mode: 'read-only' as const, tree }],
  });
  const refused = await made.refused('sessions.configure', at(first));
  assert.deepEqual([refused.code, refused.details], ['revision_conflict', { workspace: 'site', tree: second }]);
  const changed = await made.call('sessions.configure', at(second));
  assert.deepEqual(changed.config.mounts, at(second).mounts);
  const none = await made.call('sessions.configure', { session, ifRevision: 2, mounts: [] });
  assert.deepEqual(none.config.mounts, []);
});

test('undone, a workspace is as before the run; done again, nothing changes', async () => {
  const made = await world([
    { path: 'a', text: '1' },
    { path: 'b', text: '2' },
    { path: 'a', text: '3' },
  ]);
  const first = await put(made, { a: '0', c: 'c' });
  const { session, run } = await made.open('go', { config: MOUNTED });
  await made.system.settle();
  assert.deepEqual(await texts(made), { a: '3', b: '2', c: 'c' });
  const { workspaces } = await made.call('runs.undo', { session, run });
  assert.deepEqual(
    workspaces.map(({ workspace, paths }) => [workspace.tree, paths]),
    [[first, ['a', 'b']]],
  );
  assert.deepEqual(await texts(made), { a: '0', c: 'c' });
  const revision = workspaces[0]?.workspace.revision;
  const second = await made.call('runs.undo', { session, run });
  assert.deepEqual(
    second.workspaces.map(({ workspace, paths }) => [workspace.revision, paths]),
    [[revision, []]],
  );
});

test('what others changed elsewhere stays; where they changed the same, nothing is undone', async () => {
  const made = await world([{ path: 'a', text: '1' }], [{ path: 'b', text: 'mine' }]);
  await put(made, { a: '0' });
  const { session, run } = await made.open('go', { config: MOUNTED });
  await made.system.settle();
  const second = await again(made, session);
  await put(made, { ...(await texts(made)), c: 'theirs' });
  await made.call('runs.undo', { session, run });
  assert.deepEqual(await texts(made), { a: '0', b: 'mine', c: 'theirs' });
  await put(made, { a: '0', b: 'theirs', c: 'theirs' });
  const refused = await made.refused('runs.undo', { session, run: second });
  assert.deepEqual([refused.code, refused.details], ['revision_conflict', { workspace: 'site', paths: ['b'] }]);
  assert.deepEqual(await texts(made), { a: '0', b: 'theirs', c: 'theirs' });
});

test('what others changed between two changes of the run is not taken away with them', async () => {
  const gate = Promise.withResolvers<void>();
  const steps = script([{ path: 'a', text: '1' }]).slice(0, 1);
  const last = script([{ path: 'a', text: '3' }]);
  const made = await World.create({
    script: [...steps, { ...last[0], hold: gate.promise }, ...last.slice(1)],
    tools: [write],
  });
  await put(made, { a: '0' });
  const { session, run } = await made.open('go', { config: MOUNTED });
  await made.system.settle();
  await put(made, { a: '2' });
  gate.resolve();
  await made.system.settle();
  assert.deepEqual(await texts(made), { a: '3' });
  assert.equal(await made.code('runs.undo', { session, run }), 'revision_conflict');
  assert.deepEqual(await texts(made), { a: '3' });
});

test('a run that goes on, or changed nothing, undoes nothing', async () => {
  const gate = Promise.withResolvers<void>();
  const made = await World.create({ script: [{ text: 'done', hold: gate.promise }], tools: [write] });
  await put(made, { a: '0' });
  const { session, run } = await made.open('go', { config: MOUNTED });
  assert.equal(await made.code('runs.undo', { session, run }), 'invalid_state');
  gate.resolve();
  await made.system.settle();
  assert.deepEqual(await made.call('runs.undo', { session, run }), { workspaces: [] });
  assert.equal(await made.code('runs.undo', { session, run: 'r7' }), 'not_found');
});

test('a fork has the workspace as it stood there, as its own', async () => {
  const made = await world([{ path: 'a', text: '1' }], [{ path: 'a', text: '2' }], [{ path: 'a', text: 'forked' }]);
  await put(made, { a: '0' });
  const { session } = await made.open('go', { config: MOUNTED });
  await made.system.settle();
  const { head } = await made.call('sessions.get', { session });
  await again(made, session);
  const forked = await made.call('sessions.fork', { session, at: head, submission: 's' });
  const [mount] = forked.session.config.mounts ?? [];
  assert.match(mount?.workspace ?? '', /^site-fork-[0-9a-z]{10}$/);
  assert.deepEqual(await texts(made, mount?.workspace), { a: '1' });
  const twice = await made.call('sessions.fork', { session, at: head, submission: 's' });
  assert.deepEqual(twice.session.config.mounts, [mount]);
  await again(made, forked.session.id);
  assert.deepEqual([await texts(made), await texts(made, mount?.workspace)], [{ a: '2' }, { a: 'forked' }]);
});

test('a process that dies after the head moved, and before anybody heard, is told once by the next one', async () => {
  const made = await world([{ path: 'a', text: '1' }]);
  await put(made, { a: '0' });
  let dying = false;
  made.weather.append = (request) => {
    const said = Buffer.from(request.frame.bytes).toString();
    if (said.includes('workspace.changed')) dying = true;
    return dying ? { ok: false, code: 'unavailable', detail: 'gone' } : undefined;
  };
  const { session, run } = await made.open('go', { config: MOUNTED });
  await made.system.settle();
  assert.ok(dying);
  assert.deepEqual(await texts(made), { a: '1' });
  const next = await made.crash();
  await next.system.settle();
  assert.equal((await next.run(session, run)).status, 'completed');
  assert.deepEqual(await texts(next), { a: '1' });
  assert.equal((await changesIn(next, session)).length, 1);
  const { moves } = await next.call('workspaces.get', { workspace: 'site' });
  assert.equal(moves.length, 2);
  await next.call('runs.undo', { session, run });
  assert.deepEqual(await texts(next), { a: '0' });
});

test('what a cancelled call changed without being heard is undone all the same', async () => {
  const reached = Promise.withResolvers<void>();
  const deaf: ToolDefinition = {
    ...write,
    async run(args, context) {
      await write.run(args, context);
      reached.resolve();
      return new Promise(() => undefined);
    },
  };
  const made = await World.create({ script: script([{ path: 'a', text: '1' }]), tools: [deaf] });
  await put(made, { a: '0' });
  const { session, run } = await made.open('go', { config: MOUNTED });
  await reached.promise;
  const next = await made.crash({ idle: true });
  await next.call('runs.cancel', { session, run });
  await next.host.start();
  await next.system.advance(60_000);
  assert.equal((await next.run(session, run)).status, 'cancelled');
  assert.deepEqual(await changesIn(next, session), []);
  await next.call('runs.undo', { session, run });
  assert.deepEqual(await texts(next), { a: '0' });
});

test('a workspace moves from where it stands, with all its contents, and is deleted from where it stands', async () => {
  const made = await world();
  const first = await put(made, { a: '0' });
  const { blobs } = made.store.tenant('default');
  const empty = await blobs.put(Buffer.from(encodeTree(new Map())));
  const move = { workspace: 'site', to: empty };
  assert.equal(await made.code('workspaces.move', move), 'revision_conflict');
  assert.equal(await made.code('workspaces.move', { ...move, from: empty }), 'revision_conflict');
  assert.equal(await made.code('workspaces.move', { ...move, from: first, to: sha256('no tree') }), 'invalid_request');
  const moved = await made.call('workspaces.move', { ...move, from: first });
  assert.deepEqual([moved.tree, moved.files, moved.revision], [empty, 0, 2]);
  assert.equal((await made.call('workspaces.move', { ...move, from: first })).revision, 2, 'asked again');
  assert.deepEqual(await made.call('blobs.missing', { digests: [first, sha256('x'), sha256('x')] }), {
    missing: [sha256('x')],
  });
  const { workspaces } = await made.call('workspaces.list', { limit: 10 });
  assert.deepEqual(
    workspaces.map(({ name }) => name),
    ['site'],
  );
  assert.equal(await made.code('workspaces.delete', { workspace: 'site', from: first }), 'revision_conflict');
  await made.call('workspaces.delete', { workspace: 'site', from: empty });
  assert.equal(await made.code('workspaces.get', { workspace: 'site' }), 'not_found');
  assert.equal(await made.code('workspaces.delete', { workspace: 'site' }), 'not_found');
});

async function* chunks(bytes: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* bytes;
}

test('an export takes the trees along, with their contents; an import has them as its own', async () => {
  const made = await world([{ path: 'a', text: '1' }]);
  await put(made, { a: '0', b: 'b' });
  const { session, run } = await made.open('go', { config: MOUNTED });
  await made.system.settle();
  const lines = await Array.fromAsync(await made.host.exportSession(made.caller(), session));
  const there = await world();
  const brought = await there.host.importSession(there.caller(), () => chunks(lines));
  const [mount] = brought.session.config.mounts ?? [];
  assert.match(mount?.workspace ?? '', /^site-fork-/);
  assert.deepEqual(await texts(there, mount?.workspace), { a: '1', b: 'b' });
  const changes = await changesIn(there, brought.session.id);
  assert.equal(changes.length, 1);
  // All that the log names is there: also what the workspace was before.
  await there.call('workspaces.move', { workspace: 'before', to: changes[0]?.before ?? '' });
  assert.deepEqual(await texts(there, 'before'), { a: '0', b: 'b' });
  await made.call('sessions.move', { session });
  const sealed = await Array.fromAsync(await made.host.exportSession(made.caller(), session));
  const arrived = await there.host.importSession(there.caller(), () => chunks(sealed));
  assert.deepEqual(
    arrived.session.config.mounts?.map(({ workspace }) => workspace),
    ['site'],
  );
  assert.deepEqual(await texts(there), { a: '1', b: 'b' });
  await there.call('runs.undo', { session, run });
  assert.deepEqual(await texts(there), { a: '0', b: 'b' });
});

test('a tree that says of a file what it is not is no tree to move to, also where the content was there before', async () => {
  const made = await world();
  await put(made, { a: '0' });
  const { tree: from } = await made.call('workspaces.get', { workspace: 'site' });
  const { blobs } = made.store.tenant('default');
  for (const text of ['0', 'another']) {
    const tree = new Map<string, TreeNode>([['a', { digest: await blobs.put(Buffer.from(text)), bytes: 5 }]]);
    const to = await blobs.put(Buffer.from(encodeTree(tree)));
    const refused = await made.refused('workspaces.move', { workspace: 'site', from, to });
    assert.deepEqual(
      [refused.code, refused.message],
      ['invalid_request', `a has ${text.length} bytes, and the tree says 5`],
    );
  }
  assert.equal((await made.call('workspaces.get', { workspace: 'site' })).tree, from);
});
