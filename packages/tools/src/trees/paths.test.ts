/** Hostile paths, at every place where a path comes in: trees, what is pushed, what is pulled, mounts, tools. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, linkSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Tree, TreeNode } from '@perdure/contract';
import {
  decodeTree,
  encodeTree,
  faultOfPath,
  isKeptApart,
  mountPathSchema,
  workspaceNameSchema,
} from '@perdure/contract';
import { system } from '@perdure/runtime';
import { call, makePlace } from '../../test/context.ts';
import { makeMounted } from '../../test/mounted.ts';
import { HOSTILE, ODD, OUTSIDE, SECRET } from '../../test/paths/corpus.ts';
import { hammer } from '../../test/paths/hammer.ts';
import { files } from '../files/index.ts';
import { excludesOf, openTreeFolder, USUALLY_EXCLUDED } from './index.ts';

const { signal } = new AbortController();
const digest = createHash('sha256').update('x').digest('base64url');
const node = { digest, bytes: 1 };
const content = async (): Promise<Uint8Array> => Buffer.from('x');
const placing = { content, signal, key: 'k' };

/** A folder with what must not be reached beside it. */
function trap(): ReturnType<typeof makePlace> & { outside: string; kept(): void } {
  const place = makePlace();
  const outside = join(place.base, OUTSIDE);
  for (const folder of [place.root, outside]) mkdirSync(folder);
  writeFileSync(join(outside, 'secret.txt'), SECRET);
  const before = new Set(readdirSync(place.base));
  return Object.assign(place, {
    outside,
    kept() {
      assert.deepEqual(readdirSync(outside), ['secret.txt']);
      assert.equal(readFileSync(join(outside, 'secret.txt'), 'utf8'), SECRET);
      assert.deepEqual(new Set(readdirSync(place.base)), before);
    },
  });
}

void test('there are more than two hundred of them', () => {
  assert.ok(HOSTILE.length >= 200, String(HOSTILE.length));
});

void describe('a hostile path', () => {
  void test('is no path of a tree, whoever writes one', () => {
    for (const path of HOSTILE) {
      assert.notEqual(faultOfPath(path), null, JSON.stringify(path));
      assert.throws(() => encodeTree(new Map([[path, node]])), { code: 'invalid_tree' }, JSON.stringify(path));
      const forged = `{"perdure":"tree","version":1,"entries":[\n${JSON.stringify({ path, ...node })}\n]}\n`;
      assert.throws(() => decodeTree(forged), { code: 'invalid_tree' }, JSON.stringify(path));
      const linked = `{"perdure":"tree","version":1,"entries":[\n${JSON.stringify({ path, link: 'x' })}\n]}\n`;
      assert.throws(() => decodeTree(linked), { code: 'invalid_tree' }, JSON.stringify(path));
    }
  });

  void test('is no place of a pull: nothing is written, in the folder or out of it', async () => {
    using place = trap();
    const folder = openTreeFolder(place.root);
    for (const path of HOSTILE)
      for (const after of [node, { link: '../outside' }, undefined])
        await assert.rejects(
          folder.place({ path, before: undefined, after }, placing),
          { code: 'invalid_path' },
          JSON.stringify(path),
        );
    assert.deepEqual(readdirSync(place.root), []);
    place.kept();
  });

  void test('is no place of a mount, and no name of a workspace', () => {
    for (const path of HOSTILE) {
      if (path !== '') assert.equal(mountPathSchema.safeParse(`/${path}`).success, false, JSON.stringify(path));
      if (path !== '/')
        assert.equal(mountPathSchema.safeParse(path).success && faultOfPath(path.slice(1)) !== null, false);
      if (/[^a-z0-9._-]/.test(path))
        assert.equal(workspaceNameSchema.safeParse(path).success, false, JSON.stringify(path));
    }
    for (const name of ['', '.', '..', '-a', 'a-', 'A', 'a/b', 'a..', '.a', 'a'.repeat(65), 'ä', 'a\n'])
      assert.equal(workspaceNameSchema.safeParse(name).success, false, JSON.stringify(name));
  });

  void test('leads no tool out of what is mounted, and leaves nothing there that is no path of a tree', async () => {
    const world = await makeMounted({ 'a/b': 'inside', up: { link: '../../outside' }, far: { link: '/etc' } });
    const tools = files({ mounts: true, write: true });
    for (const path of [...HOSTILE, ...ODD].flatMap((each) => [each, `up/${each}`, `far/${each}`])) {
      if (path === '' || path.length > 4_000) continue;
      for (const [name, args] of [
        ['read_file', { path }],
        ['list_files', { path }],
        ['glob', { pattern: '*', path }],
        ['write_file', { path, content: 'x' }],
        ['edit_file', { path, digest: 'x', edits: [{ old: 'a', new: 'b' }] }],
      ] as const) {
        const { content: said } = await world.call(tools, name, args);
        assert.ok(!said.includes('root:x:') && !said.includes(SECRET), `${name} ${JSON.stringify(path)}: ${said}`);
      }
    }
    // Whatever came of it is a tree, and can be written as one.
    const left = await world.treeOf();
    assert.equal(encodeTree(decodeTree(encodeTree(left))), encodeTree(left));
    for (const path of left.keys()) assert.equal(faultOfPath(path), null, JSON.stringify(path));
  });

  void test('leads no tool out of a folder', async () => {
    using place = trap();
    mkdirSync(join(place.root, 'a'));
    symlinkSync(place.outside, join(place.root, 'up'));
    const tools = files({ root: place.root, write: true });
    const read = [...HOSTILE, ...ODD].flatMap((each) => [each, `up/${each}`]);
    for (const path of read.filter((each) => each !== '' && each.length <= 4_000)) {
      for (const [name, args] of [
        ['read_file', { path }],
        ['list_files', { path }],
        ['write_file', { path: `${path}/new`, content: 'x' }],
      ] as const) {
        const { content: said } = await call(tools, name, args);
        assert.ok(!said.includes(SECRET) && !said.includes('root:x:'), `${name} ${JSON.stringify(path)}: ${said}`);
      }
    }
    place.kept();
  });
});

