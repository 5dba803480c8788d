/** What a process that stays does: opens the data, serves or works until it is asked to stop, and drains. */
import { mkdirSync } from 'node:fs';
import { relative } from 'node:path';
import type { Listening } from '@perdure/gateway';
import { resolveRoute } from '@perdure/runtime';
import { LIMITS } from '../limits.ts';
import type { Runtime } from '../runtime.ts';
import { serve } from '../serve.ts';
import { readServerFile, removeServerFile, runningServer, writeServerFile } from '../server-file.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Local } from './local.ts';
import { tell } from './output.ts';
import { time } from './time.ts';

export type Stopped = Promise<{ drainMs?: number }>;

/** Runs `life` until it was asked to stop; a storage that stopped is opened anew a few times. */
export async function whileStorageLasts(life: () => Promise<ExitCode | 'storage'>): Promise<ExitCode> {
  const reopened: number[] = [];
  for (;;) {
    const ended = await life();
    if (ended !== 'storage') return ended;
    // A flush that failed is never tried again on the same store: it is opened anew and read (DESIGN §7).
    const now = time.monotonicMs();
    reopened.push(now);
    if (reopened.filter((at) => now - at < LIMITS.reopenWithinMs).length > LIMITS.reopens)
      throw new CommandError(EXIT.failed, 'the storage stopped again and again: look at its disk, then start again');
    tell('the storage stopped: the data is opened anew\n');
  }
}

export type Life = {
  local: Local;
  /** Whether clients are listened to. */
  serves: boolean;
  /** Called when it is up, with its address where clients are listened to; gives what ends with it. */
  ready: (url: string | null) => Promise<{ stop(): void } | null>;
};

/** Lives until it is asked to stop, or until the storage stops; then it drains. */
export async function live(runtime: Runtime, stopped: Stopped, life: Life): Promise<ExitCode | 'storage'> {
  const { local, serves, ready } = life;
  let server: Listening | undefined;
  let beside: { stop(): void } | null = null;
  const watch = watchStorage(runtime);
  try {
    if (serves) server = await serve(runtime, serveOptions(local));
    const url = server === undefined ? null : reachable(server.url);
    if (url !== null) await tellFolder(local, url);
    beside = await ready(url);
    return await Promise.race([stopped.then(() => EXIT.ok), watch.stopped]);
  } finally {
    watch.end();
    beside?.stop();
    // Streams end with a hint to come back, while unsafe calls come to their end.
    const drain = await Promise.race([stopped, Promise.resolve({})]);
    await Promise.all([server?.close({ graceMs: LIMITS.requestGraceMs }), runtime.close(drain)]);
    removeServerFile(local.data, process.pid);
  }
}

/** Commands of this folder find the server; of several on a store that is shared, they find the first. */
async function tellFolder(local: Local, url: string): Promise<void> {
  const known = readServerFile(local.data);
  if (known !== null && known.pid !== process.pid && (await runningServer(local.data)) !== null) return;
  mkdirSync(local.data, { recursive: true });
  writeServerFile(local.data, { pid: process.pid, url, ...tokenOf(local) });
}

/** Looks again and again whether the store still accepts. */
function watchStorage(runtime: Runtime): { stopped: Promise<'storage'>; end(): void } {
  let timer: { cancel(): void };
  const stopped = new Promise<'storage'>((resolve) => {
    const look = (): void => {
      if (runtime.storage() !== null) resolve('storage');
      else timer = time.timers.set(LIMITS.storageLookMs, look);
    };
    timer = time.timers.set(LIMITS.storageLookMs, look);
  });
  return { stopped, end: () => timer.cancel() };
}

/** A token given as a flag is a secret of this process like one from a variable. */
export function environmentOf({ env }: Context, { settings: { token } }: Local): Context['env'] {
  return token === null ? env : { ...env, PERDURE_TOKEN: token };
}

const tokenOf = ({ settings: { token } }: Local): { token?: string } => (token === null ? {} : { token });

function serveOptions(local: Local): { host: string; port: number; token?: string } {
  const { host, port } = local.settings;
  return { host, port, ...tokenOf(local) };
}

/** A server on all addresses is reached at the loopback. */
function reachable(url: string): string {
  return url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
}

/** A model may be had after another start only: its agent is there, and what is sent to it is refused. */
export function unusableModels({ host }: Runtime): string[] {
  return host.parts.agents.list().flatMap(({ definition: { name, model } }) => {
    const resolved = resolveRoute(host.parts.models, model);
    return resolved.ok ? [] : [`${name} cannot run: ${resolved.message}`];
  });
}

/** The files that define the agents; null: none does. */
export function sourceOf({ file, folders }: Local): string | null {
  const sources = [...(file === null ? [] : [relative(process.cwd(), file)]), ...folders.map(({ shown }) => shown)];
  return sources.length === 0 ? null : sources.join(', ');
}
