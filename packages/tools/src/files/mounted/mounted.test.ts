import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { TenantStore } from '@perdure/runtime/ports';
import { call as callOn, makePlace } from '../../../test/context.ts';
import type { Content, Mounted } from '../../../test/mounted.ts';
import { makeMounted } from '../../../test/mounted.ts';
import { LIMITS } from '../../limits.ts';
import { digestOf } from '../content.ts';
import { files } from '../index.ts';

const tools = files({ mounts: true, write: true });
const readers = files({ mounts: true });

const FILES: { [path: string]: Content } = {
  'a.txt': 'one\ntwo\nthree\n',
  'src/b.ts': 'const two = 2;\n// TWO\nexport { two };\n',
  'src/deep/c.ts': 'import { two } from "../b.ts";\r\n',
  '.github/ci.yml': 'on: push\n',
  'node_modules/pkg/index.js': 'two\n',
  'empty.txt': '',
  'picture.png': new Uint8Array([0x89, 0x50, 0, 0]),
  link: { link: 'a.txt' },
  'src/up': { link: '../a.txt' },
  folder: { link: 'src/deep' },
  out: { link: '../elsewhere' },
  far: { link: '/etc/passwd' },
  loop: { link: 'loop' },
  dangling: { link: 'nothing' },
};

const digest = (text: string): string => digestOf(Buffer.from(text));
const A = digest('one\ntwo\nthree\n');

/** Calls in their order, each on what the one before it left. */
const CALLS: readonly [string, unknown][] = [
  ['list_files', {}],
  ['list_files', { path: 'src' }],
  ['list_files', { path: 'folder' }],
  ['list_files', { path: 'a.txt' }],
  ['list_files', { path: 'nothing' }],
  ['list_files', { path: '.', offset: 3 }],
  ['list_files', { path: '.', offset: 300 }],
  ['read_file', { path: 'a.txt' }],
  ['read_file', { path: './src/../a.txt', offset: 2, limit: 1 }],
  ['read_file', { path: 'a.txt', offset: 9 }],
  ['read_file', { path: 'link' }],
  ['read_file', { path: 'src/up' }],
  ['read_file', { path: 'folder/c.ts' }],
  ['read_file', { path: 'src' }],
  ['read_file', { path: 'empty.txt' }],
  ['read_file', { path: 'picture.png' }],
  ['read_file', { path: 'out' }],
  ['read_file', { path: 'out/more' }],
  ['read_file', { path: 'far' }],
  ['read_file', { path: 'loop' }],
  ['read_file', { path: 'dangling' }],
  ['read_file', { path: '../a.txt' }],
  ['read_file', { path: 'src/../../a.txt' }],
  ['read_file', { path: 'a.txt/b' }],
  ['read_file', { path: 'a.txt\0' }],
  ['glob', { pattern: '**/*.ts' }],
  ['glob', { pattern: '*.ts', path: 'src' }],
  ['glob', { pattern: '*', path: 'node_modules' }],
  ['glob', { pattern: 'none' }],
  ['glob', { pattern: '[' }],
  ['grep', { pattern: 'two' }],
  ['grep', { pattern: 'TWO', ignoreCase: true, context: 1, include: '*.ts' }],
  ['grep', { pattern: 'three', path: 'a.txt' }],
  ['grep', { pattern: 'zzz' }],
  ['write_file', { path: 'new/x/y.txt', content: 'fresh\n' }],
  ['write_file', { path: 'new/x/y.txt', content: 'fresh\n' }],
  ['write_file', { path: 'new/x/y.txt', content: 'other\n' }],
  ['write_file', { path: 'a.txt', content: 'other\n' }],
  ['write_file', { path: 'a.txt', content: 'other\n', digest: 'wrong' }],
  ['write_file', { path: 'gone.txt', content: 'other\n', digest: A }],
  ['write_file', { path: 'src', content: '' }],
  ['write_file', { path: '.git/hooks/pre-commit', content: '' }],
  ['write_file', { path: 'sub/.GIT/config', content: '' }],
  ['write_file', { path: '../out.txt', content: '' }],
  ['write_file', { path: 'out/x', content: '' }],
  ['write_file', { path: 'a.txt/x', content: '' }],
  ['write_file', { path: `${'d/'.repeat(LIMITS.madeFolders + 1)}x`, content: '' }],
  ['edit_file', { path: 'link', digest: A, edits: [{ old: 'two', new: 'zwei' }] }],
  ['edit_file', { path: 'a.txt', digest: A, edits: [{ old: 'two', new: 'zwei' }] }],
  ['edit_file', { path: 'a.txt', digest: A, edits: [{ old: 'none', new: 'x' }] }],
  ['edit_file', { path: 'src/deep/c.ts', digest: 'x', edits: [{ old: 'two', new: '2' }] }],
  [
    'edit_file',
    { path: 'picture.png', digest: digestOf(new Uint8Array([0x89, 0x50, 0, 0])), edits: [{ old: 'a', new: 'b' }] },
  ],
  ['read_file', { path: 'a.txt' }],
  [
    'apply_patch',
    {
      patch: '--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+ONE\n--- /dev/null\n+++ b/made.txt\n@@ -0,0 +1 @@\n+made\n',
      digests: [{ path: 'a.txt', digest: digest('one\nzwei\nthree\n') }],
    },
  ],
  [
    'apply_patch',
    {
      patch: '--- a/made.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-made\n',
      digests: [{ path: 'made.txt', digest: digest('made\n') }],
    },
  ],
  [
    'apply_patch',
    { patch: '--- a/a.txt\n+++ b/a.txt\n@@\n-x\n+y\n--- a/src/b.ts\n+++ b/src/b.ts\n@@\n-q\n+r\n', digests: [] },
  ],
  ['list_files', {}],
  ['list_files', { path: 'new/x' }],
  ['grep', { pattern: '.', include: '*.txt' }],
];

