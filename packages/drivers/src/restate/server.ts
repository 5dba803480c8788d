/** A Restate server of our own, from its npm package: data in a folder, on free ports, gone when this process is. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { arch, platform } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Clock, Timers } from '@perdure/runtime/ports';
import { EngineUnavailable } from './admin.ts';
import { ask } from './http.ts';
import { LIMITS } from '../limits.ts';
import { EngineMissing } from './sdk.ts';

export type RestateServerOptions = {
  /** Its data and its log (`restate.log`): made where it is not there. One server at a time has it. */
  directory: string;
  clock: Clock;
  timers: Timers;
  /** Where it listens: for calls, for its administration, for its own nodes. Default: free ones. */
  ports?: readonly [ingress: number, admin: number, node: number];
  /** Further settings, as the environment variables by which the server takes them. */
  settings?: { readonly [name: string]: string };
};

export type RestateServer = {
  ingress: string;
  admin: string;
  /** Of the shell that ends the server when this process is gone, and leads its process group. */
  pid: number;
  /** Ends it in order, or after a while at all events. Idempotent. */
  stop(): Promise<void>;
  /** It ended without being asked to. */
  ended: Promise<void>;
};

/** Throws EngineMissing where the package is not installed, EngineUnavailable where the server does not come up. */
export async function startRestateServer(options: RestateServerOptions): Promise<RestateServer> {
  const binary = findBinary();
  if (binary === null)
    throw new EngineMissing(
      'the Restate server is not installed: npm install @restatedev/restate-server@1.7.12 (BSL licence), or give the address of one that runs: engine: { restate: { ingress, admin } }',
    );
  mkdirSync(options.directory, { recursive: true });
  for (let tries = 1; ; tries += 1) {
    // A port that was free may be taken by the time it is used.
    const server = await startOn(binary, options.ports ?? (await freePorts(3)), options);
    if (server !== null) return server;
    if (tries === LIMITS.serverTries)
      throw new EngineUnavailable(`the Restate server does not start: ${tail(logOf(options.directory))}`);
  }
}

/** Why no server can be started here; null: one can. */
export function restateMissing(): string | null {
  return findBinary() === null ? `no Restate server for ${platform()}-${arch()} is installed` : null;
}

/** Where the platform's binary is; the user's own project comes first. */
function findBinary(): string | null {
  const name = `@restatedev/restate-server-${platform()}-${arch()}/bin/restate-server`;
  for (const from of [join(process.cwd(), 'package.json'), import.meta.url]) {
    try {
      return createRequire(from).resolve(name);
    } catch {
      continue;
    }
  }
  return null;
}

const logOf = (directory: string): string => join(directory, 'restate.log');

function tail(path: string): string {
  try {
    return readFileSync(path, 'utf8').slice(-LIMITS.toldChars);
  } catch {
    return 'it has no log';
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map(async (server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The shell ends the server as soon as its own input ends, which the death of this process does whatever kills it. */
const LEASH =
  'exec 3<&0; "$@" </dev/null & p=$!; (cat <&3 >/dev/null; kill -TERM $p 2>/dev/null) & w=$!; wait $p; s=$?; kill $w 2>/dev/null; exit $s';

async function startOn(
  binary: string,
  ports: readonly number[],
  options: RestateServerOptions,
): Promise<RestateServer | null> {
  const { directory, timers } = options;
  const [ingressPort = 0, adminPort = 0, nodePort = 0] = ports;
  const log = openSync(logOf(directory), 'a');
  const child = spawn('/bin/sh', ['-c', LEASH, 'sh', binary, '--no-logo'], {
    // A group of its own: an interrupt at the terminal is ours to hear first.
    detached: true,
    stdio: ['pipe', log, log],
    env: { ...environmentOf(directory), ...options.settings, ...portsOf(ingressPort, adminPort, nodePort) },
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  child.stdin?.on('error', () => {});
  const ingress = `http://127.0.0.1:${ingressPort}`;
  const admin = `http://127.0.0.1:${adminPort}`;
  const stop = stopper(child, exited, timers);
  const since = options.clock.monotonicMs();
  const isUp = async (): Promise<boolean> =>
    (await answers(timers, `${admin}/health`)) && answers(timers, `${ingress}/restate/health`);
  while (!(await isUp())) {
    const isLate = options.clock.monotonicMs() - since > LIMITS.serverStartMs;
    if (child.exitCode === null && !isLate) {
      await Promise.race([exited, pause(timers, LIMITS.serverLookMs)]);
      continue;
    }
    await stop();
    return null;
  }
  return { ingress, admin, pid: child.pid ?? 0, stop, ended: exited };
}

const pause = async (timers: Timers, ms: number): Promise<void> =>
  new Promise((resolve) => void timers.set(ms, resolve));

async function answers(timers: Timers, url: string): Promise<boolean> {
  try {
    return (await ask('GET', url, { timers })).status === 200;
  } catch {
    return false;
  }
}

function stopper(child: ChildProcess, exited: Promise<void>, timers: Timers): () => Promise<void> {
  let stopping: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    child.stdin?.end();
    const timer = timers.set(LIMITS.serverStopMs, () => {
      try {
        // Without a number nothing was started, and 0 would be everybody around this process.
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      } catch {
        // It has just gone.
      }
    });
    await exited;
    timer.cancel();
  };
  return async () => (stopping ??= end());
}

/** What a server for one process and its sessions needs, in place of the defaults for a whole machine. */
const environmentOf = (directory: string): { [name: string]: string } => ({
  PATH: '/usr/bin:/bin',
  DO_NOT_TRACK: '1',
  RESTATE_DISABLE_TELEMETRY: 'true',
  RESTATE_BASE_DIR: join(directory, 'data'),
  RESTATE_CLUSTER_NAME: 'perdure',
  RESTATE_NODE_NAME: 'perdure',
  RESTATE_LOG_FORMAT: 'compact',
  RESTATE_LOG_DISABLE_ANSI_CODES: 'true',
  RESTATE_DEFAULT_NUM_PARTITIONS: '4',
  RESTATE_ROCKSDB_TOTAL_MEMORY_SIZE: '256MiB',
  RESTATE_SHUTDOWN_TIMEOUT: '5s',
  RESTATE_WORKER__INVOKER__CONCURRENT_INVOCATIONS_LIMIT: '10000',
  // A process that stands still is noticed soon, and its sessions are driven elsewhere.
  RESTATE_WORKER__INVOKER__HTTP2_KEEP_ALIVE_INTERVAL: '2s',
  RESTATE_WORKER__INVOKER__HTTP2_KEEP_ALIVE_TIMEOUT: '3s',
});

const portsOf = (ingress: number, admin: number, node: number): { [name: string]: string } => ({
  RESTATE_LISTEN_MODE: 'tcp',
  RESTATE_BIND_IP: '127.0.0.1',
  RESTATE_ADVERTISED_HOST: '127.0.0.1',
  RESTATE_INGRESS__BIND_PORT: String(ingress),
  RESTATE_ADMIN__BIND_PORT: String(admin),
  RESTATE_BIND_PORT: String(node),
});
