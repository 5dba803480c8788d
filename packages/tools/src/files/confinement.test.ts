import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { createServer, type Server } from 'node:net';
import { basename, dirname, join, relative } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Worker } from 'node:worker_threads';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { call, makePlace } from '../../test/context.ts';
import { createGlob } from './glob.ts';
import { createGrep } from './grep.ts';
import { createApplyPatch } from './apply-patch.ts';
import { digestOf } from './content.ts';
import { createEditFile } from './edit-file.ts';
import { files } from './index.ts';
import { createListFiles } from './list-files.ts';
import { createReadFile } from './read-file.ts';
import { createWriteFile } from './write-file.ts';
import { identityDescriptors, kernelDescriptors, openReal, openRoot, type Descriptors } from './root.ts';
import { folderSpace } from './folder.ts';

const linux = process.platform === 'linux';
const CANARY = 'CANARY';

/** A root full of traps. The folder outside has a name that starts with the root's: a prefix is no containment. */
function buildTraps() {
  const place = makePlace();
  const { base, root } = place;
  const outside = join(base, 'root-outside');
  fs.mkdirSync(join(root, 'sub/deep'), { recursive: true });
  fs.mkdirSync(join(outside, `${CANARY}-folder`), { recursive: true });
  fs.writeFileSync(join(root, 'inside.txt'), 'inside\n');
  fs.writeFileSync(join(root, 'sub/deep/inside.txt'), 'deep inside\n');
  const secret = join(outside, `${CANARY}-name.txt`);
  fs.writeFileSync(secret, `${CANARY}-text\n`);
  fs.mkdirSync(join(root, 'private'));
  fs.writeFileSync(join(root, 'private', `${CANARY}-hidden.txt`), `${CANARY}-text\n`);
  for (const folder of [outside, join(root, 'private')]) fs.writeFileSync(join(folder, `${CANARY}-unasked`), '');
  const descriptor = fs.openSync(secret, 'r');
  const link = (name: string, target: string): void => fs.symlinkSync(target, join(root, name));
  const traps: string[] = [];
  const trap = (target: string): void => {
    const name = `trap${traps.length}`;
    link(name, target);
    traps.push(name);
  };
  for (const target of [secret, outside, base, dirname(base), '/', '..', '../', '../.', './..', 'sub/../..'])
    trap(target);
  for (const target of ['../root-outside', `../root-outside/${basename(secret)}`, 'sub/../../root-outside'])
    trap(target);
  for (const target of ['/proc', '/proc/self', '/proc/self/root', '/proc/self/cwd', '/proc/self/fd']) trap(target);
  for (const target of [`/proc/self/fd/${descriptor}`, `/dev/fd/${descriptor}`, '/proc/self/environ']) trap(target);
  for (const target of ['/dev/zero', '/dev/stdin', '/dev/null', '/etc/passwd', 'private']) trap(target);
  for (const target of [`/proc/self/root${secret}`, `/proc/${process.pid}/root${outside}`, 'trap0', 'trap1', 'trap4'])
    trap(target);
  link('sub/up', '../..');
  traps.push('sub/up');
  link('loop-a', 'loop-b');
  link('loop-b', 'loop-a');
  link('dangling', join(outside, 'not-there'));
  fs.linkSync(secret, join(root, 'hard.txt'));
  if (process.platform !== 'win32') execFileSync('mkfifo', [join(root, 'fifo')]);
  return { ...place, outside, secret, descriptor, traps };
}

type Traps = ReturnType<typeof buildTraps>;

