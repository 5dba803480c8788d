// The file tools against a thread that swaps folders and files for links to the outside, as fast as it can.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, stat, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ToolContext, ToolDefinition } from '@perdure/runtime/ports';
import { files } from '@perdure/tools';

const CANARY = 'the-outside-was-read';
const ASKED: readonly (readonly [string, object])[] = [
  ['read_file', { path: 'a/b/file.txt' }],
  ['read_file', { path: 'file.txt' }],
  ['list_files', { path: 'a/b' }],
  ['glob', { pattern: '**/*.txt' }],
  ['grep', { pattern: 'outside', path: 'a' }],
];

/** Swaps a folder, its parent and a file, each for a link and back. */
const SWAPPER = `
  const fs = require('node:fs');
  const { root, outside, stop } = require('node:worker_threads').workerData;
  const flags = new Int32Array(stop);
  const swap = (name, target) => {
    fs.symlinkSync(target, root + '/link');
    fs.renameSync(root + '/' + name, root + '/kept');
    fs.renameSync(root + '/link', root + '/' + name);
    fs.unlinkSync(root + '/' + name);
    fs.renameSync(root + '/kept', root + '/' + name);
    Atomics.add(flags, 1, 1);
  };
  while (Atomics.load(flags, 0) === 0) {
    swap('a/b', outside + '/b');
    swap('a', outside);
    swap('file.txt', outside + '/file.txt');
  }
`;

export type Hammered = { answers: number; refused: number; swaps: number; leaked: number };

export async function hammerFiles(forMs: number): Promise<Hammered> {
  const base = realpathSync(mkdtempSync(join(tmpdir(), 'perdure-hammer-')));
  const [root, outside] = [join(base, 'root'), join(base, 'outside')];
  for (const [folder, text] of [
    [join(root, 'a'), 'inside'],
    [outside, CANARY],
  ] as const) {
    mkdirSync(join(folder, 'b'), { recursive: true });
    for (const name of ['b/file.txt', `b/${text}.txt`, 'file.txt']) writeFileSync(join(folder, name), text);
  }
  writeFileSync(join(root, 'file.txt'), 'inside');
  const stop = new SharedArrayBuffer(8);
  const flags = new Int32Array(stop);
  const swapper = new Worker(SWAPPER, { eval: true, workerData: { root, outside, stop } });
  const ended = new Promise((resolve, reject) => swapper.once('exit', resolve).once('error', reject));
  // glibc 2.27 to 2.40 may lose the signal that wakes Node's file threads (its bug 25847). Asked one at a time, as here,
  // nothing would ever follow that wakes them again.
  const waking = setInterval(() => stat(base, () => undefined), 1_000);
  try {
    const seen = await ask(files({ root }), performance.now() + forMs);
    Atomics.store(flags, 0, 1);
    await ended;
    return { ...seen, swaps: flags[1] ?? 0 };
  } finally {
    clearInterval(waking);
    Atomics.store(flags, 0, 1);
    await swapper.terminate();
    rmSync(base, { recursive: true, force: true });
  }
}

async function ask(tools: readonly ToolDefinition[], until: number): Promise<Omit<Hammered, 'swaps'>> {
  const seen = { answers: 0, refused: 0, leaked: 0 };
  const { signal } = new AbortController();
  // Of all that the runtime gives to a tool these look at the signal alone.
  const context = { signal } as ToolContext;
  while (performance.now() < until) {
    const answers = await Promise.all(
      ASKED.map(async ([name, args]) => tools.find((tool) => tool.name === name)?.run(args, context)),
    );
    for (const answer of answers) {
      const text = JSON.stringify(answer);
      seen.answers += 1;
      if (text.includes(CANARY)) seen.leaked += 1;
      if (text.includes('"isError":true')) seen.refused += 1;
    }
  }
  return seen;
}
