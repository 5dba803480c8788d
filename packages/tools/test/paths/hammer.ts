/**
 * A folder in which somebody hostile swaps folders and files for links that lead out, as fast as it can, while what reads
 * and writes it does its work. Nothing outside may be read or changed, whatever wins each race.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, realpathSync, stat, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Tree } from '@perdure/contract';
import type { ToolDefinition } from '@perdure/runtime/ports';
import { createHash } from 'node:crypto';
import { files } from '../../src/index.ts';
import { excludesOf, openTreeFolder } from '../../src/trees/index.ts';
import { contextOf, makePlace } from '../context.ts';
import { SECRET } from './corpus.ts';

export type Hammered = { rounds: number; swaps: number; done: { [what: string]: number } };

const SWAPPER = `
const { parentPort, workerData } = require('node:worker_threads');
const fs = require('node:fs');
const path = require('node:path');
const { root, outside, stop } = workerData;
const flag = new Int32Array(stop);
const at = (name) => path.join(root, name);
const quiet = (work) => { try { work(); } catch {} };
let n = 0;
while (Atomics.load(flag, 0) === 0) {
  const turn = n++ % 6;
  // A folder on the way, the file itself, a second name, a pipe's place: each for a moment something else.
  if (turn === 0) quiet(() => { fs.renameSync(at('sub'), at('sub.kept')); fs.symlinkSync(outside, at('sub')); });
  if (turn === 1) quiet(() => { fs.unlinkSync(at('sub')); fs.renameSync(at('sub.kept'), at('sub')); });
  if (turn === 2) quiet(() => { fs.rmSync(at('sub/file.txt'), { force: true }); fs.symlinkSync(path.join(outside, 'file.txt'), at('sub/file.txt')); });
  if (turn === 3) quiet(() => { fs.rmSync(at('sub/file.txt'), { force: true }); fs.writeFileSync(at('sub/file.txt'), 'inside'); });
  if (turn === 4) quiet(() => { fs.rmSync(at('sub/hard.txt'), { force: true }); fs.linkSync(path.join(outside, 'file.txt'), at('sub/hard.txt')); });
  if (turn === 5) quiet(() => { fs.rmSync(at('deep'), { recursive: true, force: true }); fs.symlinkSync(n % 4 === 1 ? outside : 'sub', at('deep')); });
  if (n % 500 === 0) quiet(() => fs.rmSync(at('deep'), { recursive: true, force: true }));
}
Atomics.store(flag, 1, n);
parentPort.postMessage('done');
`;

/** Runs until `over` says so. Throws where anything outside was read or changed. */
export async function hammer(over: () => boolean): Promise<Hammered> {
  using place = makePlace();
  const outside = join(realpathSync(place.base), 'outside');
  for (const folder of [place.root, outside, join(place.root, 'sub')]) mkdirSync(folder);
  const kept: { [name: string]: string } = { 'file.txt': SECRET, 'victim.txt': SECRET, 'new.txt': SECRET };
  for (const [name, text] of Object.entries(kept)) writeFileSync(join(outside, name), text);
  writeFileSync(join(place.root, 'sub/file.txt'), 'inside');
  const stop = new SharedArrayBuffer(8);
  const flag = new Int32Array(stop);
  const worker = new Worker(SWAPPER, { eval: true, workerData: { root: place.root, outside, stop } });
  // glibc 2.27 to 2.40 may lose the signal that wakes Node's file threads (its bug 25847): who asks one at a time wakes them.
  const waking = setInterval(() => stat(outside, () => undefined), 1_000);
  const done: { [what: string]: number } = {};
  let rounds = 0;
  try {
    const work = { ...workOn(place.root), ...ruledWorkOn(realpathSync(place.base)) };
    while (!over()) {
      rounds += 1;
      const now = rounds;
      const each = Object.entries(work).map(async ([what, run]) => {
        const said = await run(now).catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
        assert.ok(!said.includes(SECRET), `${what} told what is outside, in round ${now}: ${said}`);
        done[what] = (done[what] ?? 0) + (said.startsWith('!') ? 1 : 0);
      });
      await Promise.all(each);
      assert.deepEqual(textsIn(outside), kept, `something outside was changed, in round ${rounds}`);
    }
  } finally {
    clearInterval(waking);
    Atomics.store(flag, 0, 1);
    await new Promise<void>((resolve) => void worker.once('exit', () => resolve()));
  }
  assert.deepEqual(textsIn(outside), kept, 'something outside was changed');
  return { rounds, swaps: Atomics.load(flag, 1), done };
}