/** Paths that mean something outside of the root, or would if they were read carelessly. */
function hostilePaths({ base, root, outside, secret, descriptor, traps }: Traps): string[] {
  const name = basename(secret);
  const there = [`root-outside/${name}`, 'root-outside', `root-outside/${CANARY}-folder`];
  const ups = ['../', './../', 'sub/../../', 'sub/deep/../../../', '..//', './/..//', 'sub/./.././../', '../root/../'];
  const paths = ups.flatMap((up) => there.map((to) => up + to));
  for (let depth = 1; depth <= 12; depth++)
    paths.push('../'.repeat(depth) + relative('/', secret), `${'../'.repeat(depth)}etc/passwd`, '../'.repeat(depth));
  for (const trick of ['%2e%2e/', '%2e%2e%2f', '..%2f', '..%c0%af', '．．/', '..／', '․․/', '..;/', '..\u200b/'])
    paths.push(...there.map((to) => trick + to));
  for (const trick of [
    '..\\',
    '..\\/',
    '..\u2215',
    '..\u2044',
    '\u202e../',
    ' ../',
    '../ ',
    '..\n/',
    '..\r\n/',
    '....//',
  ])
    paths.push(...there.map((to) => trick + to));
  const absolutes = [secret, outside, base, dirname(base), '/', '/etc/passwd', '/etc', `${root}-outside/${name}`];
  for (const path of absolutes) {
    paths.push(path, `/${path}`, `/.${path}`, `${path}/`, `${path}/.`, `file://${path}`, `/proc/self/root${path}`);
    paths.push(`/proc/${process.pid}/root${path}`, `/proc/thread-self/root${path}`, `${root}/..${path}`, `~${path}`);
  }
  paths.push(`${root}/../root-outside/${name}`, `${root}/sub/../../root-outside/${name}`, `${root}//..//root-outside`);
  for (const path of ['environ', 'cmdline', 'maps', 'cwd', 'root', 'fd', `fd/${descriptor}`, 'exe', 'mem'])
    paths.push(`/proc/self/${path}`, `/proc/${process.pid}/${path}`);
  paths.push(
    `/dev/fd/${descriptor}`,
    '/dev/zero',
    '/dev/stdin',
    '/dev/tty',
    '/dev/random',
    '~',
    '~/',
    '~root/.profile',
  );
  const ends = ['', '/', `/${name}`, '/root-outside', `/root-outside/${name}`, `${secret}`, '/.', '/..', '/../..'];
  for (const trap of traps) paths.push(...ends.map((end) => trap + end));
  for (const nul of ['inside.txt\0', `${secret}\0`, `\0${secret}`, `../root-outside/${name}\0.txt`, 'sub\0/../..'])
    paths.push(nul);
  paths.push('hard.txt', './hard.txt', 'fifo', 'loop-a', 'loop-a/x', 'dangling', `dangling/../${name}`, 'private');
  paths.push(`private/${CANARY}-hidden.txt`, `sub/../private/${CANARY}-hidden.txt`, `private/../private`);
  paths.push('a/'.repeat(3_000), 'x'.repeat(5_000), `${'sub/../'.repeat(500)}../root-outside/${name}`);
  return [...new Set(paths)];
}

const toolsOn = (root: string, descriptors: Descriptors): ToolDefinition[] => {
  const space = folderSpace(openRoot({ root, hide: ['private'] }, descriptors));
  const confined = () => space;
  return [
    createReadFile(confined, 'read_file', { digests: false }),
    createListFiles(confined, 'list_files'),
    createGlob(confined, 'glob'),
    createGrep(confined, 'grep'),
  ];
};

const writersOn = (root: string, descriptors: Descriptors): ToolDefinition[] => {
  const space = folderSpace(openRoot({ root, hide: ['private'] }, descriptors));
  const confined = () => space;
  return [
    createWriteFile(confined, 'write_file'),
    createEditFile(confined, 'edit_file'),
    createApplyPatch(confined, 'apply_patch'),
  ];
};

/** Every file below some folders with what is in it, links as their targets. */
function contentsOf(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    fs
      .readdirSync(folder, { recursive: true, withFileTypes: true })
      .map((entry) => {
        const path = join(entry.parentPath, entry.name);
        if (entry.isFile()) return `${path} ${fs.statSync(path).ino} ${fs.readFileSync(path, 'latin1')}`;
        return entry.isSymbolicLink() ? `${path} -> ${fs.readlinkSync(path)}` : path;
      })
      .toSorted(),
  );
}

/** What no question holds: the text of the outside and hidden files, a name beside them, the first line of passwd. */
const SECRET = /CANARY-(text|unasked)|root:[^\n]*:0:0:/;

