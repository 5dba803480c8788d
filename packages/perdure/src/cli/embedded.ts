/** A server within this process, for a command that found none. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { createClient } from '@perdure/contract';
import type { Runtime } from '../runtime.ts';
import { openIdle, startRuntime } from '../runtime.ts';
import { handler } from '../serve.ts';
import type { Connection, FolderUse } from './connection.ts';
import type { Context } from './context.ts';
import { CommandError, EXIT, UsageError } from './exit.ts';
import { localOf } from './local.ts';

/** The data folder itself, with nobody to drive it: sessions are read, copied and brought, and none of them goes on. */
export async function folder(
  context: Context,
  { withConfig = false, creates = false }: FolderUse,
): Promise<Connection> {
  const local = withConfig ? await localOf(context) : null;
  const data = local?.data ?? resolve(context.cwd, context.settings.data);
  const store = local?.settings.store ?? context.settings.store;
  if (!creates && store === 'sqlite' && !existsSync(data))
    throw new CommandError(
      EXIT.failed,
      `there is no data in ${data}: name its folder with --data, or a server with --url`,
    );
  const { agents: _, data: _data, ...options } = local?.options ?? { agents: [] };
  const place = store === 'sqlite' ? { store, data } : { store };
  return within(await openIdle({ ...options, ...place, log: { level: 'warn' } }, context.env), 'folder');
}

/** The agents and models of the configuration, with no data. */
export async function project(context: Context): Promise<Connection> {
  const {
    data: _,
    internalHost: _host,
    internalPort: _port,
    leaseMs: _lease,
    ...options
  } = (await localOf(context)).options;
  return within(
    await startRuntime({ ...options, store: 'memory', engine: 'local', log: { level: 'warn' } }, context.env),
    'folder',
  );
}

/** Its requests take the same way as those to a server; the token keeps it from needing an address. */
export async function embedded(context: Context): Promise<Connection> {
  if (context.given['token'] !== undefined)
    throw new UsageError('--token counts only with a server, and none runs on this data');
  const local = await localOf(context);
  const log = { level: local.settings.logLevel ?? 'warn' } as const;
  // Whoever drives these sessions otherwise: for one command it is this process.
  return within(await startRuntime({ ...local.options, engine: 'local', log }, context.env), 'embedded');
}

function within(runtime: Runtime, kind: 'embedded' | 'folder'): Connection {
  const token = randomBytes(32).toString('base64url');
  const answer = handler(runtime, { token });
  const client = createClient({
    url: 'http://localhost',
    token,
    fetch: async (input, init) => answer(new Request(input, init)),
  });
  return { client, kind, close: async () => runtime.close() };
}
