/** The data folder of this process, and what to do where it cannot be opened. */
import { ConfigError, system } from '@perdure/runtime';
import type { Store } from '@perdure/runtime/ports';
import { openMemoryStore } from '@perdure/stores/memory';
import { openSqliteStore, ownFolder, StoreError } from '@perdure/stores/sqlite';
import type { StoreErrorCode } from '@perdure/stores/sqlite';
import { accessSync, constants, existsSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import { DataInUseError } from './errors.ts';
import { runningServer } from './server-file.ts';
import type { PostgresUrl, StoreSetting } from './settings.ts';
import { isPostgres, SETTINGS } from './settings.ts';

/** The folder that a store uses: SQLite keeps everything in it, Postgres nothing, and then it may be left out. */
export function folderOf(store: StoreSetting, data: string | undefined): string | null {
  if (store === 'sqlite') return resolve(data ?? SETTINGS.data.initial);
  return isPostgres(store) && data !== undefined ? resolve(data) : null;
}

/**
 * Opens a store; `data` is its folder, which then is this process's alone. Throws ConfigError for a folder that cannot be
 * one, DataInUseError (`data_in_use`), StoreError (`data_too_new`, `data_too_old`, `damaged`, `full`, `unavailable`) with
 * the place and what to do.
 */
export async function openStore(store: StoreSetting, data: string | null): Promise<Store> {
  const { clock, timers } = system;
  if (data !== null) checkFolder(data);
  try {
    if (isPostgres(store)) return await openShared(store, data);
    return data === null ? openMemoryStore({ clock }) : await openSqliteStore({ directory: data, clock, timers });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === 'data_in_use' && data !== null) throw new DataInUseError(data, await runningServer(data));
    const advice = isPostgres(store) ? undefined : OPENING_ADVICE[error.code];
    if (advice === undefined) throw error;
    throw new StoreError(error.code, `${data}: ${error.message}: ${advice}`, { cause: error });
  }
}

/** Beside the sessions a process has things of its own in its folder: two must not take one for theirs. */
async function openShared(url: PostgresUrl, data: string | null): Promise<Store> {
  const owner = data === null ? null : ownFolder(data);
  try {
    const { openPostgresStore } = await import('@perdure/stores/postgres');
    const store = await openPostgresStore({ url, timers: system.timers });
    const close = async (): Promise<void> => {
      await store.close();
      owner?.release();
    };
    return { ...store, close };
  } catch (error) {
    owner?.release();
    throw error;
  }
}

/** A password of fewer characters, or one that is a name in the same address, would hide words that are no secret. */
const PASSWORD_CHARS_MIN = 8;

/** What of a store's address must appear nowhere. */
export function secretsOfStore(store: unknown): { [name: string]: string } {
  if (!isPostgres(store) || !URL.canParse(store)) return {};
  const { username, password, host, pathname } = new URL(store);
  if (password === '') return {};
  const plain = decodeURIComponent(password);
  const isName = [username, host, pathname.slice(1)].includes(password) || plain.length < PASSWORD_CHARS_MIN;
  return { store, ...(isName ? {} : { 'store.password': plain, 'store.password.encoded': password }) };
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