describe('the file tools', () => {
  let traps: Traps;
  let socket: Server;
  before(async () => {
    traps = buildTraps();
    socket = createServer();
    await new Promise<void>((listening) => socket.listen(join(traps.root, 'socket'), listening));
  });
  after(() => {
    socket.close();
    fs.closeSync(traps.descriptor);
    traps[Symbol.dispose]();
  });

  const strategies: [string, Descriptors][] = [['by identity', identityDescriptors]];
  if (linux) strategies.unshift(['by the kernel', kernelDescriptors]);
  for (const [title, descriptors] of strategies) {
    it(`never show anything outside the root, however it is asked for (${title})`, async () => {
      const tools = toolsOn(traps.root, descriptors);
      const paths = hostilePaths(traps);
      let calls = 0;
      for (const path of paths) {
        const asked: [string, unknown][] = [
          ['read_file', { path }],
          ['list_files', { path }],
          ['glob', { pattern: '**', path }],
          ['grep', { pattern: '.', path }],
          ['glob', { pattern: `${path}/**` }],
          ['grep', { pattern: '.', include: path }],
        ];
        for (const [tool, args] of descriptors === identityDescriptors ? asked.slice(0, 2) : asked) {
          const answer = await call(tools, tool, args);
          assert.doesNotMatch(JSON.stringify(answer), SECRET, `${tool} ${JSON.stringify(args)}`);
          if (tool === 'read_file') assert.equal(answer.isError, true, `${tool} ${path}`);
          calls += 1;
        }
      }
      assert.ok(paths.length >= 200, `only ${paths.length} paths`);
      assert.ok(calls >= 2 * paths.length);
    });
  }

  it('show nothing of a file whose name inside is taken away while it is opened', { skip: !linux }, async () => {
    const hard = join(traps.root, 'fleeting.txt');
    const secret = join(traps.root, '../root-outside/linked-once.txt');
    fs.writeFileSync(secret, `${CANARY}-text\n`);
    for (const when of ['before', 'after'] as const) {
      const linked = when === 'after';
      if (linked) fs.linkSync(secret, hard);
      else fs.writeFileSync(hard, `${CANARY}-text\n`);
      const swapped: Descriptors = {
        ...kernelDescriptors,
        async pathOf(handle, at) {
          if (at === hard && !linked) fs.rmSync(hard);
          const path = await kernelDescriptors.pathOf(handle, at);
          if (at === hard && linked) fs.rmSync(hard);
          return path;
        },
      };
      const answer = await call(toolsOn(traps.root, swapped), 'read_file', { path: 'fleeting.txt' });
      assert.doesNotMatch(JSON.stringify(answer), SECRET, `its name is taken away ${when} its path is asked for`);
      fs.rmSync(hard, { force: true });
    }
  });

  it('are asked for paths of which many do reach the outside when read carelessly', () => {
    const reached = hostilePaths(traps).filter((path) => {
      try {
        const real = fs.realpathSync(path.startsWith('/') ? path : `${traps.root}/${path}`);
        return !real.startsWith(`${traps.root}/`);
      } catch {
        return false;
      }
    });
    assert.ok(reached.length >= 200, `only ${reached.length}`);
  });

  for (const [title, descriptors] of strategies) {
    it(`never change anything outside the root or hidden, however it is asked for (${title})`, async () => {
      // What is written within the root would be in the way of the other tests.
      using traps = buildTraps();
      const tools = writersOn(traps.root, descriptors);
      const kept = [traps.outside, join(traps.root, 'private')];
      const before = contentsOf(...kept);
      const beside = fs.readdirSync(traps.base);
      // The digest of what is out there, so that nothing but the place stands in the way.
      const digest = digestOf(Buffer.from(`${CANARY}-text\n`));
      const tried = new Set<string>();
      for (const path of hostilePaths(traps)) {
        const edits = [{ old: CANARY, new: 'changed' }];
        const patch = `--- a/${path}\n+++ /dev/null\n@@ -1 +0,0 @@\n-${CANARY}-text\n`;
        for (const [tool, args] of [
          ['write_file', { path, content: 'changed', digest }],
          ['edit_file', { path, digest, edits }],
          ['apply_patch', { patch, digests: [{ path, digest }] }],
          ['write_file', { path, content: 'new' }],
        ] as const)
          tried.add((await call(tools, tool, args)).content.split(':')[0] ?? '');
      }
      for (const code of ['outside_root', 'hidden', 'not_found', 'hard_linked', 'invalid_path', 'link_loop'])
        assert.ok(tried.has(code), code);
      assert.deepEqual(contentsOf(...kept), before);
      assert.deepEqual(fs.readdirSync(traps.base), beside);
      assert.ok(fs.readdirSync('/dev/fd').length > 0 && fs.statSync('/dev/null').isCharacterDevice());
    });
  }

  it('do not write a file with a second name; where the operator allows it, the other name keeps its file', async () => {
    const digest = digestOf(Buffer.from(`${CANARY}-text\n`));
    const written = { path: 'hard.txt', content: 'changed', digest };
    const refused = await call(writersOn(traps.root, kernelDescriptors), 'write_file', written);
    assert.match(refused.content, /^hard_linked: /);
    const tools = files({ root: traps.root, hardLinks: 'allow', write: true });
    assert.match((await call(tools, 'write_file', written)).content, /^Changed hard\.txt/);
    assert.equal(fs.readFileSync(traps.secret, 'utf8'), `${CANARY}-text\n`);
    fs.rmSync(join(traps.root, 'hard.txt'));
    fs.linkSync(traps.secret, join(traps.root, 'hard.txt'));
  });

  it('write through a link that stays within, to the file and not over the link', async () => {
    fs.symlinkSync('sub/deep', join(traps.root, 'within'));
    fs.symlinkSync('inside.txt', join(traps.root, 'sub/deep/alias.txt'));
    const tools = writersOn(traps.root, kernelDescriptors);
    const digest = digestOf(Buffer.from('deep inside\n'));
    const { content } = await call(tools, 'edit_file', {
      path: 'within/alias.txt',
      digest,
      edits: [{ old: 'deep', new: 'deeper' }],
    });
    assert.match(content, /^Changed sub\/deep\/inside\.txt/);
    assert.equal(fs.readFileSync(join(traps.root, 'sub/deep/inside.txt'), 'utf8'), 'deeper inside\n');
    assert.ok(fs.lstatSync(join(traps.root, 'sub/deep/alias.txt')).isSymbolicLink());
    fs.writeFileSync(join(traps.root, 'sub/deep/inside.txt'), 'deep inside\n');
    assert.match(
      (await call(tools, 'write_file', { path: 'within/made.txt', content: 'x' })).content,
      /^Created sub\/deep\/made/,
    );
  });

  it('say with a code why a path is refused', async () => {
    const tools = toolsOn(traps.root, kernelDescriptors);
    const codeOf = async (path: string, tool = 'read_file'): Promise<string> => {
      const { content, isError } = await call(tools, tool, { path });
      assert.equal(isError, true, path);
      return content.split(':')[0] ?? '';
    };
    assert.equal(await codeOf('../root-outside'), 'outside_root');
    assert.equal(await codeOf(traps.secret), 'outside_root');
    assert.equal(await codeOf('trap0'), 'outside_root');
    assert.equal(await codeOf('dangling'), 'outside_root', 'whether something is there is not told');
    assert.equal(await codeOf('trap1/x'), 'outside_root');
    assert.equal(await codeOf('loop-a'), 'link_loop');
    assert.equal(await codeOf('inside.txt\0'), 'invalid_path');
    assert.equal(await codeOf('hard.txt'), 'hard_linked');
    assert.equal(await codeOf('fifo'), 'not_a_file');
    assert.equal(await codeOf('socket'), 'not_a_file');
    assert.equal(await codeOf('sub'), 'not_a_file');
    assert.equal(await codeOf('inside.txt', 'list_files'), 'not_a_directory');
    assert.equal(await codeOf('nothing'), 'not_found');
    assert.equal(await codeOf('inside.txt/x'), 'not_found');
    assert.equal(await codeOf('x'.repeat(300)), 'invalid_path');
    assert.equal(await codeOf('private/x'), 'hidden');
    assert.equal(await codeOf('sub/../private'), 'hidden');
  });

  it('follow links that stay within, and take absolute paths that lie within', async () => {
    const { root } = traps;
    const tools = toolsOn(root, kernelDescriptors);
    fs.symlinkSync('deep', join(root, 'sub/shallow'));
    fs.symlinkSync(join(root, 'sub'), join(root, 'to-sub'));
    for (const path of ['sub/shallow/inside.txt', 'to-sub/shallow/inside.txt', join(root, 'sub/deep/inside.txt')]) {
      const { content, details } = await call(tools, 'read_file', { path });
      assert.equal(content, 'deep inside');
      assert.equal((details as { path: string }).path, 'sub/deep/inside.txt');
    }
  });

  it('do not list, find or search what is hidden, nor open it by its real path', async () => {
    const tools = toolsOn(traps.root, kernelDescriptors);
    for (const [tool, args] of [
      ['list_files', {}],
      ['glob', { pattern: '**' }],
      ['grep', { pattern: '.' }],
    ] as const) {
      const { content, isError } = await call(tools, tool, args);
      assert.equal(isError, undefined);
      assert.match(content, /inside\.txt/);
      assert.doesNotMatch(content, /private|CANARY/);
    }
    const root = openRoot({ root: traps.root, hide: ['private'] });
    const hidden = join(traps.root, 'private', `${CANARY}-hidden.txt`);
    await assert.rejects(openReal(root, hidden, 'file'), { code: 'hidden' });
  });

  it('hide what a hidden link points at', async () => {
    fs.symlinkSync('sub/deep', join(traps.root, 'data'));
    const tools = files({ root: traps.root, hide: ['data'] });
    for (const path of ['data/inside.txt', 'sub/deep/inside.txt'])
      assert.match((await call(tools, 'read_file', { path })).content, /^hidden: /);
  });

  it('show a file with a second name only where the operator allows it', async () => {
    const tools = files({ root: traps.root, hardLinks: 'allow' });
    assert.match((await call(tools, 'read_file', { path: 'hard.txt' })).content, /CANARY-text/);
  });

  it('are not made over a folder that is missing, a file, the whole disk or the process table', () => {
    const roots = [join(traps.root, 'nothing'), join(traps.root, 'inside.txt'), '/', ...(linux ? ['/proc/self'] : [])];
    for (const root of roots) assert.throws(() => files({ root }), { code: 'invalid_root' });
    assert.throws(() => files({ root: traps.root, prefix: 'a b' }), { code: 'invalid_prefix' });
  });
});

