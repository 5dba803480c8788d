/** Brings a schema up to date, and tells how it stands. */
import { createHash } from 'node:crypto';
import { StoreError } from '../errors.ts';
import type { Database } from './database.ts';
import { failureOf, sqlState, storeErrorOf } from './failure.ts';
import { type Migration, MIGRATIONS } from './migrations/index.ts';
import { integer, type Row, text } from './statement.ts';

export type SchemaState = {
  /** The newest migration that was run; 0: the schema is empty, or not there. */
  version: number;
  /** What this build would run. */
  pending: readonly { id: number; name: string }[];
};

/**
 * The version of entries that this build writes; it reads those of one version ahead, too. The store keeps the version
 * that is written by anybody at work on it, which a migration raises: by then no build may run that cannot read it.
 */
export const WRITE_VERSION = 1;

type Query = (text: string, values?: unknown[]) => Promise<Row[]>;

/** Two schemas of one database do not wait for each other; two processes that migrate one schema do. */
const LOCK = `SELECT pg_advisory_xact_lock(hashtextextended('perdure_migrations ' || $1, 0))`;
const LEDGER = `CREATE TABLE {s}.perdure_migrations (
  id integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, at timestamptz NOT NULL DEFAULT now()
)`;
const LEDGERED = 'SELECT id, name, checksum FROM {s}.perdure_migrations ORDER BY id';
const WRITTEN = `SELECT value AS written FROM {s}.meta WHERE name = 'writeVersion'`;
const UNDEFINED_TABLE = '42P01';
const UNDEFINED_SCHEMA = '3F000';

export const checksumOf = ({ sql }: Migration): string => createHash('sha256').update(sql).digest('hex');

/**
 * How the schema stands. Rejects with `data_too_new` where a newer build migrated it or a migration that was run is not
 * the one that this build has, and with `unavailable`.
 */
export async function readSchema(
  database: Database,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<SchemaState> {
  try {
    const rows = await database.run('', LEDGERED);
    const state = stateOf(rows, migrations);
    if (state.version > 0) checkWritten(await database.run('', WRITTEN));
    return state;
  } catch (error) {
    if ([UNDEFINED_TABLE, UNDEFINED_SCHEMA].includes(sqlState(error))) return stateOf([], migrations);
    throw storeErrorOf(error);
  }
}

/**
 * Runs what is pending, in one transaction: all of it or nothing. Whoever comes at the same time waits, and then finds
 * nothing to do. Gives what was run. Rejects as `readSchema` does.
 */
export async function migrateSchema(
  database: Database,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<readonly { id: number; name: string }[]> {
  try {
    return await database.session(async (query) => {
      await query('BEGIN');
      try {
        const run = await migrateIn(query, database.schema, migrations);
        await query('COMMIT');
        return run;
      } catch (error) {
        if (failureOf(error) !== 'lost' || error instanceof StoreError) await query('ROLLBACK');
        throw error;
      }
    });
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const { code, message } = storeErrorOf(error);
    throw new StoreError(code === 'damaged' ? 'unavailable' : code, `the schema cannot be migrated: ${message}`);
  }
}

async function migrateIn(
  query: Query,
  schema: string,
  migrations: readonly Migration[],
): Promise<SchemaState['pending']> {
  await query(LOCK, [schema]);
  const [found] = await query(
    `SELECT to_regnamespace(quote_ident($1)) IS NOT NULL AS there, to_regclass(quote_ident($1) || '.perdure_migrations') AS ledger`,
    [schema],
  );
  // Only where it is missing: who may not create schemas may still migrate one that was made for them.
  if (found?.['there'] !== 't') await query('CREATE SCHEMA {s}');
  if (found?.['ledger'] === null) await query(LEDGER);
  const { version, pending } = stateOf(await query(LEDGERED), migrations);
  if (version > 0) checkWritten(await query(WRITTEN));
  for (const migration of migrations) {
    if (!pending.some(({ id }) => id === migration.id)) continue;
    await query(migration.sql);
    await query('INSERT INTO {s}.perdure_migrations (id, name, checksum) VALUES ($1, $2, $3)', [
      migration.id,
      migration.name,
      checksumOf(migration),
    ]);
  }
  await query(`UPDATE {s}.meta SET value = greatest(value, $1) WHERE name = 'writeVersion'`, [WRITE_VERSION]);
  return pending;
}

/** Rejects with `data_too_new` where entries are written that this build cannot read. */
export function checkWritten([row]: readonly Row[]): void {
  const written = integer(row?.['written']);
  if (written <= WRITE_VERSION + 1) return;
  throw new StoreError(
    'data_too_new',
    `entries have version ${written}, this build reads up to ${WRITE_VERSION + 1}: use a newer one`,
  );
}

function stateOf(rows: readonly Row[], migrations: readonly Migration[]): SchemaState {
  const run = new Map(rows.map((row) => [integer(row['id']), text(row['checksum'])]));
  const version = Math.max(0, ...run.keys());
  const newest = migrations.at(-1)?.id ?? 0;
  if (version > newest) {
    throw new StoreError('data_too_new', `the schema has version ${version}, this build knows up to ${newest}`);
  }
  for (const migration of migrations) {
    const checksum = run.get(migration.id);
    if (checksum === undefined || checksum === checksumOf(migration) || migration.also?.includes(checksum)) continue;
    throw new StoreError(
      'data_too_new',
      `migration ${migration.id} (${migration.name}) was run as something else by another build`,
    );
  }
  return { version, pending: migrations.filter(({ id }) => !run.has(id)).map(({ id, name }) => ({ id, name })) };
}
