import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { call, contextOf, makePlace } from '../../test/context.ts';
import { LIMITS } from '../limits.ts';
import { digestOf } from './content.ts';
import { createApplyPatch } from './apply-patch.ts';
import { files } from './index.ts';
import { kernelDescriptors, openRoot, type Descriptors } from './root.ts';
import { folderSpace } from './folder.ts';
import { createWriteFile } from './write-file.ts';

const linux = process.platform === 'linux';

let place: ReturnType<typeof makePlace>;
let tools: ToolDefinition[];

const at = (path: string): string => join(place.root, path);
const put = (path: string, content: string | Uint8Array): string => {
  fs.mkdirSync(dirname(at(path)), { recursive: true });
  fs.writeFileSync(at(path), content);
  return digestOf(Buffer.from(content));
};
const get = (path: string): string => fs.readFileSync(at(path), 'utf8');
const done = async (tool: string, args: unknown): Promise<string> => {
  const result = await call(tools, tool, args);
  assert.equal(result.isError, undefined, result.content);
  return result.content;
};
/** The code of the refusal; whatever is refused leaves every file as it was. */
const refused = async (tool: string, args: unknown): Promise<string> => {
  const before = snapshot();
  const result = await call(tools, tool, args);
  assert.equal(result.isError, true, result.content);
  assert.deepEqual(snapshot(), before, 'a refusal changes nothing');
  return result.content.split(':')[0] ?? '';
};
const snapshot = (): [string, string][] =>
  fs
    .readdirSync(place.root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry): [string, string] => [entry.name, fs.readFileSync(join(entry.parentPath, entry.name), 'latin1')])
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
/** Nothing that was written beside a file is left. */
const noLitter = (): void =>
  assert.deepEqual(
    snapshot().filter(([name]) => name.startsWith('.perdure')),
    [],
  );
const digestTold = (content: string): string => /\[digest ([\w-]{16})\]/.exec(content)?.[1] ?? '';

beforeEach(() => {
  place = makePlace();
  fs.mkdirSync(place.root);
  tools = files({ root: place.root, write: true });
});
afterEach(() => place[Symbol.dispose]());