void test('an odd name is a name like another one, or is refused: it leads nowhere', async () => {
  using place = trap();
  const folder = openTreeFolder(place.root);
  for (const path of ODD) {
    if (faultOfPath(path) !== null) continue;
    await folder.place({ path, before: undefined, after: node }, placing);
    assert.equal(existsSync(join(place.root, path)), true, JSON.stringify(path));
  }
  place.kept();
  const { tree } = await folder.scan(excludesOf([]), signal);
  assert.equal(encodeTree(decodeTree(encodeTree(tree))), encodeTree(tree));
});

void test('what no tree holds is left out of a push, and told: nothing of it is read', async () => {
  using place = trap();
  const at = (name: string): string => join(place.root, name);
  writeFileSync(at('good'), 'good');
  symlinkSync(join(place.outside, 'secret.txt'), at('link'));
  symlinkSync(place.outside, at('folder'));
  linkSync(join(place.outside, 'secret.txt'), at('hard'));
  execFileSync('mkfifo', [at('pipe')]);
  for (const name of ['CON', 'a:b', 'x.', 'back\\slash', 'ctl\u0001', 'README', 'readme']) writeFileSync(at(name), 'x');
  mkdirSync(at('.GIT'));
  writeFileSync(at('.GIT/config'), 'x');
  const folder = openTreeFolder(place.root);
  const { tree, leftOut } = await folder.scan(excludesOf(USUALLY_EXCLUDED), signal);
  assert.deepEqual([...tree.keys()], ['README', 'folder', 'good', 'link']);
  const out = new Map(leftOut.map(({ path, why }) => [path, why]));
  assert.deepEqual(
    [...out.keys()].sort((a, b) => (a < b ? -1 : 1)),
    ['.GIT/config', 'CON', 'a:b', 'back\\slash', 'ctl\u0001', 'hard', 'pipe', 'readme', 'x.'],
  );
  assert.deepEqual(tree.get('link'), { link: join(place.outside, 'secret.txt') });
  assert.match(out.get('hard') ?? '', /second name/);
  assert.ok(isKeptApart('.GIT/config'));
});

void test('what stands in the way of a pull stays: links, other contents, pipes, folders', async () => {
  using place = trap();
  const at = (name: string): string => join(place.root, name);
  symlinkSync(place.outside, at('sub'));
  symlinkSync(join(place.outside, 'secret.txt'), at('file'));
  symlinkSync(join(place.outside, 'not-there'), at('dangling'));
  linkSync(join(place.outside, 'secret.txt'), at('hard'));
  execFileSync('mkfifo', [at('pipe')]);
  mkdirSync(at('folder'));
  writeFileSync(at('other'), 'other');
  const folder = openTreeFolder(place.root);
  const link = { link: join(place.outside, 'secret.txt') };
  for (const path of [
    'sub/new',
    'sub/secret.txt',
    'file',
    'dangling',
    'hard',
    'pipe',
    'folder',
    'other',
    'file/x',
    'other/x',
    'pipe/x',
  ])
    for (const before of [undefined, node, { link: 'elsewhere' }])
      for (const after of [node, link, undefined])
        if (before !== undefined || after !== undefined)
          await assert.rejects(
            folder.place({ path, before, after }, placing),
            (error: Error & { code: string }) => ['changed', 'hard_linked'].includes(error.code),
            path,
          );
  place.kept();
  assert.equal(readFileSync(at('other'), 'utf8'), 'other');
  // What was looked at is replaced: the link itself, not what it leads to.
  await folder.place({ path: 'file', before: link, after: node }, placing);
  assert.equal(readFileSync(at('file'), 'utf8'), 'x');
  await folder.place({ path: 'file', before: node, after: link }, placing);
  await folder.place({ path: 'file', before: link, after: undefined }, placing);
  assert.equal(existsSync(at('file')), false);
  place.kept();
});

void test('a folder is placed whole, and is then what its tree says; taken away, nothing is left', async () => {
  using place = trap();
  const wanted: Tree = new Map<string, TreeNode>([
    ['a/b/c', node],
    ['a/b/d', { ...node, executable: true as const }],
    ['e', { link: 'a/b/c' }],
  ]);
  const folder = openTreeFolder(place.root);
  for (const [path, after] of wanted) await folder.place({ path, before: undefined, after }, placing);
  const { tree } = await folder.scan(excludesOf([]), signal);
  assert.equal(encodeTree(tree), encodeTree(wanted));
  for (const [path, before] of wanted) await folder.place({ path, before, after: undefined }, placing);
  assert.deepEqual(readdirSync(place.root), []);
});

void test('links that are swapped while tools, pushes and pulls are at work let nothing in or out', async () => {
  const end = system.clock.monotonicMs() + 3_000;
  const { rounds, swaps, done } = await hammer(() => system.clock.monotonicMs() > end);
  assert.ok(rounds > 0 && swaps > 100, `${rounds} rounds, ${swaps} swaps`);
  assert.ok((done['scan'] ?? 0) > 0, 'the work gets through as well');
});
