import type { Append, Clock, CommittedChange, DamageReport, Store, TenantStore, Timers } from '@perdure/runtime/ports';
import { StoreError } from '../errors.ts';
import { announce } from '../watch.ts';
import { clearUnfinished, sqliteBlobs } from './blobs.ts';
import { makeDirectory } from './directory.ts';
import { sqliteDocs, sqliteLeases, sqliteSnapshots } from './docs.ts';
import { createJournalSync } from './journal-sync.ts';
import { takeOwnership } from './lock.ts';
import { type Scope, sqliteLog } from './log.ts';
import { openReader, type Reader, reading } from './reader.ts';
import { DATABASE, text } from './schema.ts';
import { createSearcher, type Searcher } from './texts.ts';
import { startWriter, type Writer } from './writer.ts';

/** The file in the folder by which data is known to be there. */
export { DATABASE };
export { readSqliteStore } from './read-only.ts';
export type { ReadOnlyStore } from './read-only.ts';
export { StoreError };

/**
 * Takes a folder for this process alone, as a store takes its data; it is made where it is not there. Throws
 * `data_in_use`.
 */
export function ownFolder(directory: string): { release(): void } {
  makeDirectory(directory);
  return takeOwnership(directory);
}
export type { StoreErrorCode } from '../errors.ts';

/** `directory` is created when it is not there; everything the store keeps is inside it. */
export type SqliteStoreOptions = { directory: string; clock: Clock; timers: Timers };

/**
 * Opens the data in a directory for this process alone, on Node's own SQLite. Commits run in a thread of their own, in
 * groups; an append resolves when its group is flushed. Rejects with a `StoreError`: `data_in_use` when another store
 * has it open, `data_too_new` when a newer version wrote it, `damaged` when it is no database any more, `full`.
 *
 * A session that opening finds damaged is in `damage`; getting, reading and appending to it throw `StoreDamage` until
 * what was lost is back (a restored copy) or the session is deleted. All others go on.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { directory, clock, timers } = options;
  makeDirectory(directory);
  const owner = takeOwnership(directory);
  const watchers = new Map<string, Set<(change: CommittedChange) => void>>();
  const appended = (tenant: string, { session, frame, index }: Append): void => {
    const heard = watchers.get(tenant);
    if (heard === undefined || heard.size === 0) return;
    const head = frame.first + frame.count - 1;
    const { agent, status, activeRun, outstanding } = index;
    announce(heard, { session, agent, head, status, activeRun, outstanding, own: true });
  };
  const sync = createJournalSync(directory, timers, (detail) => writer?.stop(detail));
  let writer: Writer | null = null;
  let reader: Reader;
  try {
    await clearUnfinished(directory);
    writer = await startWriter(directory, { appended, committed: () => sync.touched() });
    reader = openReader(directory);
  } catch (error) {
    await writer?.close();
    owner.release();
    throw error;
  }
  const underway = new Set<Promise<unknown>>();
  const searcher = createSearcher(directory);
  return createStore({ directory, clock, writer, reader, searcher, watchers, underway }, async () => {
    await Promise.allSettled(underway);
    await searcher.close();
    // The reader first: the last connection to go folds the write-ahead log into the database.
    reader.close();
    await writer.close();
    await sync.close();
    owner.release();
  });
}

type Parts = {
  directory: string;
  clock: Clock;
  writer: Writer;
  reader: Reader;
  searcher: Searcher;
  watchers: Map<string, Set<(change: CommittedChange) => void>>;
  underway: Set<Promise<unknown>>;
};

function createStore(parts: Parts, letGo: () => Promise<void>): Store {
  const { writer, reader, underway } = parts;
  let closed: Promise<void> | null = null;
  const checkOpen = (): void => {
    if (closed !== null) throw new StoreError('unavailable', 'the store is closed');
  };
  const track = async <T>(work: Promise<T>): Promise<T> => {
    underway.add(work);
    try {
      return await work;
    } finally {
      underway.delete(work);
    }
  };
  const open = new Map<string, TenantStore>();
  return {
    epoch: writer.epoch,
    name: 'sqlite',
    shared: false,
    damage: writer.damage.map(({ report }) => report),
    unavailable: () => writer.unavailable(),
    tenant(tenant) {
      const known = open.get(tenant) ?? createTenant(parts, tenant, { checkOpen, track });
      open.set(tenant, known);
      return known;
    },
    async tenants() {
      checkOpen();
      const rows = reading(() => reader.sql('SELECT name FROM tenants ORDER BY name').all());
      return rows.map((row) => text(row['name']));
    },
    close() {
      closed ??= letGo();
      return closed;
    },
  };
}

function createTenant(parts: Parts, tenant: string, keeping: Pick<Scope, 'checkOpen' | 'track'>): TenantStore {
  const { directory, clock, writer, reader, searcher, watchers } = parts;
  const heard = new Set<(change: CommittedChange) => void>();
  watchers.set(tenant, heard);
  const own = writer.damage.filter((one) => one.tenant === tenant);
  const damaged = new Map<string, DamageReport>(own.map(({ report }) => [report.session, report]));
  const now = (): number => clock.now();
  const scope: Scope = { tenant, directory, writer, reader, searcher, now, ...keeping, watchers: heard, damaged };
  const admit = async (): Promise<void> => {
    if (reader.tenantId(tenant) === null) await writer.write({ op: 'tenant', tenant });
  };
  return {
    log: sqliteLog(scope),
    snapshots: sqliteSnapshots(scope),
    docs: sqliteDocs(scope),
    leases: sqliteLeases(scope),
    blobs: sqliteBlobs({
      directory,
      tenant,
      epoch: writer.epoch,
      now,
      ...keeping,
      admit,
      stop: (detail) => writer.stop(detail),
    }),
  };
}
