import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { DamageReport, SessionRow } from '@perdure/runtime/ports';
import { StoreDamage } from '@perdure/runtime/ports';
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { unpackIndex } from '../rows.ts';
import { failureOf, messageOf } from './failure.ts';
import { DATABASE, integer, type Row, statements, text } from './schema.ts';

/** The main thread's own read-only connection. It sees what is committed, and never waits for the committer. */
export type Reader = {
  sql: ReturnType<typeof statements>;
  /** The tenant's number; null while it has no data. */
  tenantId(name: string): number | null;
  close(): void;
};

export function openReader(directory: string): Reader {
  const db = new DatabaseSync(join(directory, DATABASE), { readOnly: true, timeout: LIMITS.busyMs });
  db.exec(`PRAGMA cache_size = -${LIMITS.readCacheKiB}; PRAGMA query_only = ON;`);
  const sql = statements(db);
  const ids = new Map<string, number>();
  return {
    sql,
    tenantId(name) {
      const known = ids.get(name);
      if (known !== undefined) return known;
      const row = sql('SELECT tid FROM tenants WHERE name = ?').get(name);
      if (row === undefined) return null;
      const tid = integer(row['tid']);
      ids.set(name, tid);
      return tid;
    },
    close() {
      db.close();
    },
  };
}

export type StoredSession = { sid: number; row: SessionRow };

export function sessionRow(row: Row): SessionRow {
  const hash = row['hash'];
  return {
    id: text(row['id']),
    head: { seq: integer(row['seq']), hash: hash instanceof Uint8Array ? Buffer.from(hash).toString('hex') : '' },
    ...unpackIndex({
      agent: text(row['agent']),
      status: text(row['status']),
      key: typeof row['key'] === 'string' ? row['key'] : null,
      doc: text(row['doc']),
    }),
  };
}

/** A page that cannot be read is damage of the session whose data lies on it. */
export function readingSession<T>(session: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const unreadable = error instanceof TypeError || error instanceof SyntaxError || failureOf(error) !== 'bug';
    if (!unreadable) throw error;
    const report: DamageReport = { session, code: 'hash', seq: 0, detail: `unreadable: ${messageOf(error)}` };
    throw new StoreDamage(report);
  }
}

/** The same for what belongs to no one session. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (failureOf(error) === 'bug') throw error;
    throw new StoreError('damaged', `the database cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
