/** Where the frames of a fork come from: a session of this data, or a place where they were staged. */
import type { OriginTuple, StagedTuple } from './protocol.ts';
import { blob, integer, type Sql } from './schema.ts';

type Head = { seq: number; hash: string };

/** Whether a frame of the origin ends at this head: then it holds everything up to there. */
export function hasPrefix(sql: Sql, tid: number, [from, name]: OriginTuple, { seq, hash }: Head): boolean {
  const row =
    from === 'stage'
      ? sql(
          'SELECT first, count, hash FROM staged WHERE tid = ? AND name = ? AND first <= ? ORDER BY first DESC LIMIT 1',
        ).get(tid, name, seq)
      : sql(
          `SELECT first, count, hash FROM frames
           WHERE sid = (SELECT sid FROM sessions WHERE tid = ? AND id = ? AND deleted = 0) AND first <= ?
           ORDER BY first DESC LIMIT 1`,
        ).get(tid, name, seq);
  if (row === undefined || integer(row['first']) + integer(row['count']) - 1 !== seq) return false;
  return blob(row['hash']).toString('hex') === hash;
}

/** Copies the frames up to `seq` to session `sid`; what was staged is used up. */
export function takePrefix(sql: Sql, tid: number, [from, name]: OriginTuple, seq: number, sid: number): void {
  if (from === 'stage') {
    sql(
      `INSERT INTO frames (sid, first, count, hash, frame, bodies)
       SELECT ?, first, count, hash, frame, bodies FROM staged WHERE tid = ? AND name = ? AND first <= ? ORDER BY first`,
    ).run(sid, tid, name, seq);
    writeStage(sql, tid, name, null);
    return;
  }
  sql(
    `INSERT INTO frames (sid, first, count, hash, frame, bodies)
     SELECT ?, first, count, hash, frame, bodies FROM frames
     WHERE sid = (SELECT sid FROM sessions WHERE tid = ? AND id = ?) AND first <= ? ORDER BY first`,
  ).run(sid, tid, name, seq);
}

export function writeStage(sql: Sql, tid: number, name: string, frames: readonly StagedTuple[] | null): void {
  if (frames === null) sql('DELETE FROM staged WHERE tid = ? AND name = ?').run(tid, name);
  for (const [first, count, hash, frame, bodies] of frames ?? [])
    sql('INSERT INTO staged VALUES (?, ?, ?, ?, ?, ?, ?)').run(
      tid,
      name,
      first,
      count,
      Buffer.from(hash, 'hex'),
      frame,
      bodies,
    );
}
