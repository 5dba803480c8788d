/** The command as a real process, in a folder of its own and with an environment that holds nothing of the machine's. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../src/cli/main.ts');

export type Ended = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string };
export type Started = {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Resolves with what was printed so far as soon as it matches; rejects when the process ends first. */
  printed(pattern: RegExp): Promise<string>;
  kill(signal: NodeJS.Signals): void;
};
export type Place = {
  readonly directory: string;
  /** `input`: what is on standard input; without it there is none. */
  start(args: readonly string[], env?: { [name: string]: string }, input?: string): Started;
  run(args: readonly string[], env?: { [name: string]: string }, input?: string): Promise<Ended>;
  /** Ends whatever still runs, and removes the folder. */
  leave(): Promise<void>;
};

/** `within`: a folder that is there, and stays; without it the place is one of its own. */
export function createPlace(
  command: readonly string[] = ['--disable-warning=ExperimentalWarning', MAIN],
  within?: string,
): Place {
  const directory = within ?? mkdtempSync(join(tmpdir(), 'perdure-command-'));
  const running = new Set<{ child: ChildProcess; ended: Promise<Ended> }>();
  const start: Place['start'] = (args, env = {}, input) => {
    const { PATH = '', NODE_COMPILE_CACHE } = process.env;
    const cache = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };
    const own = { PATH, HOME: directory, XDG_CONFIG_HOME: join(directory, 'xdg'), ...cache, ...env };
    const child = spawn(process.execPath, [...command, ...args], {
      cwd: directory,
      env: own,
      stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    });
    // A process that reads no more is told by its end.
    child.stdin?.on('error', () => undefined).end(input);
    const started = follow(child);
    const entry = { child, ended: started.ended };
    running.add(entry);
    void started.ended.then(() => running.delete(entry));
    return started;
  };
  return {
    directory,
    start,
    run: async (args, env, input) => start(args, env, input).ended,
    async leave() {
      for (const { child } of running) child.kill('SIGKILL');
      await Promise.all([...running].map(({ ended }) => ended));
      if (within === undefined) rmSync(directory, { recursive: true, force: true });
    },
  };
}

function follow(child: ChildProcess): Started {
  let stdout = '';
  let stderr = '';
  const looks = new Set<() => void>();
  child.stdout?.on('data', (piece: Buffer) => {
    stdout += piece.toString();
    for (const look of looks) look();
  });
  child.stderr?.on('data', (piece: Buffer) => {
    stderr += piece.toString();
    for (const look of looks) look();
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return {
    pid: child.pid ?? 0,
    ended,
    kill: (signal) => void child.kill(signal),
    printed: async (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!pattern.test(stdout + stderr)) return;
          looks.delete(look);
          resolve(stdout + stderr);
        };
        looks.add(look);
        void ended.then(() => reject(new Error(`it ended without printing ${String(pattern)}: ${stdout}${stderr}`)));
        look();
      }),
  };
}