function makeFolder(root: string, contents: { [path: string]: Content }): void {
  for (const [path, content] of Object.entries(contents)) {
    const at = join(root, path);
    mkdirSync(dirname(at), { recursive: true });
    if (typeof content === 'object' && 'link' in content) symlinkSync(content.link, at);
    else writeFileSync(at, content);
  }
}

function folderTexts(root: string, folder = root): { [path: string]: string } {
  const texts: { [path: string]: string } = {};
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const at = join(folder, entry.name);
    if (entry.isDirectory()) Object.assign(texts, folderTexts(root, at));
    else texts[relative(root, at)] = entry.isSymbolicLink() ? `-> ${readlinkSync(at)}` : readFileSync(at).toString();
  }
  return texts;
}

const sorted = (texts: { [path: string]: string }): [string, string][] =>
  Object.entries(texts).sort(([a], [b]) => (a < b ? -1 : 1));

void test('a workspace answers as a folder with the same files does, call for call, and is the same afterwards', async () => {
  using place = makePlace();
  mkdirSync(place.root);
  makeFolder(place.root, FILES);
  const world = await makeMounted(FILES);
  const folder = files({ root: place.root, write: true });
  for (const [name, args] of CALLS) {
    const there = await callOn(folder, name, args);
    const here = await world.call(tools, name, args);
    assert.equal(here.content, there.content, `${name} ${JSON.stringify(args)}`);
    assert.deepEqual(here.details, there.details, `${name} ${JSON.stringify(args)}`);
  }
  assert.deepEqual(sorted(await world.texts()), sorted(folderTexts(place.root)));
});

void test('whatever is written, edited and read in turn, a workspace and a folder stay the same', async () => {
  const path = fc.constantFrom('a', 'b', 'd/a', 'd/e/f', 'd', '.', 'a/b', '../a');
  const text = fc.constantFrom('', 'x\n', 'x\ny\n', 'y');
  const call = fc.oneof(
    fc.record({ name: fc.constant('write_file'), path, content: text, known: fc.boolean() }),
    fc.record({
      name: fc.constant('edit_file'),
      path,
      old: fc.constantFrom('x', 'y'),
      new: fc.constantFrom('z', 'x\n'),
    }),
    fc.record({ name: fc.constantFrom('read_file', 'list_files'), path }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 12 }), async (calls) => {
      using place = makePlace();
      mkdirSync(place.root);
      const world = await makeMounted();
      const folder = files({ root: place.root, write: true });
      for (const one of calls) {
        const now = (await world.texts())[one.path];
        const known = now === undefined ? {} : { digest: digest(now) };
        const { name } = one;
        const args =
          'content' in one
            ? { path: one.path, content: one.content, ...(one.known ? known : {}) }
            : 'old' in one
              ? { path: one.path, digest: 'none', ...known, edits: [{ old: one.old, new: one.new }] }
              : { path: one.path };
        const [here, there] = [await world.call(tools, name, args), await callOn(folder, name, args)];
        // Folders without files are kept by a disk alone; here none are made.
        assert.equal(here.content, there.content, JSON.stringify(calls));
      }
      assert.deepEqual(sorted(await world.texts()), sorted(folderTexts(place.root)));
    }),
    { numRuns: 25 },
  );
});

