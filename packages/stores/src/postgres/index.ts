import type { Clock, Store, TenantStore, Timers } from '@perdure/runtime/ports';
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { createAppender } from './appender.ts';
import { connectTo, type Database, loadDriver, placeOf } from './database.ts';
import { createEar, type Ear } from './ear.ts';
import { failureOf, storeErrorOf } from './failure.ts';
import { createListener, type Listener } from './listener.ts';
import { postgresLog } from './log.ts';
import { checkWritten, migrateSchema, readSchema, type SchemaState } from './migrate.ts';
import { postgresBlobs, postgresDocs, postgresLeases, postgresSnapshots } from './ports.ts';
import type { Scope } from './scope.ts';
import { integer, type Row, text, type Value } from './statement.ts';

export { StoreError };
export type { StoreErrorCode } from '../errors.ts';
export type { SchemaState };
export { placeOf };

export type PostgresStoreOptions = {
  /** `postgres://user:password@host:5432/database`, with `?sslmode=…` as libpq takes it. */
  url: string;
  /** Where the tables are (default `perdure`); one database may hold several. */
  schema?: string;
  /** How many connections this process keeps at most (default 8, from 1), one more for LISTEN. */
  connections?: number;
  timers: Timers;
  /** For tests: the time that leases, blobs and due work go by in this store's transactions. Default: the database's. */
  databaseClock?: Clock;
};

/**
 * Opens the data in a Postgres, beside whoever else has it open. An empty schema is made; an older one is refused with
 * `data_too_old` (`perdure migrate` brings it up to date), a newer one with `data_too_new`. Rejects with `unavailable`
 * where the server cannot be reached, or the package `pg` is not there.
 *
 * An append is one statement, and those of many sessions share it; one whose answer was lost is looked for before
 * anything else is done. No state of a connection is relied on, so that a transaction pooler may stand between.
 */
export async function openPostgresStore(options: PostgresStoreOptions): Promise<Store> {
  const { database, driver } = await databaseOf(options);
  try {
    await prepare(database);
    const [row] = await database.run(
      '',
      `UPDATE {s}.meta SET value = value + 1 WHERE name = 'epoch' RETURNING value AS opening, {s}.micros() AS at,
       (SELECT value FROM {s}.meta WHERE name = 'writeVersion') AS written,
       current_setting('synchronous_commit') AS flushing`,
    );
    if (row?.['flushing'] === 'off')
      throw new StoreError('unavailable', 'synchronous_commit is off: what is acknowledged would not be on the disk');
    checkWritten([row ?? {}]);
    const opening = integer(row?.['opening']);
    const listener = createListener({ driver, url: options.url, database, opening, timers: options.timers });
    return createStore({ database, listener, opening, openedAt: integer(row?.['at']), timers: options.timers });
  } catch (error) {
    await database.close();
    throw storeErrorOf(error);
  }
}

/** How the schema stands that `openPostgresStore` would open. Rejects as it does. */
export async function readPostgresSchema(options: PostgresStoreOptions): Promise<SchemaState> {
  return withDatabase(options, (database) => readSchema(database));
}

/**
 * Brings the schema up to date and gives what was run. Several may do it at a time: one does, the others find it done.
 * Rejects as `openPostgresStore` does.
 */
export async function migratePostgres(options: PostgresStoreOptions): Promise<SchemaState['pending']> {
  return withDatabase(options, (database) => migrateSchema(database));
}

export type PostgresFacts = {
  serverVersion: string;
  /** 0: there is none yet. */
  schemaVersion: number;
  /** How many migrations this build would run. */
  pending: number;
  /** Whether commits are flushed to the disk (`fsync`). */
  flushes: boolean;
  /** Row policies do not hold for the role that connects (superuser, or BYPASSRLS). */
  bypassesPolicies: boolean;
  /** How far the database's clock is ahead of `now`, in ms; leases go by the database's. */
  clockAheadMs: number;
};

/** What an operator wants to know of a database. `now`: wall ms. Rejects as `openPostgresStore` does. */
export async function inspectPostgres(options: PostgresStoreOptions & { clock: Clock }): Promise<PostgresFacts> {
  return withDatabase(options, async (database) => {
    const { version, pending } = await readSchema(database);
    const before = options.clock.now();
    const [row] = await database.run(
      '',
      `SELECT current_setting('server_version') AS version, current_setting('fsync') AS fsync,
       (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) AS bypasses,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now`,
    );
    const middle = (before + options.clock.now()) / 2;
    const clockAheadMs = Math.round(integer(row?.['now']) - middle);
    return {
      serverVersion: text(row?.['version']),
      schemaVersion: version,
      pending: pending.length,
      flushes: row?.['fsync'] === 'on',
      bypassesPolicies: row?.['bypasses'] === 't',
      clockAheadMs,
    };
  });
}

async function withDatabase<T>(options: PostgresStoreOptions, work: (database: Database) => Promise<T>): Promise<T> {
  const { database } = await databaseOf(options);
  try {
    return await work(database);
  } catch (error) {
    throw storeErrorOf(error);
  } finally {
    await database.close();
  }
}

