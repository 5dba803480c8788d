/** The processes that `perdure dev` starts: one that tries whether the project can be served, and the server. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { LIMITS } from '../../limits.ts';
import type { FromParent, ToParent } from '../parent.ts';
import { CHILD } from '../parent.ts';
import { time } from '../time.ts';

export type Checked = { problem: string | null; files: readonly string[] };

/** It did not begin to serve, and has said why. */
export type NoServer = { failed: string };
export type Server = {
  readonly url: string;
  readonly welcome: string;
  readonly files: readonly string[];
  /** How it ended. */
  readonly ended: Promise<string>;
  /** Drains it; one that does not end in time is ended. */
  stop(): Promise<void>;
};

/** The same program again, with the flags that Node was started with. */
function start(words: readonly string[], stdio: 'inherit' | 'pipe'): ChildProcess {
  const out = stdio === 'inherit' ? 'inherit' : 'ignore';
  return spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', ...words], {
    stdio: ['ignore', out, stdio, 'ipc'],
    env: { ...process.env, [CHILD]: '1' },
  });
}

/** Loads the project in a process of its own: nothing of it stays, and nothing that it does ends this one. */
export async function checkProject(flags: readonly string[]): Promise<Checked> {
  const child = start(['dev', 'check', ...flags], 'pipe');
  const { promise, resolve } = Promise.withResolvers<Checked>();
  let said = '';
  child.stderr?.on('data', (piece: Buffer) => (said = (said + piece.toString()).slice(-LIMITS.saidChars)));
  child.on('message', (message: ToParent) => {
    if (message.type === 'checked') resolve({ problem: message.problem, files: message.files });
  });
  child.on('error', (error) => resolve({ problem: error.message, files: [] }));
  child.on('close', (code, signal) =>
    resolve({ problem: `loading it ended the process (${signal ?? code}) ${said}`.trim(), files: [] }),
  );
  const timer = time.timers.set(LIMITS.checkMs, () => {
    resolve({ problem: `loading it took more than ${LIMITS.checkMs / 1_000} seconds`, files: [] });
    child.kill('SIGKILL');
  });
  const checked = await promise;
  timer.cancel();
  return checked;
}

/** Starts a server, and waits until it serves or has ended. */
export async function startServer(flags: readonly string[]): Promise<Server | NoServer> {
  const child = start(['up', ...flags], 'inherit');
  const ended = new Promise<string>((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
  });
  const begun = new Promise<Omit<Server, 'ended' | 'stop'> | NoServer>((resolve) => {
    child.on('message', (message: ToParent) => {
      if (message.type === 'ready') resolve(message);
      else if (message.type === 'failed') resolve({ failed: message.code });
    });
    void ended.then((how) => resolve({ failed: how }));
  });
  const stop = async (): Promise<void> => {
    const drain: FromParent = { type: 'stop', drainMs: LIMITS.devDrainMs };
    if (child.connected) child.send(drain);
    const timer = time.timers.set(LIMITS.devKillMs, () => child.kill('SIGKILL'));
    await ended;
    timer.cancel();
  };
  const server = await begun;
  if (!('failed' in server)) return { ...server, ended, stop };
  await ended;
  return server;
}
