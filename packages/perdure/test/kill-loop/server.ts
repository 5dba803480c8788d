/** One process of the real command on the Node that runs the tests: `perdure up`, or one of those that share a store. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const LOG_CHARS = 200_000;

export type ServerOptions = {
  /** Where it starts: its `perdure.config.ts` lies there. */
  cwd: string;
  /** Missing: as the command has it. */
  data?: string;
  /** Default `up`. A worker listens to no client. */
  command?: 'up' | 'gateway' | 'worker';
  port: number;
  env: { [name: string]: string };
  /** Further flags of the command. */
  args?: readonly string[];
  /** Flags of Node itself. */
  nodeArgs?: readonly string[];
  /** What runs Node, in place of running it directly: `strace …`. */
  wrap?: readonly string[];
  /** Something is done to it that it rightly complains about. */
  isTroubled?: boolean;
};
export type Exit = { code: number | null; signal: NodeJS.Signals | null };

export type Server = {
  url: string;
  pid: number;
  startedAt: number;
  /** Ms from its start until it answered; rejects when it ended before. */
  ready: Promise<number>;
  exited: Promise<Exit>;
  isTroubled: boolean;
  isUp(): boolean;
  signal(name: NodeJS.Signals): void;
  /** Ends it with SIGKILL and waits until it is gone. */
  kill(): Promise<Exit>;
  out(): string;
  log(): string;
};

export function startServer(options: ServerOptions): Server {
  const { cwd, data, command: name = 'up', port, env, args = [], nodeArgs = [], wrap = [] } = options;
  const node = [process.execPath, '--disable-warning=ExperimentalWarning', ...nodeArgs];
  const own = [...(name === 'worker' ? [] : ['--port', String(port)]), ...(data === undefined ? [] : ['--data', data])];
  const command = [name, ...own, ...args];
  const [program = '', ...rest] = [...wrap, ...node, MAIN, ...command];
  const child = spawn(program, rest, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: wrap.length > 0 });
  const startedAt = performance.now();
  let isUp = false;
  let out = '';
  let log = '';
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      isUp = false;
      resolve({ code, signal });
    });
  });
  const ready = new Promise<number>((resolve, reject) => {
    child.stdout.on('data', (piece: Buffer) => {
      out += piece.toString();
      if (isUp || !/ runs (at|as) /.test(out)) return;
      isUp = true;
      resolve(performance.now() - startedAt);
    });
    void exited.then(({ code, signal }) =>
      reject(new Error(`the server ended before it was ready (${code ?? signal}): ${out}${log}`)),
    );
  });
  // Whoever does not wait for it learns of the end by `exited`.
  ready.catch(() => undefined);
  child.stderr.on('data', (piece: Buffer) => (log = (log + piece.toString()).slice(-LOG_CHARS)));
  const signal = (name: NodeJS.Signals): void => send(child, name, wrap.length > 0);
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    startedAt,
    ready,
    exited,
    isTroubled: options.isTroubled ?? false,
    isUp: () => isUp,
    signal,
    kill: async () => {
      isUp = false;
      signal('SIGKILL');
      return exited;
    },
    out: () => out,
    log: () => log,
  };
}

/** A wrapped Node is a child of its wrapper: both are in a group of their own. */
function send(child: ChildProcess, name: NodeJS.Signals, isGroup: boolean): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  if (!isGroup) child.kill(name);
  else
    try {
      process.kill(-child.pid, name);
    } catch {
      // It ended in this moment.
    }
}

/**
 * A free port outside of the range from which the kernel takes ports for connections: a client that tries to reach a
 * server which is down could otherwise meet itself there.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const isFree = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}
