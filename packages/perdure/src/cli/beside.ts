/** Data that is looked at beside whoever has it: nothing in it is changed. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { ProviderView } from '@perdure/contract';
import type { EndpointRecord } from '@perdure/models';
import { readVault, system } from '@perdure/runtime';
import type { ReadTenant } from '@perdure/runtime/ports';
import { DATABASE, readSqliteStore } from '@perdure/stores/sqlite';
import { providersOf, secretKeysOf, withStoredKeys } from '../keys.ts';
import type { Environment, PostgresUrl, Settings } from '../settings.ts';
import { isPostgres } from '../settings.ts';

export type Beside = { tenant(name: string): ReadTenant; close(): void | Promise<void> };

/** Until tenants have credentials there is one. */
export const TENANT = 'default';

/** Null: there is no data. Throws StoreError for what cannot be read. */
export async function besideOf({ store }: Pick<Settings, 'store'>, data: string): Promise<Beside | null> {
  if (isPostgres(store)) return sharedStore(store);
  return store === 'sqlite' && existsSync(resolve(data, DATABASE)) ? readSqliteStore(data) : null;
}

/** Others have it open, too: who only reads is one more of them. An empty one is left as it is. */
async function sharedStore(url: PostgresUrl): Promise<Beside | null> {
  const { openPostgresStore, readPostgresSchema } = await import('@perdure/stores/postgres');
  const options = { url, timers: system.timers };
  const { version } = await readPostgresSchema(options);
  return version === 0 ? null : openPostgresStore(options);
}

/** How providers come to their keys: from the environment, or from what is stored in the data; null: there is none. */
export type Keyed = { env: Environment; providers: readonly ProviderView[] };

export async function keyedBeside(
  beside: Beside | null,
  settings: Settings,
  data: string,
  env: Environment,
  endpoints: readonly EndpointRecord[] = [],
): Promise<Keyed> {
  const keys = secretKeysOf(settings, isPostgres(settings.store) ? 'shared' : 'owned', data);
  const stored =
    beside === null ? NOTHING : await readVault({ docs: beside.tenant(TENANT).docs, tenant: TENANT, keys, system });
  return { env: withStoredKeys(env, stored, endpoints), providers: providersOf(env, stored, endpoints) };
}

const NOTHING: Parameters<typeof providersOf>[1] = { list: () => [], value: () => undefined };
