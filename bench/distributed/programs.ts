/** The programs of the distributed bench: each in a process of its own, started with what it is to do. */
import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Measured } from '../measure.ts';

const NODE = [process.execPath, ['--disable-warning=ExperimentalWarning']] as const;
const place = (name: string): string => join(import.meta.dirname, `${name}.ts`);

/** Runs a program to its end and reads what it measured from its last line. */
export async function measured(name: string, ...args: readonly string[]): Promise<Measured> {
  const { stdout } = await promisify(execFile)(NODE[0], [...NODE[1], place(name), ...args]);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Measured;
}

export type Program = { pid: number; first: string; kill(): Promise<void>; stop(): Promise<void> };

/** Starts a program that serves; resolves with the first line that it prints. */
export async function serving(name: string, ...args: readonly string[]): Promise<Program> {
  const child = spawn(NODE[0], [...NODE[1], place(name), ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([
    new Promise<string>((resolve) => lines.once('line', resolve)),
    exit.then(() => Promise.reject(new Error(`${name} ended before it was ready`))),
  ]);
  return {
    pid: child.pid ?? 0,
    first,
    async kill() {
      child.kill('SIGKILL');
      await exit;
    },
    async stop() {
      child.stdin.end();
      await exit;
    },
  };
}
