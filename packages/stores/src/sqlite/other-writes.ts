import { deflateRawSync } from 'node:zlib';
import { writeOpened } from './books.ts';
import { writeLease } from './lease-rows.ts';
import { writeStage } from './origin.ts';
import type { OtherWrite } from './protocol.ts';
import { integer, spanOf, type Sql } from './schema.ts';

/** Does any write but an append, inside a transaction of the caller; what it returns is the answer of the port. */
export function writeOther(sql: Sql, tid: number, write: OtherWrite): unknown {
  switch (write.op) {
    case 'tenant':
      return undefined;
    case 'delete':
      return eraseSession(sql, write.tenant, tid, write.session);
    case 'stage':
      return writeStage(sql, tid, write.name, write.frames);
    case 'snapshot':
      return writeSnapshot(sql, tid, write);
    case 'accounts':
      return writeOpened(sql, tid, write.accounts, write.keep);
    case 'doc':
      return writeDoc(sql, tid, write);
    default:
      return writeLease(sql, tid, write);
  }
}

function eraseSession(sql: Sql, tenant: string, tid: number, session: string): boolean {
  const { changes: losses } = sql('DELETE FROM lost WHERE tenant = ? AND session = ?').run(tenant, session);
  const row = sql('SELECT sid FROM sessions WHERE tid = ? AND id = ? AND deleted = 0').get(tid, session);
  if (row === undefined) {
    if (losses !== 0) writeTombstone(sql, tid, session);
    return losses !== 0;
  }
  const sid = integer(row['sid']);
  sql(`UPDATE sessions SET deleted = 1, key = NULL, due = NULL, doc = '' WHERE sid = ?`).run(sid);
  sql('UPDATE frames SET bodies = NULL WHERE sid = ?').run(sid);
  sql('DELETE FROM runs WHERE sid = ?').run(sid);
  sql('DELETE FROM snapshots WHERE sid = ?').run(sid);
  return true;
}

/** Of a session that was lost whole nothing is left to mark: a tombstone keeps the journal from naming it again. */
function writeTombstone(sql: Sql, tid: number, session: string): void {
  const { from, to } = spanOf(tid);
  sql(
    `INSERT INTO sessions
     SELECT coalesce(max(sid), ?1) + 1, ?2, ?3, 0, 0, x'', '', 'closed', NULL, NULL, 1, '' FROM sessions
     WHERE sid > ?1 AND sid < ?4`,
  ).run(from, tid, session, to);
}

/** A fold repeats itself; the fastest level takes most of it out. */
const squeeze = (whole: string): Uint8Array => deflateRawSync(whole, { level: 1 });

function writeSnapshot(sql: Sql, tid: number, write: Extract<OtherWrite, { op: 'snapshot' }>): undefined {
  const row = sql('SELECT sid FROM sessions WHERE tid = ? AND id = ? AND deleted = 0').get(tid, write.session);
  if (row === undefined) return;
  const sid = integer(row['sid']);
  if (write.snapshot === null) {
    sql('DELETE FROM snapshots WHERE sid = ?').run(sid);
    return;
  }
  const { seq, hash, engine, checksum, state, prefix } = write.snapshot;
  sql('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?, ?, ?)').run(
    sid,
    seq,
    hash,
    engine,
    checksum,
    squeeze(state),
    squeeze(prefix),
  );
}

function writeDoc(sql: Sql, tid: number, write: Extract<OtherWrite, { op: 'doc' }>): unknown {
  const { kind, id, doc, words, expectedRevision } = write;
  const row = sql('SELECT revision FROM docs WHERE tid = ? AND kind = ? AND id = ?').get(tid, kind, id);
  const stored = row === undefined ? 0 : integer(row['revision']);
  if (stored !== expectedRevision) return { ok: false, code: 'conflict', revision: stored };
  if (doc === null) {
    sql('DELETE FROM docs WHERE tid = ? AND kind = ? AND id = ?').run(tid, kind, id);
    return { ok: true, revision: 0 };
  }
  sql('INSERT OR REPLACE INTO docs VALUES (?, ?, ?, ?, ?, ?)').run(tid, kind, id, stored + 1, doc, words);
  return { ok: true, revision: stored + 1 };
}