describe('while names are swapped under them, the file tools', { skip: !linux }, () => {
  /** A thread that makes `folder` and `file.txt` of the root be themselves and links to the outside, by turns. */
  const SWAPPER = `
    const { workerData: { root, outside, stop } } = require('node:worker_threads');
    const fs = require('node:fs');
    const at = (name) => root + '/' + name;
    const flag = new Int32Array(stop);
    const attempt = (work) => {
      try { work(); return true; } catch { return false; }
    };
    while (Atomics.load(flag, 0) === 0) {
      fs.renameSync(at('folder'), at('folder-kept'));
      const swapped = attempt(() => fs.symlinkSync(outside, at('folder')));
      fs.symlinkSync(outside + '/file.txt', at('file-link'));
      fs.renameSync(at('file-link'), at('file.txt'));
      if (swapped) fs.unlinkSync(at('folder'));
      // A writer may have made the folder anew while it was away.
      while (!attempt(() => fs.renameSync(at('folder-kept'), at('folder'))))
        attempt(() => fs.rmSync(at('folder'), { recursive: true, force: true }));
      fs.writeFileSync(at('file-new'), 'benign');
      fs.renameSync(at('file-new'), at('file.txt'));
      Atomics.add(flag, 1, 1);
    }
  `;

  /**
   * Runs `each` so often while the names are swapped, and up to ten times as often until it has seen enough: a busy
   * machine may leave them swapped, or not, for many rounds. Gives how often they were.
   */
  async function whileSwapping(
    rounds: number,
    each: (at: { root: string; outside: string }, round: number) => Promise<void>,
    hasSeenEnough: () => boolean,
  ): Promise<number> {
    using place = makePlace();
    const { root, base } = place;
    const outside = join(base, 'outside');
    for (const [folder, text] of [
      [join(root, 'folder'), 'benign'],
      [outside, `${CANARY}-text`],
    ] as const) {
      fs.mkdirSync(folder, { recursive: true });
      fs.writeFileSync(join(folder, 'file.txt'), text);
    }
    fs.writeFileSync(join(outside, `${CANARY}-name`), '');
    fs.writeFileSync(join(root, 'file.txt'), 'benign');
    const before = contentsOf(outside);
    const stop = new SharedArrayBuffer(8);
    const swapper = new Worker(SWAPPER, { eval: true, workerData: { root, outside, stop } });
    const ended = new Promise((resolve, reject) => swapper.once('exit', resolve).once('error', reject));
    const flag = new Int32Array(stop);
    const isEnough = (): boolean => hasSeenEnough() && Atomics.load(flag, 1) > 0;
    for (let round = 0; round < rounds || (round < 10 * rounds && !isEnough()); round++)
      await each({ root, outside }, round);
    Atomics.store(flag, 0, 1);
    await ended;
    assert.deepEqual(contentsOf(outside), before);
    return flag[1] ?? 0;
  }

  async function hammer(descriptors: Descriptors, asked: readonly [string, unknown][], rounds: number) {
    const seen = { benign: 0, refused: 0, leaked: 0 };
    const each = async ({ root }: { root: string }): Promise<void> => {
      const tools = toolsOn(root, descriptors);
      const answers = await Promise.all(asked.map(([tool, args]) => call(tools, tool, args)));
      for (const answer of answers) {
        if (JSON.stringify(answer).includes(CANARY)) seen.leaked += 1;
        else seen[answer.isError === true ? 'refused' : 'benign'] += 1;
      }
    };
    const swaps = await whileSwapping(rounds, each, () => seen.benign > 0 && seen.refused > 0);
    return { ...seen, swaps };
  }

  it('never write where a swapped name leads to', async () => {
    const seen = { written: 0, refused: 0 };
    const [benign, secret] = ['benign', `${CANARY}-text`].map((text) => digestOf(Buffer.from(text)));
    const each = async ({ root }: { root: string }, round: number): Promise<void> => {
      const tools = writersOn(root, kernelDescriptors);
      const edits = [{ old: CANARY, new: 'changed' }];
      const asked: [string, unknown][] = [
        ['write_file', { path: `folder/new${round}.txt`, content: 'new' }],
        ['write_file', { path: `folder/deep${round}/new.txt`, content: 'new' }],
        ['write_file', { path: 'file.txt', content: 'changed', digest: benign }],
        ['write_file', { path: 'folder/file.txt', content: 'changed', digest: secret }],
        ['edit_file', { path: 'folder/file.txt', digest: secret, edits }],
        ['edit_file', { path: 'file.txt', digest: secret, edits }],
      ];
      for (const answer of await Promise.all(asked.map(([tool, args]) => call(tools, tool, args))))
        seen[answer.isError === true ? 'refused' : 'written'] += 1;
    };
    const swaps = await whileSwapping(300, each, () => seen.written > 0 && seen.refused > 0);
    assert.ok(seen.written > 0 && seen.refused > 0 && swaps > 0, JSON.stringify({ ...seen, swaps }));
  });

  it('never show what a swapped name leads to', async () => {
    const asked: [string, unknown][] = [
      ['read_file', { path: 'file.txt' }],
      ['read_file', { path: 'folder/file.txt' }],
      ['list_files', { path: 'folder' }],
      ['glob', { pattern: '**/*' }],
      ['grep', { pattern: '.' }],
      ['grep', { pattern: '.', path: 'folder' }],
    ];
    const seen = await hammer(kernelDescriptors, asked, 150);
    assert.equal(seen.leaked, 0);
    assert.ok(seen.benign > 0 && seen.refused > 0 && seen.swaps > 0, JSON.stringify(seen));
  });

  it('never read it either where only the identity of the file can be compared', async () => {
    const asked: [string, unknown][] = [
      ['read_file', { path: 'file.txt' }],
      ['read_file', { path: 'folder/file.txt' }],
    ];
    const seen = await hammer(identityDescriptors, asked, 800);
    assert.equal(seen.leaked, 0);
    assert.ok(seen.benign > 0 && seen.refused > 0 && seen.swaps > 0, JSON.stringify(seen));
  });
});