function textsIn(folder: string): { [name: string]: string } {
  return Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}

type Work = { [what: string]: (round: number) => Promise<string> };

/** Each does one thing and gives what it learned; `!` before it: it got through. */
function workOn(root: string): Work {
  const tools = files({ root, write: true });
  const folder = openTreeFolder(root);
  const { signal } = new AbortController();
  const none = excludesOf([]);
  const call = async (name: string, args: unknown): Promise<string> => {
    const tool = tools.find((each: ToolDefinition) => each.name === name);
    const result = await tool?.run(args, contextOf());
    const said = JSON.stringify(result);
    return `${said.includes('"isError":true') ? '' : '!'}${said}`;
  };
  const told = async (tree: Tree): Promise<string> => {
    let said = '!';
    for (const [path, node] of tree)
      if ('digest' in node) said += await folder.read(path, node, signal).then(String, () => 'gone');
    return said;
  };
  const content = async (): Promise<Uint8Array> => Buffer.from('placed');
  const digest = createHash('sha256').update('placed').digest('base64url');
  const after = { digest, bytes: 6 };
  let keys = 0;
  const placing = () => ({ content, signal, key: `k${++keys}` });
  const place = async (path: string): Promise<string> => {
    await folder.place({ path, before: undefined, after }, placing());
    return '!placed';
  };
  return {
    read: async () => call('read_file', { path: 'sub/file.txt' }),
    list: async () => call('list_files', { path: 'sub' }),
    grep: async () => call('grep', { pattern: '.' }),
    write: async (round) => call('write_file', { path: `sub/new${round % 7}.txt`, content: 'written' }),
    overwrite: async () => call('write_file', { path: 'sub/victim.txt', content: 'written' }),
    'write below a link': async (round) =>
      call('write_file', { path: `deep/er/n${round % 5}.txt`, content: 'written' }),
    scan: async () => told((await folder.scan(none, signal)).tree),
    place: async (round) => place(`sub/placed${round}.txt`),
    'place over': async () => place('sub/new.txt'),
    'place below a link': async (round) => place(`deep/placed${round}.txt`),
    remove: async (round) => {
      await folder.place({ path: `sub/placed${round}.txt`, before: after, after: undefined }, placing());
      return '!removed';
    },
    'remove what is kept': async () => {
      const before = { digest: createHash('sha256').update(SECRET).digest('base64url'), bytes: SECRET.length };
      await folder.place({ path: 'sub/victim.txt', before, after: undefined }, placing());
      return '!removed';
    },
  };
}

/**
 * The same by tools whose root holds both folders, and a rule that denies the one outside: what leads there when it is ruled
 * on is not run, and what is run is held to where it led.
 */
function ruledWorkOn(base: string): Work {
  const tools = files({ root: base, write: true });
  const call = async (name: string, args: unknown): Promise<string> => {
    const tool = tools.find((each: ToolDefinition) => each.name === name);
    const reached = (await tool?.reaches?.(args, contextOf())) ?? [];
    if (reached.some(({ path }) => /^outside(?:\/|$)/.test(path))) return 'denied';
    const said = JSON.stringify(await tool?.run(args, { ...contextOf(), reached }));
    return `${said.includes('"isError":true') ? '' : '!'}${said}`;
  };
  return {
    'read by rule': async () => call('read_file', { path: 'root/sub/file.txt' }),
    'grep by rule': async () => call('grep', { pattern: '.', path: 'root' }),
    'grep below by rule': async () => call('grep', { pattern: '.', path: 'root/sub' }),
    'write by rule': async (round) =>
      call('write_file', { path: `root/sub/ruled${round % 7}.txt`, content: 'written' }),
    'write below a link by rule': async (round) =>
      call('write_file', { path: `root/deep/er/r${round % 5}.txt`, content: 'written' }),
  };
}