void describe('mounts', () => {
  const mounts = [
    { path: '/docs', workspace: 'docs', mode: 'read-only' as const },
    { path: '/code/site', workspace: 'site' },
  ];
  const world = async (): Promise<Mounted> => {
    const made = await makeMounted({ 'index.html': 'hello\n', up: { link: '../../docs/guide.md' } });
    await made.push('docs', { 'guide.md': 'read me\n', in: { link: './guide.md' } });
    return made;
  };

  void test('each workspace is at its path, and the folders above lead there', async () => {
    const made = await world();
    const at = async (name: string, args: unknown) => (await made.call(tools, name, args, { mounts })).content;
    assert.equal(await at('list_files', {}), 'code/\ndocs/');
    assert.equal(await at('list_files', { path: 'code' }), 'site/');
    assert.equal(await at('list_files', { path: '/code/site' }), 'index.html\nup@');
    assert.match(await at('read_file', { path: '/docs/in' }), /^read me/);
    assert.match(await at('read_file', { path: 'docs/in' }), /^read me/);
    assert.equal(await at('grep', { pattern: 'e' }), 'code/site/index.html:1:hello\ndocs/guide.md:1:read me');
    assert.match(await at('read_file', { path: 'code/other' }), /^not_found/);
    assert.match(await at('read_file', { path: 'code' }), /^not_a_file/);
    // A link is followed within its workspace, and nowhere else.
    assert.match(await at('read_file', { path: 'code/site/up' }), /^outside_root/);
  });

  void test('what is mounted read-only is not changed, nor is anything between mounts', async () => {
    const made = await world();
    const at = async (path: string) =>
      (await made.call(tools, 'write_file', { path, content: 'x' }, { mounts })).content;
    assert.match(await at('docs/new.md'), /^not_writable: /);
    assert.match(await at('new.md'), /^not_found/);
    assert.match(await at('code/new.md'), /^not_found/);
    assert.match(await at('code'), /^not_a_file/);
    assert.match(await at('code/site'), /^not_a_file/);
    assert.match(await at('code/site/new.md'), /^Created /);
    assert.deepEqual(Object.keys(await made.texts('docs')), ['guide.md', 'in']);
  });

  void test('without a mount, or without its workspace, a tool says so', async () => {
    const made = await world();
    assert.match(
      (await made.call(readers, 'list_files', {}, { mounts: [] })).content,
      /^not_found: No workspace is mounted/,
    );
    const gone = [{ path: '/x', workspace: 'gone' }];
    assert.match(
      (await made.call(readers, 'list_files', { path: 'x' }, { mounts: gone })).content,
      /^not_found: the workspace gone/,
    );
  });

  void test('one patch changes several workspaces, one after another, and says which', async () => {
    const made = await world();
    const both = mounts.map((mount) => ({ ...mount, mode: 'read-write' as const }));
    const patch =
      '--- a/docs/guide.md\n+++ b/docs/guide.md\n@@\n-read me\n+READ\n--- a/code/site/index.html\n+++ b/code/site/index.html\n@@\n-hello\n+HELLO\n';
    const digests = [
      { path: 'docs/guide.md', digest: digest('read me\n') },
      { path: 'code/site/index.html', digest: digest('hello\n') },
    ];
    const { content } = await made.call(tools, 'apply_patch', { patch, digests }, { mounts: both });
    assert.match(content, /^Changed docs\/guide.md.*\nChanged code\/site\/index.html/);
    assert.equal((await made.texts())['index.html'], 'HELLO\n');
    assert.equal((await made.texts('docs'))['guide.md'], 'READ\n');
  });
});

class Killed extends Error {}

/** A store of which the process dies at one of its writes: before it, or after it and before anybody hears. */
function mortal({ docs, blobs }: Pick<TenantStore, 'docs' | 'blobs'>, dies: { at: number; after: boolean }) {
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
      ...docs,
      get: async (kind: string, id: string) => read(async () => docs.get(kind, id)),
      put: async (...args: Parameters<typeof docs.put>) => write(async () => docs.put(...args)),
    },
    blobs: {
      ...blobs,
      get: async (digest: string) => read(async () => blobs.get(digest)),
      has: async (digest: string) => read(async () => blobs.has(digest)),
      put: async (bytes: Uint8Array) => write(async () => blobs.put(bytes)),
    },
    writes: () => writes,
  };
}

