import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';

export const DATABASE = 'perdure.db';

/** The version of the tables below. A build opens data of its own version and older ones, never newer ones. */
export const SCHEMA = 3;

/**
 * `sid` and `rid` are `tid · 2³² + n`, n counting the tenant's sessions and runs in order of creation: one number is
 * the tenant, the order of lists and the rowid. Frames lie in order of arrival, so that a group of appends fills few
 * pages; their index leads from a session to its frames.
 */
const TABLES = `
CREATE TABLE tenants (tid INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE sessions (
  sid INTEGER PRIMARY KEY, tid INTEGER NOT NULL, id TEXT NOT NULL, change INTEGER NOT NULL,
  seq INTEGER NOT NULL, hash BLOB NOT NULL, agent TEXT NOT NULL, status TEXT NOT NULL, key TEXT,
  due INTEGER, deleted INTEGER NOT NULL, doc TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX sessions_id ON sessions (tid, id);
CREATE UNIQUE INDEX sessions_key ON sessions (tid, key) WHERE key IS NOT NULL;
CREATE INDEX sessions_change ON sessions (tid, change);
CREATE INDEX sessions_agent ON sessions (tid, agent);
CREATE INDEX sessions_status ON sessions (tid, status);
CREATE INDEX sessions_due ON sessions (sid, due) WHERE due IS NOT NULL;
CREATE TABLE frames (
  pos INTEGER PRIMARY KEY, sid INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
  hash BLOB NOT NULL, frame BLOB NOT NULL, bodies TEXT
) STRICT;
CREATE UNIQUE INDEX frames_place ON frames (sid, first);
CREATE TABLE runs (
  rid INTEGER PRIMARY KEY, tid INTEGER NOT NULL, sid INTEGER NOT NULL, run TEXT NOT NULL,
  agent TEXT NOT NULL, status TEXT NOT NULL, doc TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX runs_place ON runs (sid, run);
CREATE INDEX runs_agent ON runs (tid, agent);
CREATE INDEX runs_status ON runs (tid, status);
CREATE TABLE snapshots (
  sid INTEGER PRIMARY KEY, seq INTEGER NOT NULL, hash TEXT NOT NULL, engine TEXT NOT NULL,
  checksum TEXT NOT NULL, state BLOB NOT NULL, prefix BLOB NOT NULL
) STRICT;
CREATE TABLE accounts (
  tid INTEGER NOT NULL, id TEXT NOT NULL, parent TEXT, capTokens INTEGER, capNanoUsd INTEGER,
  spentTokens INTEGER NOT NULL, spentNanoUsd INTEGER NOT NULL,
  reservedTokens INTEGER NOT NULL, reservedNanoUsd INTEGER NOT NULL,
  PRIMARY KEY (tid, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE reservations (
  sid INTEGER NOT NULL, key TEXT NOT NULL, account TEXT NOT NULL,
  tokens INTEGER NOT NULL, nanoUsd INTEGER NOT NULL, open INTEGER NOT NULL,
  PRIMARY KEY (sid, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE docs (
  tid INTEGER NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, revision INTEGER NOT NULL,
  doc TEXT NOT NULL, words TEXT NOT NULL,
  PRIMARY KEY (tid, kind, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE leases (
  tid INTEGER NOT NULL, name TEXT NOT NULL, holder TEXT, epoch INTEGER NOT NULL, expiresAt INTEGER, address TEXT,
  PRIMARY KEY (tid, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE lost (
  tenant TEXT NOT NULL, session TEXT NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL,
  PRIMARY KEY (tenant, session)
) STRICT, WITHOUT ROWID;
`;

/** What was staged and never used is of no use to the next opening. */
const STAGED = `
CREATE TABLE IF NOT EXISTS staged (
  tid INTEGER NOT NULL, name TEXT NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
  hash BLOB NOT NULL, frame BLOB NOT NULL, bodies TEXT,
  PRIMARY KEY (tid, name, first)
) STRICT;
DELETE FROM staged;
`;

