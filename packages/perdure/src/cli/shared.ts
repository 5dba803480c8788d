/** Processes that share a store: gateways and workers, as many as are needed, on as many machines. */
import { join } from 'node:path';
import { placeOf } from '@perdure/stores/postgres';
import { DataInUseError, StoreNotSharedError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Work } from '../node.ts';
import type { Runtime } from '../runtime.ts';
import { startRuntime } from '../runtime.ts';
import { isPostgres } from '../settings.ts';
import type { Context } from './context.ts';
import { CommandError, EXIT } from './exit.ts';
import type { Local } from './local.ts';
import { localOf } from './local.ts';
import { environmentOf } from './serving.ts';

/** Throws StoreNotSharedError, and CommandError for an engine that every process would start for itself. */
export async function sharedLocal(context: Context): Promise<Local & { place: string }> {
  const local = await localOf(context);
  const { store } = local.settings;
  const { engine } = local.options;
  if (!isPostgres(store)) throw new StoreNotSharedError(store);
  if (engine === 'restate' || (typeof engine === 'object' && engine.restate.ingress === undefined))
    throw new CommandError(
      EXIT.failed,
      'processes that share a store need one Restate for all: --restate http://host:8080,http://host:9070',
    );
  return { ...local, place: placeOf(store) };
}

/**
 * Starts the runtime of a process that shares its store. What is its own lies in a folder of its own: `--data`, or the
 * first one below the data folder that nobody uses, so that it finds its things again when it is started again.
 */
export async function startShared(
  context: Context,
  local: Local,
  role: 'gateway' | 'worker',
  work: Work,
): Promise<Runtime> {
  const log = { level: local.settings.logLevel ?? 'info' } as const;
  const start = async (data: string): Promise<Runtime> =>
    startRuntime({ ...local.options, data, log }, environmentOf(context, local), work === undefined ? {} : { work });
  if (local.origins.data !== 'default') return start(local.data);
  for (let n = 1; ; n += 1) {
    try {
      return await start(join(local.data, `${role}-${n}`));
    } catch (error) {
      if (!(error instanceof DataInUseError) || n === LIMITS.sharedFolders) throw error;
    }
  }
}
