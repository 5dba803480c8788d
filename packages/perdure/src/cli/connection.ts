/** Which server a command talks to: a running one, or one within this process. All speak through the same client. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Client } from '@perdure/contract';
import { createClient } from '@perdure/contract';
import { runningServer } from '../server-file.ts';
import type { Context } from './context.ts';
import { CommandError, EXIT, UsageError } from './exit.ts';
import { whenFree } from './owner.ts';
import { recall } from './remembered.ts';

export type Connection = {
  client: Client;
  /** `embedded`: it ends with this process; nobody else can reach it. `folder`: the data, and nothing goes on in it. */
  kind: 'server' | 'embedded' | 'folder';
  close(): Promise<void>;
};
export type Server = { url: string; token?: string; why: string };

/**
 * The server that is meant: the one that is named (--url, PERDURE_URL), else the one of a data folder named by --data,
 * else the remembered one, else the one that runs on the data folder. Null: there is none. Of a store that is named by
 * --store and is in no data folder there is none: this process opens it. Throws UsageError for two places.
 */
export async function serverOf(context: Context): Promise<Server | null> {
  const { settings, origins, given } = context;
  const token = settings.token === null ? {} : { token: settings.token };
  const place = placeGiven(given);
  if (given['url'] !== undefined && place !== null)
    throw new UsageError(`--url and --${place} name two places: give one of them`);
  if (settings.url !== null && place === null)
    return { url: checkedUrl(settings.url, origins.url), ...token, why: origins.url };
  if (given['store'] !== undefined && settings.store !== 'sqlite') return null;
  const remembered = place === null ? recall(context.env) : null;
  if (remembered !== null) return { ...remembered, ...token, why: 'remembered by perdure connect' };
  const data = resolve(context.cwd, settings.data);
  const running = await runningServer(data);
  if (running === null) return null;
  // Whoever may read the data folder has the right token; one from a variable may be that of another server.
  const own = running.token === undefined ? {} : { token: running.token };
  return { url: running.url, ...(given['token'] === undefined ? own : token), why: `runs on ${data}` };
}

/** The flag that says where sessions are kept, and so which server is not meant. */
const placeGiven = (given: Context['given']): 'data' | 'store' | null =>
  given['data'] !== undefined ? 'data' : given['store'] !== undefined ? 'store' : null;

/** What tells one server or data folder from another, whether it runs or not. */
export function placeOf({ settings, given, env, cwd }: Context): string {
  const url = placeGiven(given) === null ? (settings.url ?? recall(env)?.url) : undefined;
  return url ?? resolve(cwd, settings.data);
}

/** Throws CommandError when there is no server. */
export async function connected(context: Context): Promise<Connection> {
  const server = await serverOf(context);
  if (server === null)
    throw new CommandError(
      EXIT.failed,
      `no server runs on ${settingsData(context)}: start one with perdure up, or name one with --url or perdure connect`,
    );
  return remote(server);
}

/** The server that is meant, or one within this process on the same data. */
export async function connectedOrEmbedded(context: Context): Promise<Connection> {
  const server = await serverOf(context);
  if (server !== null) return remoteAsIs(context, server);
  const { embedded } = await import('./embedded.ts');
  return whenFree(
    async () => embedded(context),
    async () => servedMeanwhile(context),
  );
}

/** Work that only reads: with the server that is meant, or with the data folder itself. */
export async function reading<T>(context: Context, work: (client: Client) => Promise<T>): Promise<T> {
  return within(await connectedOrFolder(context), work);
}

/** Work on what the configuration says, data aside: with the server that is meant, or with the configuration alone. */
export async function readingProject<T>(context: Context, work: (client: Client) => Promise<T>): Promise<T> {
  const server = await serverOf(context);
  return within(server === null ? await (await import('./embedded.ts')).project(context) : remote(server), work);
}

/** The same for models, whose keys may be kept with the data: where there is some, it is looked at, too. */
export async function readingModels<T>(context: Context, work: (client: Client) => Promise<T>): Promise<T> {
  const { store } = context.settings;
  const isThere = store === 'sqlite' ? existsSync(resolve(context.cwd, context.settings.data)) : store !== 'memory';
  return isThere ? within(await connectedOrFolder(context, { withConfig: true }), work) : readingProject(context, work);
}

async function within<T>(connection: Connection, work: (client: Client) => Promise<T>): Promise<T> {
  try {
    return await work(connection.client);
  } finally {
    await connection.close();
  }
}

/** A server that was starting when it was looked for. */
async function servedMeanwhile(context: Context): Promise<Connection | null> {
  const server = await serverOf(context);
  return server === null ? null : remoteAsIs(context, server);
}

/** Throws UsageError for a configuration: the server has its own. */
function remoteAsIs({ given }: Context, server: Server): Connection {
  if (given['config'] !== undefined)
    throw new UsageError(`a server answers at ${server.url} with agents of its own: --config counts only without one`);
  return remote(server);
}

/** `withConfig`: the configuration says which models there are. `creates`: a folder that is not there is made. */
export type FolderUse = { withConfig?: boolean; creates?: boolean };

/** The server that is meant, or the data folder itself. */
export async function connectedOrFolder(context: Context, use: FolderUse = {}): Promise<Connection> {
  const server = await serverOf(context);
  if (server !== null) return remoteAsIs(context, server);
  const { folder } = await import('./embedded.ts');
  return whenFree(
    async () => folder(context, use),
    async () => servedMeanwhile(context),
  );
}

const settingsData = ({ cwd, settings }: Context): string => resolve(cwd, settings.data);

export function remote({ url, token }: Pick<Server, 'url' | 'token'>): Connection {
  return {
    client: createClient({ url, ...(token === undefined ? {} : { token }) }),
    kind: 'server',
    close: async () => undefined,
  };
}

export function checkedUrl(url: string, origin: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
  throw new UsageError(`${origin}: '${url}' is not a URL; it looks like http://127.0.0.1:7420`);
}
