import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { LIMITS } from '../limits.ts';
import { faultOfPath, foldPath } from './paths.ts';
import type { Tree, TreeNode } from './tree.ts';
import { clashesIn, decodeTree, diffTrees, encodeTree, mergeTrees, sizeOfTree } from './tree.ts';

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64url');
const file = (text: string, executable = false): TreeNode => ({
  digest: digestOf(text),
  bytes: text.length,
  ...(executable ? { executable: true as const } : {}),
});
const treeOf = (files: { [path: string]: string }): Tree =>
  new Map(Object.entries(files).map(([path, text]) => [path, file(text)]));
// Of three letters, con and prn are devices.
const name = fc.stringMatching(/^[a-z]{1,3}$/).filter((path) => faultOfPath(path) === null);
const trees = fc.dictionary(name, fc.constantFrom('1', '2', '3'), { maxKeys: 6 }).map(treeOf);

void test('the same files are the same text, whatever the order they came in', () => {
  fc.assert(
    fc.property(trees, (tree) => {
      const text = encodeTree(tree);
      assert.equal(encodeTree(new Map([...tree].reverse())), text);
      const read = decodeTree(text);
      assert.deepEqual([...read.keys()], [...tree.keys()].sort());
      assert.equal(encodeTree(read), text);
    }),
  );
  const tree: Tree = new Map([
    ['b', { link: '../a' }],
    ['a/x', file('x', true)],
  ]);
  assert.deepEqual([...decodeTree(encodeTree(tree))], [...tree].reverse());
  assert.deepEqual(sizeOfTree(tree), { files: 2, bytes: 1 });
});

void test('only what is written as a tree is one', () => {
  const text = encodeTree(treeOf({ a: '1', b: '2' }));
  const lines = text.split('\n');
  const swapped = [lines[0], lines[2] + ',', lines[1]?.replace(/,$/, ''), lines[3], ''].join('\n');
  const cases = [
    '',
    '{}',
    'null',
    '[]',
    '{"entries":{}}',
    '{"entries":[1]}',
    text.trimEnd(),
    ` ${text}`,
    swapped,
    text.replace('"version":1', '"version":2'),
    text.replace('"bytes":1', '"bytes":1,"more":1'),
    text.replace('"bytes":1', '"bytes":-1'),
    text.replace('"bytes":1', '"bytes":0.5'),
    text.replace('"bytes":1', `"bytes":${LIMITS.blobBytes + 1}`),
    text.replace('"path":"b"', '"path":"a"'),
    text.replace(digestOf('1'), 'short'),
    text.replace('"path":"a"', '"path":"../a"'),
  ];
  for (const wrong of cases) assert.throws(() => decodeTree(wrong), { code: 'invalid_tree' }, wrong);
});

void test('two paths that some file system takes for one are in no tree, and nothing lies below a file or a link', () => {
  const clashing = [
    ['readme', 'README'],
    ['a/x', 'A/X'],
    ['stra\u00dfe', 'STRASSE'],
    ['caf\u00e9', 'cafe\u0301'],
    ['x\u200dy', 'xy'],
    ['\ufb01le', 'file'],
    ['a', 'a/b'],
    ['a/b', 'a'],
    ['A', 'a/b'],
    ['a/b/c', 'A/B'],
  ];
  for (const paths of clashing) {
    assert.equal(clashesIn(paths).length, 1, paths.join(' '));
    assert.throws(() => encodeTree(new Map(paths.map((path) => [path, file('1')]))), { code: 'invalid_tree' });
    assert.throws(() => encodeTree(new Map(paths.map((path) => [path, { link: 'x' }]))), { code: 'invalid_tree' });
  }
  for (const paths of [
    ['a', 'b'],
    ['a/b', 'a/c'],
    ['A/b', 'a/c'],
    ['ab', 'a/b'],
  ])
    assert.deepEqual(clashesIn(paths), [], paths.join(' '));
  assert.equal(foldPath('Src/\u00c4.ts'), foldPath('sRC/a\u0308.TS'));
});

void test('too many entries, and too many bytes, are no tree', () => {
  const many = new Map(Array.from({ length: LIMITS.treeEntries + 1 }, (_, at) => [`f${at}`, file('1')]));
  assert.throws(() => encodeTree(many), /at most 20000/);
  const large = LIMITS.treeBytes / LIMITS.blobBytes + 1;
  const heavy = new Map(
    Array.from({ length: large }, (_, at) => [`f${at}`, { digest: digestOf('x'), bytes: LIMITS.blobBytes }]),
  );
  assert.throws(() => encodeTree(heavy), { code: 'invalid_tree' });
});

void test('a difference done to its beginning gives its end', () => {
  fc.assert(
    fc.property(trees, trees, (before, after) => {
      const merged = mergeTrees(before, before, after);
      assert.ok(merged.ok);
      assert.equal(encodeTree(merged.tree), encodeTree(after));
      assert.equal(diffTrees(before, after).length, diffTrees(after, before).length);
      assert.deepEqual(diffTrees(after, after), []);
    }),
  );
});

void test('a merge does what both did, or names each path that both changed otherwise', () => {
  fc.assert(
    fc.property(trees, trees, trees, (base, ours, theirs) => {
      const merged = mergeTrees(base, ours, theirs);
      const mine = new Set(diffTrees(base, ours).map(({ path }) => path));
      const both = diffTrees(base, theirs).filter(({ path }) => mine.has(path));
      if (!merged.ok) {
        for (const path of merged.conflicts) assert.ok(both.some((change) => change.path === path));
        return;
      }
      for (const { path, after } of diffTrees(base, theirs)) assert.deepEqual(merged.tree.get(path), after);
      for (const { path, after } of diffTrees(base, ours)) assert.deepEqual(merged.tree.get(path), after);
    }),
  );
  const [base, ours, theirs] = [treeOf({ a: '1' }), treeOf({ a: '2' }), treeOf({ a: '3', b: '1' })];
  assert.deepEqual(mergeTrees(base, ours, theirs), { ok: false, conflicts: ['a'] });
  assert.deepEqual(mergeTrees(base, treeOf({ a: '1', x: '1' }), treeOf({ a: '1', X: '1' })), {
    ok: false,
    conflicts: ['X'],
  });
});

void test('a path of a tree means the same everywhere, or is refused', () => {
  for (const path of [
    'a',
    'a/b',
    '[id].tsx',
    '(group)/page.tsx',
    '.env',
    'a b',
    'Zürich',
    '日本/語',
    'a-b_c+d',
    '..a',
    'a..b',
  ])
    assert.equal(faultOfPath(path), null, path);
});