/** What leads from each version to the next, from version 1 on. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE leases_2 (
     tid INTEGER NOT NULL, name TEXT NOT NULL, holder TEXT, epoch INTEGER NOT NULL, expiresAt INTEGER, address TEXT,
     PRIMARY KEY (tid, name)
   ) STRICT, WITHOUT ROWID;
   INSERT INTO leases_2 SELECT tid, name, holder, epoch, expiresAt, NULL FROM leases;
   DROP TABLE leases;
   ALTER TABLE leases_2 RENAME TO leases;`,
  // The documents of sessions are lists from here on (`packIndex`); those of before are read as they are.
  '',
];

export const TENANT_SPAN = 2 ** 32;

/** The rowids that belong to a tenant: above `from`, below `to`. */
export function spanOf(tid: number): { from: number; to: number } {
  return { from: tid * TENANT_SPAN, to: (tid + 1) * TENANT_SPAN };
}

/**
 * Makes a connection durable and reads back that it is: a file system that cannot do WAL would silently fall back.
 * Checkpoints are ours (a failed flush in one must stop the store), and what is deleted is overwritten with zeros.
 */
export function configureWriter(db: DatabaseSync): void {
  // Of a new database only: a commit of one session touches a page of each table, and smaller ones are flushed sooner.
  db.exec('PRAGMA page_size = 4096');
  const mode = db.prepare('PRAGMA journal_mode = WAL').get()?.['journal_mode'];
  db.exec('PRAGMA synchronous = FULL');
  const synchronous = db.prepare('PRAGMA synchronous').get()?.['synchronous'];
  if (mode !== 'wal' || synchronous !== 2) {
    throw new StoreError(
      'unavailable',
      `the file system allows no durable commits (${String(mode)}, ${String(synchronous)})`,
    );
  }
  db.exec(`PRAGMA wal_autocheckpoint = 0; PRAGMA secure_delete = ON; PRAGMA cache_size = -${LIMITS.writeCacheKiB};`);
}

/** Creates the tables in empty data, or brings older ones up. Throws `data_too_new` for newer data, and touches nothing then. */
export function prepareSchema(db: DatabaseSync): void {
  const known = db.prepare("SELECT name FROM sqlite_schema WHERE name = 'meta'").get();
  if (known === undefined) {
    db.exec(`BEGIN IMMEDIATE;
      CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
      INSERT INTO meta VALUES ('schema', ${SCHEMA}), ('epoch', 0);
      ${TABLES} COMMIT;`);
  }
  const version = integer(db.prepare("SELECT value FROM meta WHERE name = 'schema'").get()?.['value']);
  if (version > SCHEMA) {
    throw new StoreError('data_too_new', `the data has version ${version}, this build knows up to ${SCHEMA}`);
  }
  if (version < SCHEMA) {
    const steps = MIGRATIONS.slice(version - 1).join('\n');
    db.exec(`BEGIN IMMEDIATE; ${steps} UPDATE meta SET value = ${SCHEMA} WHERE name = 'schema'; COMMIT;`);
  }
  db.exec(STAGED);
}

export function raiseEpoch(db: DatabaseSync): number {
  const row = db.prepare("UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value").get();
  return integer(row?.['value']);
}

export function integer(value: SQLOutputValue | undefined): number {
  if (typeof value !== 'number') throw new TypeError(`a column holds no integer: ${typeof value}`);
  return value;
}

export function text(value: SQLOutputValue | undefined): string {
  if (typeof value !== 'string') throw new TypeError(`a column holds no text: ${typeof value}`);
  return value;
}

export function blob(value: SQLOutputValue | undefined): Buffer {
  if (!(value instanceof Uint8Array)) throw new TypeError(`a column holds no bytes: ${typeof value}`);
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}

export type Row = Record<string, SQLOutputValue>;

/** Gives a prepared statement; each is prepared once a connection. */
export type Sql = (query: string) => StatementSync;

export function statements(db: DatabaseSync): Sql {
  const prepared = new Map<string, StatementSync>();
  return (sql) => {
    const known = prepared.get(sql);
    if (known !== undefined) return known;
    const fresh = db.prepare(sql);
    prepared.set(sql, fresh);
    return fresh;
  };
}
