import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ReadTenant } from '@perdure/runtime/ports';
import { StoreError } from '../errors.ts';
import { sqliteBlobs } from './blobs.ts';
import { sqliteDocs } from './docs.ts';
import { messageOf } from './failure.ts';
import { type Scope, sqliteLog } from './log.ts';
import { openReader, type Reader, reading } from './reader.ts';
import { DATABASE, integer, SCHEMA, text } from './schema.ts';
import type { Searcher } from './texts.ts';
import type { Writer } from './writer.ts';

/** Data that is read beside whoever owns it. What is committed meanwhile is seen by the next read. */
export type ReadOnlyStore = {
  tenants(): string[];
  tenant(tenant: string): ReadTenant;
  close(): void;
};

/**
 * Opens the data in a directory for reading alone, also while a server has it. Changes nothing in it. Throws a
 * `StoreError`: `unavailable` where there is no data or it cannot be opened, `data_too_new`. Damage of a session is
 * thrown by what reads it.
 */
export function readSqliteStore(directory: string): ReadOnlyStore {
  if (!existsSync(join(directory, DATABASE))) throw new StoreError('unavailable', `there is no data in ${directory}`);
  const reader = opened(directory);
  let closed = false;
  const checkOpen = (): void => {
    if (closed) throw new StoreError('unavailable', 'the store is closed');
  };
  return {
    tenants: () =>
      reading(() => reader.sql('SELECT name FROM tenants ORDER BY name').all()).map((row) => text(row['name'])),
    tenant(tenant) {
      const scope = scopeOf(directory, tenant, reader, checkOpen);
      return {
        log: sqliteLog(scope),
        blobs: sqliteBlobs({ ...scope, epoch: 0, admit: readOnly, stop: () => undefined }),
        docs: sqliteDocs(scope),
      };
    },
    close() {
      if (!closed) reader.close();
      closed = true;
    },
  };
}

function opened(directory: string): Reader {
  let reader: Reader;
  try {
    reader = openReader(directory);
  } catch (error) {
    throw new StoreError('unavailable', `the data in ${directory} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const version = integer(reading(() => reader.sql("SELECT value FROM meta WHERE name = 'schema'").get())?.['value']);
  if (version <= SCHEMA) return reader;
  reader.close();
  throw new StoreError('data_too_new', `the data has version ${version}, this build knows up to ${SCHEMA}`);
}

const readOnly = async (): Promise<never> => {
  throw new StoreError('unavailable', 'the data was opened for reading');
};

function scopeOf(directory: string, tenant: string, reader: Reader, checkOpen: () => void): Scope {
  const writer: Writer = {
    epoch: 0,
    damage: [],
    append: readOnly,
    write: readOnly,
    unavailable: () => 'the data was opened for reading',
    stop: () => undefined,
    close: async () => undefined,
  };
  const searcher: Searcher = { ask: readOnly, isOpen: () => false, close: async () => undefined };
  return {
    tenant,
    directory,
    writer,
    reader,
    searcher,
    now: () => 0,
    checkOpen,
    track: async (work) => work,
    watchers: new Set(),
    damaged: new Map(),
  };
}