const CHANGES: readonly [string, string, unknown][] = [
  ['a new file', 'write_file', { path: 'new/b', content: 'x' }],
  ['a file replaced', 'write_file', { path: 'a', content: 'x', digest: digest('aa') }],
  ['an edit', 'edit_file', { path: 'a', digest: digest('aa'), edits: [{ old: 'aa', new: 'aaaa' }] }],
  [
    'an edit that its text does not show',
    'edit_file',
    { path: 'a', digest: digest('aa'), edits: [{ old: 'a', new: '', all: true }] },
  ],
  [
    'a patch of several files',
    'apply_patch',
    {
      patch:
        '--- a/a\n+++ b/a\n@@\n-aa\n\\ No newline at end of file\n+AA\n--- a/c\n+++ /dev/null\n@@\n-c\n\\ No newline at end of file\n--- /dev/null\n+++ b/d\n@@\n+d\n',
      digests: [
        { path: 'a', digest: digest('aa') },
        { path: 'c', digest: digest('c') },
      ],
    },
  ],
];

void test('a call whose process dies at any write is done once by the attempt that follows, and says the same', async () => {
  for (const [what, name, args] of CHANGES) {
    const whole = await makeMounted({ a: 'aa', c: 'c' });
    const said = await whole.call(tools, name, args);
    assert.equal(said.isError, false, said.content);
    const alive = mortal(whole.store, { at: 1_000, after: false });
    await (await makeMounted({ a: 'aa', c: 'c' })).call(tools, name, args, { over: alive }).catch(() => undefined);
    for (const after of [false, true]) {
      for (let at = 0; ; at += 1) {
        const world = await makeMounted({ a: 'aa', c: 'c' });
        const before = (await world.workspaces.head('site'))?.tree;
        const dying = mortal(world.store, { at, after });
        const ended = await world.call(tools, name, args, { key: 'k', over: dying }).catch((error: unknown) => error);
        if (!(ended instanceof Killed)) break;
        const now = (await world.workspaces.head('site'))?.tree;
        const wanted = (await whole.workspaces.head('site'))?.tree;
        assert.ok(now === before || now === wanted, `${what}: nothing or all of it, at write ${at}`);
        // Somebody else goes on meanwhile, on what is there.
        await world.call(tools, 'write_file', { path: 'other', content: 'o' });
        const again = await world.call(tools, name, args, { key: 'k', attempt: 2 });
        assert.equal(again.content, said.content, `${what}, at write ${at}`);
        assert.deepEqual(await world.texts(), { ...(await whole.texts()), other: 'o' });
        const mine = (await world.workspaces.head('site'))?.moves.filter(({ key }) => key === 'k');
        assert.equal(mine?.length, 1);
      }
    }
  }
});

void test('changes that come at once all happen, each to what the one before it left', async () => {
  const world = await makeMounted({ a: 'a' });
  const many = Array.from({ length: 8 }, async (_, at) =>
    world.call(tools, 'write_file', { path: `f${at}`, content: String(at) }),
  );
  for (const { content } of await Promise.all(many)) assert.match(content, /^Created/);
  assert.equal(Object.keys(await world.texts()).length, 9);
  const [one, two] = await Promise.all(
    ['x', 'y'].map(async (content) => world.call(tools, 'write_file', { path: 'a', content, digest: digest('a') })),
  );
  const said = [one, two].map((each) => each?.content.split(/[ :]/)[0]);
  assert.deepEqual(new Set(said), new Set(['Changed', 'stale']));
});

void test('the bit that makes a file a program stays when it is changed', async () => {
  const world = await makeMounted({ run: 'x' });
  const tree = new Map(await world.treeOf());
  const node = tree.get('run');
  assert.ok(node !== undefined && 'digest' in node);
  tree.set('run', { ...node, executable: true });
  const from = (await world.workspaces.head('site'))?.tree ?? '';
  await world.workspaces.move('site', { from, to: await world.workspaces.keep(tree), key: 'p', origin: 'push' });
  await world.call(tools, 'write_file', { path: 'run', content: 'y', digest: digest('x') });
  const after = (await world.treeOf()).get('run');
  assert.ok(after !== undefined && 'digest' in after && after.executable === true);
});

void test('a name that another system reads otherwise, or that is taken in another case, is refused', async () => {
  const world = await makeMounted({ readme: 'r' });
  for (const path of [
    'README',
    'CON',
    'a/nul.txt',
    'x ',
    'x.',
    'a:b',
    'a\\b',
    'git~1/x',
    '.perdure/x',
    '.g\u200cit/config',
    'readme\u200d',
  ]) {
    const { content } = await world.call(tools, 'write_file', { path, content: 'x' });
    assert.match(content, /^(invalid_path|protected): /, path);
  }
  assert.deepEqual(await world.texts(), { readme: 'r' });
});

void test('a prefix that cannot start a name is refused', () => {
  assert.throws(() => files({ mounts: true, prefix: 'a b' }), { code: 'invalid_prefix' });
});