async function databaseOf({ url, schema, connections, timers, databaseClock }: PostgresStoreOptions) {
  const driver = await loadDriver();
  const count = connections ?? LIMITS.connections;
  if (!Number.isInteger(count) || count < 1 || count > LIMITS.connectionsMax) {
    throw new StoreError('unavailable', `connections is a whole number from 1 to ${LIMITS.connectionsMax}`);
  }
  const now = databaseClock === undefined ? null : () => databaseClock.now();
  const database = connectTo(driver, { url, schema: schema ?? 'perdure', connections: count, timers, now });
  return { database, driver };
}

/** What is empty is made; what is older waits for an operator, who knows whether older builds still run. */
async function prepare(database: Database): Promise<void> {
  const { version, pending } = await readSchema(database);
  if (version === 0) await migrateSchema(database);
  else if (pending.length > 0) {
    const newest = pending.at(-1)?.id ?? version;
    const advice = 'run perdure migrate once no older build is at work on it';
    throw new StoreError('data_too_old', `the schema has version ${version}, this build needs ${newest}: ${advice}`);
  }
}

type Parts = { database: Database; listener: Listener; opening: number; openedAt: number; timers: Timers };

function createStore(parts: Parts): Store {
  const { database, listener, opening } = parts;
  const underway = new Set<Promise<unknown>>();
  const open = new Map<string, { store: TenantStore; ear: Ear }>();
  let closing: Promise<void> | null = null;
  const checkOpen = (): void => {
    if (closing !== null) throw new StoreError('unavailable', 'the store is closed');
  };
  const track = async <T>(work: Promise<T>): Promise<T> => {
    underway.add(work);
    try {
      return await work;
    } finally {
      underway.delete(work);
    }
  };
  const listen = (): void =>
    listener.start((tenant) => {
      for (const [name, { ear }] of open) if (tenant === null || tenant === name) ear.look();
    });
  const isClosing = (): boolean => closing !== null;
  return {
    epoch: opening,
    name: 'postgres',
    shared: true,
    damage: [],
    unavailable: () => (closing === null ? null : 'the store is closed'),
    away: () => database.away(),
    tenant(tenant) {
      const known = open.get(tenant) ?? createTenant(parts, tenant, { checkOpen, track, listen, isClosing });
      open.set(tenant, known);
      return known.store;
    },
    async tenants() {
      checkOpen();
      const rows = await track(retried(() => database.run('', 'SELECT tenant FROM {s}.tenants ORDER BY tenant')));
      return rows.map((row) => text(row['tenant']));
    },
    close() {
      closing ??= (async () => {
        while (underway.size > 0) await Promise.allSettled(underway);
        await listener.stop();
        await database.close();
      })();
      return closing;
    },
  };
}

/** What only reads is asked again where its connection broke: it had happened before it was used, mostly. */
async function retried(ask: () => Promise<Row[]>): Promise<Row[]> {
  try {
    return await ask().catch((error: unknown) => {
      if (error instanceof StoreError || failureOf(error) !== 'lost') throw error;
      return ask();
    });
  } catch (error) {
    throw storeErrorOf(error);
  }
}

/** Does a thing once; one that failed is done again by whoever comes next. */
function onceDone(work: () => Promise<unknown>): () => Promise<void> {
  let doing: Promise<unknown> | null = null;
  return async () => {
    doing ??= work();
    try {
      await doing;
    } catch (error) {
      doing = null;
      throw error;
    }
  };
}

function createTenant(
  parts: Parts,
  tenant: string,
  { isClosing, ...keeping }: Pick<Scope, 'checkOpen' | 'track' | 'listen'> & { isClosing: () => boolean },
): { store: TenantStore; ear: Ear } {
  const { database, listener, opening, openedAt, timers } = parts;
  const run = async (query: string, values?: readonly Value[]): Promise<Row[]> => database.run(tenant, query, values);
  const admit = onceDone(async () => run('SELECT {s}.admit($1)', [LIMITS.stagedMs]));
  const appender = createAppender({
    database,
    tenant,
    opening,
    timers,
    admit,
    isClosing,
    committed: (request) => ear.committed(request),
    notify: () => listener.tell(tenant),
  });
  const scope: Scope = {
    tenant,
    opening,
    timers,
    ...keeping,
    watchers: new Set(),
    appender: {
      underway: appender.underway,
      async append(request, origin) {
        try {
          keeping.checkOpen();
        } catch (error) {
          return { ok: false, code: 'unavailable', detail: storeErrorOf(error).message };
        }
        return keeping.track(appender.append(request, origin));
      },
    },
    async read(query, values) {
      keeping.checkOpen();
      return keeping.track(retried(() => run(query, values)));
    },
    async write(query, values) {
      keeping.checkOpen();
      const work = async (): Promise<Row[]> => {
        await admit();
        return run(query, values);
      };
      try {
        return await keeping.track(work());
      } catch (error) {
        throw storeErrorOf(error);
      }
    },
  };
  const ear = createEar(scope, openedAt);
  const store = {
    log: postgresLog(scope),
    snapshots: postgresSnapshots(scope),
    docs: postgresDocs(scope),
    leases: postgresLeases(scope),
    blobs: postgresBlobs(scope),
  };
  return { store, ear };
}