describe('files({ write: true })', () => {
  it('adds three tools for edits that ask first; without it there are none', () => {
    assert.deepEqual(
      tools.slice(4).map(({ name, effect, approval, edits }) => [name, effect, approval, edits]),
      ['write_file', 'edit_file', 'apply_patch'].map((name) => [name, 'keyed', 'always', true]),
    );
    assert.equal(files({ root: place.root }).length, 4);
    for (const { input } of tools.slice(4)) assert.equal(input['additionalProperties'], false);
  });

  it('tells with what is read the digest of the whole file', async () => {
    const digest = put('a.txt', 'one\ntwo\n');
    const text = await done('read_file', { path: 'a.txt', limit: 1 });
    assert.equal(text, `one\n[up to here; there is more: read on with offset 2]\n[digest ${digest}]`);
    put('empty', '');
    assert.match(await done('read_file', { path: 'empty' }), /^\[the file is empty\]\n\[digest /);
    assert.equal(await refused('read_file', { path: 'a.txt', offset: 9 }), 'past_end');
    put('bin', new Uint8Array([1, 0, 2]));
    assert.equal(await refused('read_file', { path: 'bin' }), 'binary');
  });
});

describe('write_file', () => {
  it('creates a file with its folders, and answers with the digest to go on with', async () => {
    const said = await done('write_file', { path: 'src/new/a.ts', content: 'let a = 1;\n' });
    assert.equal(get('src/new/a.ts'), 'let a = 1;\n');
    assert.equal(said, `Created src/new/a.ts, 11 bytes. [digest ${digestOf(Buffer.from('let a = 1;\n'))}]`);
    await done('write_file', { path: 'src/new/a.ts', content: 'let a = 2;\n', digest: digestTold(said) });
    assert.equal(get('src/new/a.ts'), 'let a = 2;\n');
    noLitter();
  });

  it('replaces nothing that was not read, and nothing that changed since', async () => {
    const digest = put('a.txt', 'mine');
    assert.equal(await refused('write_file', { path: 'a.txt', content: 'other' }), 'not_read');
    put('a.txt', 'changed meanwhile');
    assert.equal(await refused('write_file', { path: 'a.txt', content: 'other', digest }), 'stale');
    fs.rmSync(at('a.txt'));
    assert.equal(await refused('write_file', { path: 'a.txt', content: 'other', digest }), 'not_found');
  });

  it('run again does nothing: what is to be there is there', async () => {
    const digest = put('a.txt', 'before');
    await done('write_file', { path: 'a.txt', content: 'after', digest });
    const { ino, mtimeMs } = fs.statSync(at('a.txt'));
    assert.match(await done('write_file', { path: 'a.txt', content: 'after', digest }), /^a\.txt is so already/);
    assert.match(await done('write_file', { path: 'a.txt', content: 'after' }), /^a\.txt is so already/);
    assert.deepEqual([fs.statSync(at('a.txt')).ino, fs.statSync(at('a.txt')).mtimeMs], [ino, mtimeMs]);
  });

  it('keeps the mode of a file, and replaces it at once: who has it open reads on', async () => {
    const digest = put('run.sh', 'old');
    fs.chmodSync(at('run.sh'), 0o750);
    const open = fs.openSync(at('run.sh'), 'r');
    await done('write_file', { path: 'run.sh', content: 'new', digest });
    assert.equal(fs.statSync(at('run.sh')).mode & 0o777, 0o750);
    assert.equal(fs.readFileSync(open, 'utf8'), 'old');
    fs.closeSync(open);
  });

  it('does not write a file that this process may not write, though it may replace it', { skip: !linux }, async () => {
    const digest = put('fixed', 'old');
    fs.chmodSync(at('fixed'), 0o444);
    const nobody = 65_534;
    const isRoot = process.getuid?.() === 0;
    // The super-user may write everything.
    if (isRoot) for (const path of [place.base, place.root, at('fixed')]) fs.chownSync(path, nobody, nobody);
    if (isRoot) process.seteuid?.(nobody);
    try {
      assert.equal(await refused('write_file', { path: 'fixed', content: 'new', digest }), 'not_writable');
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it('writes below no .git, and no folder, and no name that hides itself', async () => {
    put('.git/config', '[core]');
    put('sub/.git', 'gitdir: elsewhere');
    for (const path of ['.git/hooks/pre-commit', '.git/config', 'sub/.git', 'x/.GIT/config', '.git'])
      assert.equal(await refused('write_file', { path, content: 'x' }), 'protected', path);
    fs.mkdirSync(at('folder'));
    assert.equal(await refused('write_file', { path: 'folder', content: 'x' }), 'not_a_file');
    assert.equal(await refused('write_file', { path: '.', content: 'x' }), 'not_a_file');
    assert.equal(await refused('write_file', { path: 'a\u001b[2Jb', content: 'x' }), 'invalid_path');
    put('file', '');
    assert.equal(await refused('write_file', { path: 'file/below', content: 'x' }), 'not_found');
    const deep = (folders: number): unknown => ({ path: `${'d/'.repeat(folders)}f`, content: 'x' });
    assert.equal(await refused('write_file', deep(LIMITS.madeFolders + 1)), 'invalid_path');
    await done('write_file', deep(LIMITS.madeFolders));
    assert.equal(await refused('write_file', { path: 'y'.repeat(300), content: 'x' }), 'invalid_path');
  });

  it('ends with its signal before anything changes', async () => {
    const reason = new Error('stopped');
    const writing = call(tools, 'write_file', { path: 'a', content: 'x' }, AbortSignal.abort(reason));
    await assert.rejects(writing, reason);
    assert.deepEqual(snapshot(), []);
  });
});

describe('edit_file', () => {
  it('makes its edits in order, all or none', async () => {
    const digest = put('a.ts', 'let a = 1;\nlet b = 1;\n');
    const edits = [
      { old: 'let a = 1;', new: 'let a = 2;' },
      { old: '= 2;\nlet b', new: '= 2;\nlet c' },
    ];
    const said = await done('edit_file', { path: 'a.ts', digest, edits });
    assert.equal(get('a.ts'), 'let a = 2;\nlet c = 1;\n');
    const failing = [
      { old: 'let c', new: 'let d' },
      { old: 'nothing', new: 'x' },
    ];
    assert.equal(await refused('edit_file', { path: 'a.ts', digest: digestTold(said), edits: failing }), 'no_match');
    noLitter();
  });

  it('takes a text that stands there once, or each with all', async () => {
    const digest = put('a.txt', 'aaa b b');
    const edit = (old: string, all?: boolean): unknown => ({
      path: 'a.txt',
      digest,
      edits: [{ old, new: 'x', ...(all === undefined ? {} : { all }) }],
    });
    assert.equal(await refused('edit_file', edit('b')), 'many_matches');
    assert.equal(await refused('edit_file', edit('aa')), 'many_matches', 'what overlaps itself counts twice');
    await done('edit_file', edit('b', true));
    assert.equal(get('a.txt'), 'aaa x x');
  });

  it('refuses what cannot be an edit', async () => {
    const digest = put('a.txt', 'text');
    const asked = (edits: unknown[]): unknown => ({ path: 'a.txt', digest, edits });
    assert.equal(await refused('edit_file', asked([])), 'invalid_arguments');
    assert.equal(await refused('edit_file', asked([{ old: '', new: 'x' }])), 'invalid_arguments');
    assert.equal(await refused('edit_file', asked([{ old: 'text', new: 'text' }])), 'invalid_arguments');
    assert.equal(await refused('edit_file', { path: 'no.txt', digest, edits: [{ old: 'a', new: 'b' }] }), 'not_found');
    const bytes = put('latin1.txt', Buffer.from([0x74, 0xe9, 0x78]));
    assert.equal(
      await refused('edit_file', { path: 'latin1.txt', digest: bytes, edits: [{ old: 't', new: 'b' }] }),
      'binary',
    );
  });

  it('keeps a byte order mark and the line ends of a file', async () => {
    const digest = put('dos.txt', '\uFEFFone\r\ntwo\r\n');
    await done('edit_file', { path: 'dos.txt', digest, edits: [{ old: 'one\ntwo', new: 'one\nand\ntwo' }] });
    assert.equal(get('dos.txt'), '\uFEFFone\r\nand\r\ntwo\r\n');
    const mixed = put('mixed.txt', 'one\r\ntwo\n');
    await done('edit_file', { path: 'mixed.txt', digest: mixed, edits: [{ old: 'two\n', new: '2\n' }] });
    assert.equal(get('mixed.txt'), 'one\r\n2\n');
  });

  it('run again finds that it is done, also where what it wrote stands there more often', async () => {
    const cases: [string, { old: string; new: string; all?: boolean }[]][] = [
      ['x y x', [{ old: 'y', new: 'x' }]],
      ['a\nb\nb\nc\n', [{ old: 'a\n', new: 'b\n' }]],
      ['one two three', [{ old: ' two', new: '' }]],
      ['end', [{ old: 'end', new: 'end end' }]],
      ['q w q', [{ old: 'q', new: 'qq', all: true }]],
      [
        '1 2 3',
        [
          { old: '1', new: '2' },
          { old: '2 2', new: '3 3' },
          { old: '3 3 3', new: '' },
        ],
      ],
      ['l1\r\nl2\r\n', [{ old: 'l1\nl2', new: 'l2\nl1\nl2' }]],
    ];
    for (const [text, edits] of cases) {
      const digest = put('a.txt', text);
      await done('edit_file', { path: 'a.txt', digest, edits });
      const once = get('a.txt');
      assert.notEqual(once, text);
      assert.match(await done('edit_file', { path: 'a.txt', digest, edits }), /is so already/, JSON.stringify(text));
      assert.equal(get('a.txt'), once);
    }
  });

  it('does not take another text for what it made', async () => {
    const digest = put('a.txt', 'one');
    const args = { path: 'a.txt', digest, edits: [{ old: 'one', new: 'two' }] };
    put('a.txt', 'two ');
    assert.equal(await refused('edit_file', args), 'stale');
    const all = put('a.txt', 'b a');
    const each = { path: 'a.txt', digest: all, edits: [{ old: 'a', new: 'b', all: true }] };
    await done('edit_file', each);
    assert.equal(await refused('edit_file', each), 'stale', 'nobody can tell which b was an a');
  });

  it('gives up finding out within its bounds', async () => {
    const digest = put('big.txt', `${'a'.repeat(200_000)}b`);
    const args = { path: 'big.txt', digest, edits: [{ old: 'b', new: '' }] };
    await done('edit_file', args);
    assert.equal(await refused('edit_file', args), 'stale');
  });
});

describe('apply_patch', () => {
  const patched = async (text: string, hunks: string): Promise<string> => {
    const digest = put('f.txt', text);
    const patch = `--- a/f.txt\n+++ b/f.txt\n${hunks}`;
    await done('apply_patch', { patch, digests: [{ path: 'f.txt', digest }] });
    const once = get('f.txt');
    assert.match(await done('apply_patch', { patch, digests: [{ path: 'f.txt', digest }] }), /is so already/);
    assert.equal(get('f.txt'), once);
    return once;
  };
  const misfits = async (text: string, hunks: string): Promise<string> => {
    const digest = put('f.txt', text);
    return refused('apply_patch', {
      patch: `--- a/f.txt\n+++ b/f.txt\n${hunks}`,
      digests: [{ path: 'f.txt', digest }],
    });
  };

  it('applies what git and diff write', async () => {
    assert.equal(await patched('a\nb\nc\n', '@@ -1,3 +1,3 @@ head\n a\n-b\n+B\n c\n'), 'a\nB\nc\n');
    assert.equal(await patched('a\nb\n', '@@ -1,2 +1,3 @@\n a\n+x\n b\n'), 'a\nx\nb\n');
    assert.equal(await patched('a\nb\n', '@@ -1,0 +2,1 @@\n+x\n'), 'a\nx\nb\n');
    assert.equal(
      await patched('a', '@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n'),
      'b',
    );
    assert.equal(await patched('a\n', '@@ -1,1 +1,2 @@\n a\n+b\n\\ No newline at end of file'), 'a\nb');
    assert.equal(await patched('a\r\nb\r\n', '@@ -1,2 +1,2 @@\r\n a\r\n-b\r\n+c\r\n'), 'a\r\nc\r\n');
    const two = '@@ -1,2 +1,1 @@\n-1\n 2\n@@ -5,2 +4,3 @@\n 5\n+5.5\n 6\n';
    assert.equal(await patched('1\n2\n3\n4\n5\n6\n', two), '2\n3\n4\n5\n5.5\n6\n');
  });

  it('believes lines, not counts: a hunk goes where it fits, and nowhere else', async () => {
    assert.equal(await patched('a\nb\nc\n', '@@ -40,9 +41,2 @@\n b\n+x\n'), 'a\nb\nx\nc\n');
    assert.equal(await patched('a\nb\nc\n', '@@\n-b\n+x\n'), 'a\nx\nc\n');
    assert.equal(await patched('x\ny\nx\n', '@@ -3 +3 @@\n-x\n+z\n'), 'x\ny\nz\n');
    assert.equal(await misfits('x\ny\nx\n', '@@\n-x\n+z\n'), 'many_matches');
    assert.equal(await misfits('a\nb\n', '@@ -1,2 +1,2 @@\n a\n-B\n+x\n'), 'no_match');
    assert.equal(await misfits('a\nb\n', '@@\n+x\n'), 'no_match');
    assert.equal(
      await misfits('1\n2\n', '@@ -2 +2 @@\n-2\n+3\n@@ -1 +1 @@\n-1\n+0\n'),
      'no_match',
      'hunks go forwards',
    );
    assert.equal(await patched('a\n\nb\n', '@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n\n'), 'a\n\nc\n');
  });

  it('creates, changes and deletes files in one go', async () => {
    const [a, c] = [put('a.txt', 'a\n'), put('c.txt', 'c\n')];
    const patch = [
      'diff --git a/a.txt b/a.txt',
      'index 1..2 100644',
      '--- a/a.txt',
      '+++ b/a.txt',
      '@@ -1 +1 @@',
      '-a',
      '+A',
      'diff --git a/new/b.txt b/new/b.txt',
      'new file mode 100644',
      '--- /dev/null',
      '+++ b/new/b.txt',
      '@@ -0,0 +1,2 @@',
      '+b',
      '+-- b',
      'diff --git a/c.txt b/c.txt',
      'deleted file mode 100644',
      '--- a/c.txt',
      '+++ /dev/null',
      '@@ -1 +0,0 @@',
      '-c',
      '',
    ].join('\n');
    const digests = [
      { path: 'a.txt', digest: a },
      { path: './c.txt', digest: c },
    ];
    assert.match(
      await done('apply_patch', { patch, digests }),
      /^Changed a\.txt.*\nCreated new\/b\.txt.*\nDeleted c\.txt\.$/,
    );
    assert.deepEqual([get('a.txt'), get('new/b.txt'), fs.existsSync(at('c.txt'))], ['A\n', 'b\n-- b\n', false]);
    const again = await done('apply_patch', { patch, digests });
    assert.match(again, /^a\.txt is so already.*\nnew\/b\.txt is so already.*\nc\.txt is deleted already\.$/);
    noLitter();
  });

  it('changes no file where one of them does not fit', async () => {
    const [a, b] = [put('a.txt', 'a\n'), put('b.txt', 'b\n')];
    const patch = '--- a/a.txt\n+++ b/a.txt\n@@\n-a\n+A\n--- a/b.txt\n+++ b/b.txt\n@@\n-nothing\n+B\n';
    const digests = [
      { path: 'a.txt', digest: a },
      { path: 'b.txt', digest: b },
    ];
    assert.equal(await refused('apply_patch', { patch, digests }), 'no_match');
    const other = patch.replace('nothing', 'b');
    assert.equal(await refused('apply_patch', { patch: other, digests: digests.slice(0, 1) }), 'not_read');
    put('b.txt', 'b\nmore\n');
    assert.equal(await refused('apply_patch', { patch: other, digests }), 'stale');
    noLitter();
  });

  it('holds no more at once than its bound', async () => {
    const names = ['a', 'b', 'c'];
    const text = `first\n${'x'.repeat(15 * 1024 * 1024)}\n`;
    const digests = names.map((path) => ({ path, digest: put(path, text) }));
    const patch = names.map((path) => `--- a/${path}\n+++ b/${path}\n@@ -1 +1 @@\n-first\n+second\n`).join('');
    assert.ok(names.length * 2 * text.length > LIMITS.changedBytes);
    assert.equal(await refused('apply_patch', { patch, digests }), 'too_large');
  });

  it('does what is left of a patch of which some files were changed before a crash', async () => {
    const [a, b] = [put('a.txt', 'a\n'), put('b.txt', 'b\n')];
    const patch = '--- a/a.txt\n+++ b/a.txt\n@@\n-a\n+A\n--- a/b.txt\n+++ b/b.txt\n@@\n-b\n+B\n';
    put('a.txt', 'A\n');
    const digests = [
      { path: 'a.txt', digest: a },
      { path: 'b.txt', digest: b },
    ];
    assert.match(await done('apply_patch', { patch, digests }), /^a\.txt is so already.*\nChanged b\.txt/);
    assert.deepEqual([get('a.txt'), get('b.txt')], ['A\n', 'B\n']);
  });

  it('says with the line what is no diff that it does', async () => {
    const put2 = put('a.txt', 'a\n');
    const asks = async (patch: string): Promise<string> =>
      refused('apply_patch', { patch, digests: [{ path: 'a.txt', digest: put2 }] });
    for (const patch of [
      'hello',
      '--- a/a.txt\n+++ b/b.txt\n@@\n-a\n+b\n',
      '--- a/a.txt\n+++ b/a.txt\n',
      '--- a/a.txt\n+++ b/a.txt\n@@\n',
      '--- a/a.txt\n+++ b/a.txt\n@@\n a\n',
      '--- a/a.txt\n+++ b/a.txt\n@@\n-a\nb\n',
      '--- /dev/null\n+++ b/n.txt\n@@\n-a\n',
      '--- a/a.txt\n+++ /dev/null\n@@\n a\n',
      '--- /dev/null\n+++ /dev/null\n',
      'diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n',
      'diff --git a/x b/x\nnew file mode 100644\n',
      'diff --git a/x b/x\nnew file mode 100755\n--- /dev/null\n+++ b/x\n@@\n+x\n',
      '--- "a/a.txt"\n+++ "b/a.txt"\n@@\n-a\n+b\n',
      `--- /dev/null\n+++ b/${'a/'.repeat(3_000)}f\n@@\n+x\n`,
      '--- /dev/null\n+++ b/f\n@@\n+x\n'.repeat(LIMITS.patchedFiles + 1),
    ])
      assert.equal(await asks(patch), 'invalid_patch', patch.slice(0, 80));
    const twice = '--- /dev/null\n+++ b/f\n@@\n+x\n--- /dev/null\n+++ b/./f\n@@\n+y\n';
    assert.equal(await asks(twice), 'invalid_arguments');
    assert.equal(await asks('--- a/a.txt\n+++ /dev/null\n@@\n-other\n'), 'no_match');
  });

  it('tells file by file what was done where it was stopped in the middle', { skip: !linux }, async () => {
    const [a, b] = [put('a.txt', 'a\n'), put('b.txt', 'b\n')];
    const patch = '--- a/a.txt\n+++ b/a.txt\n@@\n-a\n+A\n--- a/b.txt\n+++ b/b.txt\n@@\n-b\n+B\n';
    const meanwhile: Descriptors = {
      ...kernelDescriptors,
      pathOf(handle, openedAs) {
        if (get('a.txt') === 'A\n') put('b.txt', 'meanwhile');
        return kernelDescriptors.pathOf(handle, openedAs);
      },
    };
    const tool = createApplyPatch(() => folderSpace(openRoot({ root: place.root }, meanwhile)), 'apply_patch');
    const digests = [
      { path: 'a.txt', digest: a },
      { path: 'b.txt', digest: b },
    ];
    const { content, isError } = await call([tool], 'apply_patch', { patch, digests });
    assert.equal(isError, undefined, 'it did take effect: that is no failure');
    assert.match(content, /^Changed a\.txt.*\n\[stopped at b\.txt: .* unchanged\]$/);
    assert.deepEqual([get('a.txt'), get('b.txt')], ['A\n', 'meanwhile']);
    noLitter();
  });
});

describe('attempts and askers', () => {
  it('a file whose attempt died before it took its second name away, and never ran again, is read and changed', async () => {
    const leftBehind = (): void => {
      put('sub/a.txt', 'made');
      fs.linkSync(at('sub/a.txt'), at('sub/.perdure-kqkc65abcdefghijklmnopqrst-1-0.tmp'));
    };
    leftBehind();
    const digest = digestTold(await done('read_file', { path: 'sub/a.txt' }));
    assert.equal(fs.statSync(at('sub/a.txt')).nlink, 1);
    await done('write_file', { path: 'sub/a.txt', content: 'changed', digest });
    fs.rmSync(at('sub/a.txt'));
    leftBehind();
    await done('edit_file', { path: 'sub/a.txt', digest, edits: [{ old: 'made', new: 'changed' }] });
    assert.equal(get('sub/a.txt'), 'changed');
    noLitter();
  });

  it('a second name that no attempt has left behind is nobody’s to take away, and the file stays refused', async () => {
    const temporary = '.perdure-kqkc65abcdefghijklmnopqrst-1-0.tmp';
    const digest = put('a.txt', 'made');
    fs.linkSync(at('a.txt'), at('.perdure-notes.tmp'));
    put(temporary, 'of an attempt that goes on');
    assert.equal(await refused('read_file', { path: 'a.txt' }), 'hard_linked');
    assert.equal(await refused('write_file', { path: 'a.txt', content: 'x', digest }), 'hard_linked');
    fs.rmSync(at('.perdure-notes.tmp'));
    fs.rmSync(at(temporary));
    fs.linkSync(at('a.txt'), at(temporary));
    fs.linkSync(at('a.txt'), join(place.base, 'elsewhere'));
    const readOnly = await call(files({ root: place.root }), 'read_file', { path: 'a.txt' });
    assert.deepEqual(
      [readOnly.isError, fs.existsSync(at(temporary))],
      [true, true],
      'who only reads takes nothing away',
    );
    const result = await call(tools, 'read_file', { path: 'a.txt' });
    assert.match(result.content, /^hard_linked/);
    assert.deepEqual([get('a.txt'), fs.statSync(at('a.txt')).nlink], ['made', 2]);
  });

  it('tells and changes nothing of another file that a swapped folder leads to', { skip: !linux }, async () => {
    put('sub/a.txt', 'old');
    const digest = put('other/a.txt', 'new');
    const writing = async (args: object): Promise<string> => {
      let looks = 0;
      // Once the folder of the file is verified, its name leads elsewhere.
      const swapping: Descriptors = {
        ...kernelDescriptors,
        async pathOf(handle, openedAs) {
          const path = await kernelDescriptors.pathOf(handle, openedAs);
          looks += 1;
          if (looks === 1) fs.renameSync(at('sub'), at('moved'));
          if (looks === 1) fs.symlinkSync(at('other'), at('sub'));
          return path;
        },
      };
      const tool = createWriteFile(() => folderSpace(openRoot({ root: place.root }, swapping)), 'write_file');
      const { content, isError } = await call([tool], 'write_file', { path: 'sub/a.txt', ...args });
      assert.equal(isError, true, content);
      fs.rmSync(at('sub'));
      fs.renameSync(at('moved'), at('sub'));
      return content.split(':')[0] ?? '';
    };
    assert.equal(await writing({ content: 'new' }), 'changed', 'that the other file is so already is not said');
    assert.equal(await writing({ content: 'newer', digest }), 'changed');
    assert.deepEqual([get('sub/a.txt'), get('other/a.txt')], ['old', 'new']);
    noLitter();
  });

  it('a later attempt takes away what a lost one had begun, and then does it', async () => {
    const digest = put('a.txt', 'old');
    put('.perdure-key-1-0.tmp', 'half');
    const tool = tools.find(({ name }) => name === 'write_file');
    const context = { ...contextOf(), attempt: 2 };
    await tool?.run({ path: 'a.txt', content: 'new', digest }, context);
    assert.equal(get('a.txt'), 'new');
    noLitter();
  });

  it('of changes at the same moment to one file exactly one is made', async () => {
    const digest = put('a.txt', 'old');
    const asked = Array.from({ length: 8 }, async (_, n) =>
      call(tools, 'write_file', { path: 'a.txt', content: `new ${n}`, digest }),
    );
    const results = await Promise.all(asked);
    assert.equal(results.filter(({ isError }) => isError !== true).length, 1);
    const made = await Promise.all(
      Array.from({ length: 8 }, async (_, n) => call(tools, 'write_file', { path: 'b.txt', content: `${n}` })),
    );
    assert.equal(made.filter(({ isError }) => isError !== true).length, 1);
    noLitter();
  });
});
