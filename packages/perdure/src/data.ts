/** The data folder of this process, and what to do where it cannot be opened. */
import { ConfigError, system } from '@perdure/runtime';
import type { Store } from '@perdure/runtime/ports';
import { openMemoryStore } from '@perdure/stores/memory';
import { openSqliteStore, StoreError } from '@perdure/stores/sqlite';
import type { StoreErrorCode } from '@perdure/stores/sqlite';
import { accessSync, constants, existsSync } from 'node:fs';
import { sep } from 'node:path';
import { DataInUseError } from './errors.ts';
import { runningServer } from './server-file.ts';

/**
 * Opens the data of one process; null: in memory. Throws ConfigError for a folder that cannot be one, DataInUseError
 * (`data_in_use`), StoreError (`data_too_new`, `damaged`, `full`) with the folder and what to do.
 */
export async function openStore(data: string | null): Promise<Store> {
  const { clock, timers } = system;
  if (data === null) return openMemoryStore({ clock });
  checkFolder(data);
  try {
    return await openSqliteStore({ directory: data, clock, timers });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === 'data_in_use') throw new DataInUseError(data, await runningServer(data));
    const advice = OPENING_ADVICE[error.code];
    if (advice === undefined) throw error;
    throw new StoreError(error.code, `${data}: ${error.message}: ${advice}`, { cause: error });
  }
}

const OPENING_ADVICE: { readonly [code in StoreErrorCode]?: string } = {
  data_too_new: 'use the newer Perdure that wrote it, or another data folder; nothing was changed',
  damaged: 'put back a copy of the folder from before, or use another data folder',
  full: 'free some space, or use another data folder',
};

/** What stands at the data folder's place already must be a folder that this process may write. */
function checkFolder(data: string): void {
  if (!existsSync(data)) return;
  try {
    accessSync(`${data}${sep}.`, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(
      'invalid_config',
      'data',
      `${data} cannot be used: name a folder that can be written (${why})`,
    );
  }
}
