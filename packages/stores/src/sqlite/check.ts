import type { DatabaseSync } from 'node:sqlite';
import type { DamageReport } from '@perdure/runtime/ports';
import { failureOf, messageOf } from './failure.ts';
import { endOf, type Place, type Problem, tailProblem } from '../frames.ts';
import { FRAME_COLUMNS, readFrame } from './frames.ts';
import { type JournalHead, journalHash } from './journal.ts';
import type { TenantDamage } from './protocol.ts';
import { blob, integer, type Row, type Sql, statements, text } from './schema.ts';

const NOTHING: Place = { seq: 0, hash: '' };

/**
 * What opening finds. A session whose head is behind the one the journal names has lost its tail: it is kept in `lost`
 * and stays closed to reading and appending until its frames are back (a restored copy) or it is deleted, because what
 * the lost entries asked for may have happened. Of unfinished sessions the last frame is checked as well.
 */
export function checkAtOpening(db: DatabaseSync, journal: readonly JournalHead[]): TenantDamage[] {
  const sql = statements(db);
  const expected = expectedHeads(sql, journal);
  const damage = new Map<string, TenantDamage>();
  sql('BEGIN IMMEDIATE').run();
  sql('DELETE FROM lost').run();
  for (const head of expected) {
    const problem = compareWithJournal(sql, head);
    if (problem === null) continue;
    const { tenant, session, seq, hash } = head;
    damage.set(placeOf(tenant, session), { tenant, report: { session, ...problem } });
    sql('INSERT OR REPLACE INTO lost VALUES (?, ?, ?, ?)').run(tenant, session, seq, hash);
  }
  sql('COMMIT').run();
  const unfinished = sql(
    `SELECT sid, seq, hash, id, name FROM sessions JOIN tenants USING (tid) WHERE due IS NOT NULL`,
  );
  for (const row of unfinished.iterate()) {
    const tenant = text(row['name']);
    const session = text(row['id']);
    const problem = guarded(integer(row['seq']), () => checkTail(sql, row));
    const place = placeOf(tenant, session);
    if (problem !== null && !damage.has(place)) damage.set(place, { tenant, report: { session, ...problem } });
  }
  return [...damage.values()];
}

/** What must be there: the newest head of each session among those the journal names and those known as lost. */
export function expectedHeads(sql: Sql, journal: readonly JournalHead[]): JournalHead[] {
  const heads = new Map(journal.map((head) => [placeOf(head.tenant, head.session), head]));
  for (const row of sql('SELECT tenant, session, seq, hash FROM lost').all()) {
    const tenant = text(row['tenant']);
    const session = text(row['session']);
    const place = placeOf(tenant, session);
    const seq = integer(row['seq']);
    if ((heads.get(place)?.seq ?? 0) < seq) heads.set(place, { tenant, session, seq, hash: text(row['hash']) });
  }
  return [...heads.values()];
}

/** Is the head that the journal names still in the log? Of a deleted session nobody asks. */
export function compareWithJournal(sql: Sql, { tenant, session, seq, hash }: JournalHead): Problem | null {
  const row = sql(
    'SELECT sid, seq, hash, deleted FROM sessions WHERE tid = (SELECT tid FROM tenants WHERE name = ?) AND id = ?',
  ).get(tenant, session);
  if (row?.['deleted'] === 1) return null;
  const stored = row === undefined ? 0 : integer(row['seq']);
  if (row === undefined || stored < seq) {
    return { code: 'tail_lost', seq: stored + 1, detail: `the entries up to ${seq} were committed and are gone` };
  }
  const at =
    stored === seq
      ? row['hash']
      : sql('SELECT hash FROM frames WHERE sid = ? AND first <= ? ORDER BY first DESC LIMIT 1').get(
          integer(row['sid']),
          seq,
        )?.['hash'];
  if (at !== undefined && journalHash(blob(at).toString('hex')) === hash) return null;
  return { code: 'hash', seq, detail: 'another entry was committed at this place' };
}

/** The last frame against its predecessor and the head. */
function checkTail(sql: Sql, session: Row): Problem | null {
  const head = headOf(session);
  const rows = sql(`SELECT ${FRAME_COLUMNS} FROM frames WHERE sid = ? ORDER BY first DESC LIMIT 2`).all(
    integer(session['sid']),
  );
  const [last, before] = rows;
  if (last === undefined) return tailProblem(NOTHING, head);
  const previous =
    before === undefined
      ? NOTHING
      : { seq: integer(before['first']) + integer(before['count']) - 1, hash: blob(before['hash']).toString('hex') };
  const { frame, problems } = readFrame(last, previous);
  return problems[0] ?? tailProblem(endOf(frame), head);
}

/** Reads and re-hashes the whole chain of one session. */
export function checkSession(sql: Sql, session: Row): DamageReport[] {
  const id = text(session['id']);
  const head = headOf(session);
  const found: Problem[] = [];
  let end = NOTHING;
  const failed = guarded(head.seq, () => {
    const rows = sql(`SELECT ${FRAME_COLUMNS} FROM frames WHERE sid = ? ORDER BY first`);
    for (const row of rows.iterate(integer(session['sid']))) {
      const { frame, problems } = readFrame(row, end);
      found.push(...problems);
      end = endOf(frame);
    }
    return tailProblem(end, head);
  });
  if (failed !== null) found.push(failed);
  return found.map((problem) => ({ session: id, ...problem }));
}

/** Frames whose session has no row any more: the row was lost, not deleted (that keeps it). */
export function checkOrphans(sql: Sql, from: number, to: number): DamageReport[] {
  const orphans = sql(
    'SELECT DISTINCT sid FROM frames WHERE sid > ? AND sid < ? AND sid NOT IN (SELECT sid FROM sessions)',
  ).all(from, to);
  return orphans.map((row) => {
    const session = `(row ${integer(row['sid'])})`;
    return { session, code: 'gap', seq: 1, detail: 'its frames are there, and the row of the session is not' };
  });
}

export function headOf(session: Row): Place {
  return { seq: integer(session['seq']), hash: blob(session['hash']).toString('hex') };
}

/** A page of the database that cannot be read is damage of the session that lies on it. */
function guarded(seq: number, check: () => Problem | null): Problem | null {
  try {
    return check();
  } catch (error) {
    if (failureOf(error) === 'bug' && !(error instanceof TypeError)) throw error;
    return { code: 'hash', seq, detail: `unreadable: ${messageOf(error)}` };
  }
}

const placeOf = (tenant: string, session: string): string => `${tenant}\n${session}`;
