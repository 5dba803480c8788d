/** How long a sandbox takes until its command begins, beside bubblewrap with namespaces and programs alone, in turns. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync } from 'node:fs';
import { system } from '@perdure/runtime';
import type { SandboxLimits } from '@perdure/runtime/ports';
import { createBubblewrap } from '@perdure/tools';
import { LIMITS } from '../packages/tools/src/limits.ts';
import type { Row } from './measure.ts';

type Options = { directory: string; starts: number; say: (text: string) => void; report: (row: Row) => void };

const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const FLOOR = ['--unshare-all', '--ro-bind', '/usr', '/usr', '--symlink', 'usr/bin', '/bin'];
const LINKS = ['--symlink', 'usr/lib', '/lib', '--symlink', 'usr/lib64', '/lib64', '--proc', '/proc', '--dev', '/dev'];

export async function sandbox({ directory, starts, say, report }: Options): Promise<object> {
  say(`sandbox: ${starts} commands, one after another`);
  mkdirSync(directory);
  if (NOBODY.uid !== undefined) chownSync(directory, NOBODY.uid, NOBODY.gid);
  const bubblewrap = createBubblewrap({ timers: system.timers });
  const limits: SandboxLimits = { ...LIMITS.shell, timeoutMs: LIMITS.commandMs };
  const folders = [{ path: directory, at: '/workspace', write: true }];
  const options = { folders, cwd: '/workspace', env: {}, hosts: [], input: false, limits };
  const begun: number[] = [];
  const ended: number[] = [];
  const floor: number[] = [];
  const start = async (): Promise<void> => {
    const from = performance.now();
    const command = await bubblewrap.run(['/bin/true'], options);
    begun.push(performance.now() - from);
    await Promise.all([drained(command.stdout), drained(command.stderr), command.ended]);
    ended.push(performance.now() - from);
  };
  const bare = async (): Promise<void> => {
    const from = performance.now();
    const child = spawn('bwrap', [...FLOOR, ...LINKS, 'true'], { stdio: 'ignore', cwd: '/', ...NOBODY });
    await once(child, 'exit');
    floor.push(performance.now() - from);
  };
  for (let n = 0; n < starts; n += 1) {
    await start();
    await bare();
  }
  await bubblewrap.close();
  const line = (name: string, all: number[]): void =>
    say(`  ${name.padEnd(32)} p10 ${at(all, 0.1)} ms  p50 ${at(all, 0.5)} ms  p90 ${at(all, 0.9)} ms`);
  line('until the command begins', begun);
  line('until it has ended', ended);
  line('bubblewrap alone, until its end', floor);
  report({
    name: 'sandbox, until the command begins, p50',
    value: Number(at(begun, 0.5)),
    unit: 'ms',
    target: 14,
    aim: 10,
  });
  return { sandbox: { begun: figures(begun), ended: figures(ended), floor: figures(floor) } };
}

async function drained(pieces: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of pieces);
}

const at = (all: number[], share: number): string =>
  (all.toSorted((one, other) => one - other)[Math.floor(all.length * share)] ?? 0).toFixed(1);
const figures = (all: number[]): object => ({ p10Ms: at(all, 0.1), p50Ms: at(all, 0.5), p90Ms: at(all, 0.9) });
