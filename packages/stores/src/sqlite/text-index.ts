/**
 * The full-text index of one tenant's sessions: a database of its own beside the log, on SQLite's FTS5. A cache: it is
 * flushed only now and then, made anew when it is damaged, and nothing waits for it but who searches. It has words that
 * were cut and folded here, so FTS5 sees nothing but letters and digits between spaces; what is erased is overwritten.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Page, SaidHit, TextIndex } from '@perdure/runtime/ports';
import { decodeCursor, encodeCursor } from '../cursors.ts';
import { LIMITS } from '../limits.ts';
import { PER_MS, phrasesOf, snippetOf, spokenWords } from '../terms.ts';
import { integer, type Row, type Sql, statements, text } from './schema.ts';

const FOLDER = 'texts';
/** Raised when the tables or the cutting of words change: an index of another version is made anew. */
const VERSION = 1;
/** What a deleted session reached: nothing of it is ever new. */
const DELETED = Number.MAX_SAFE_INTEGER;

const TABLES = `
CREATE TABLE cursor (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE sessions (id TEXT PRIMARY KEY, reached INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE texts (
  id INTEGER PRIMARY KEY, session TEXT NOT NULL, agent TEXT NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
  run TEXT NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL
) STRICT;
CREATE INDEX texts_session ON texts (session);
CREATE VIRTUAL TABLE spoken USING fts5(words, content='', tokenize='ascii', columnsize=0);
INSERT INTO spoken (spoken, rank) VALUES ('secure-delete', 1);
PRAGMA user_version = ${VERSION};
`;

export const indexPath = (directory: string, tid: number): string => join(directory, FOLDER, `${tid}.db`);

/** Takes the index away with all it holds; it is made anew when somebody searches. */
export function dropIndex(directory: string, tid: number): void {
  for (const end of ['', '-wal', '-shm']) rmSync(indexPath(directory, tid) + end, { force: true });
}

export type Addition = Parameters<TextIndex['add']>[0];
export type Query = Parameters<TextIndex['search']>[0];
/** Whether the log says so; null for a session that it does not know. */
export type IsDeleted = (session: string) => boolean | null;
export type OpenIndex = {
  progress: (sessions: readonly string[]) => { cursor: string; reached: number[] };
  add: (batch: Addition, cursor: string) => void;
  search: (query: Query) => Page<SaidHit>;
  /** Overwrites what it has of a session, also in its write-ahead log, and flushes that. */
  erase: (session: string) => void;
  close: () => void;
};

export function openIndex(directory: string, tid: number, isDeleted: IsDeleted): OpenIndex {
  const path = indexPath(directory, tid);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (existsSync(path) && !isOfThisVersion(path)) dropIndex(directory, tid);
  const db = new DatabaseSync(path, { timeout: LIMITS.busyMs });
  try {
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON;
      PRAGMA cache_size = -${LIMITS.readCacheKiB};`);
    if (db.prepare('PRAGMA user_version').get()?.['user_version'] === 0) db.exec(`BEGIN; ${TABLES} COMMIT;`);
    const sql = statements(db);
    const index = indexOn(db, sql, isDeleted);
    reconcile(sql, index, isDeleted);
    return index;
  } catch (error) {
    db.close();
    throw error;
  }
}

function isOfThisVersion(path: string): boolean {
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    return db.prepare('PRAGMA user_version').get()?.['user_version'] === VERSION;
  } finally {
    db.close();
  }
}

function indexOn(db: DatabaseSync, sql: Sql, isDeleted: IsDeleted): OpenIndex {
  const transact = (work: () => void): void => {
    sql('BEGIN IMMEDIATE').run();
    try {
      work();
      sql('COMMIT').run();
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  };
  return {
    progress(sessions) {
      const cursor = sql("SELECT value FROM cursor WHERE name = 'feed'").get()?.['value'] ?? '';
      return { cursor: text(cursor), reached: sessions.map((session) => reachedOf(sql, session)) };
    },
    add(batch, cursor) {
      transact(() => {
        // What was read of a session before it was deleted comes too late.
        for (const addition of batch) if (isDeleted(addition.session) === false) addOne(sql, addition);
        sql("INSERT OR REPLACE INTO cursor VALUES ('feed', ?)").run(cursor);
      });
    },
    search: (query) => search(sql, query),
    erase(session) {
      transact(() => {
        const told = sql("INSERT INTO spoken (spoken, rowid, words) VALUES ('delete', ?, ?)");
        for (const row of sql('SELECT id, text FROM texts WHERE session = ?').all(session))
          told.run(integer(row['id']), spokenWords(text(row['text'])));
        sql('DELETE FROM texts WHERE session = ?').run(session);
        sql('INSERT OR REPLACE INTO sessions VALUES (?, ?)').run(session, DELETED);
      });
      sql('PRAGMA wal_checkpoint(TRUNCATE)').get();
    },
    close: () => db.close(),
  };
}

/**
 * The log has the last word: what is deleted there is erased here, and a session that was to be deleted, and is not, is
 * taken in anew.
 */
function reconcile(sql: Sql, index: OpenIndex, isDeleted: IsDeleted): void {
  let anew = false;
  for (const row of sql('SELECT id, reached FROM sessions').all()) {
    const id = text(row['id']);
    const marked = row['reached'] === DELETED;
    const deleted = isDeleted(id);
    if (deleted !== false && !marked) index.erase(id);
    if (deleted !== false || !marked) continue;
    sql('DELETE FROM sessions WHERE id = ?').run(id);
    anew = true;
  }
  if (anew) sql("DELETE FROM cursor WHERE name = 'feed'").run();
}

function reachedOf(sql: Sql, session: string): number {
  return Number(sql('SELECT reached FROM sessions WHERE id = ?').get(session)?.['reached'] ?? 0);
}

function addOne(sql: Sql, { session, agent, upTo, said }: Addition[number]): void {
  const reached = reachedOf(sql, session);
  for (const one of said) {
    if (one.seq <= reached) continue;
    const id = freeId(sql, one.at * PER_MS);
    const { seq, at, run, role } = one;
    sql('INSERT INTO texts VALUES (?, ?, ?, ?, ?, ?, ?, ?)').run(id, session, agent, seq, at, run, role, one.text);
    sql('INSERT INTO spoken (rowid, words) VALUES (?, ?)').run(id, spokenWords(one.text));
  }
  sql('INSERT OR REPLACE INTO sessions VALUES (?, ?)').run(session, Math.max(reached, upTo));
}

function freeId(sql: Sql, wanted: number): number {
  const newest = sql('SELECT max(id) AS id FROM texts WHERE id >= ? AND id < ?').get(wanted, wanted + PER_MS)?.['id'];
  if (newest === null || newest === undefined) return wanted;
  let id = integer(newest) + 1;
  while (sql('SELECT id FROM texts WHERE id = ?').get(id) !== undefined) id += 1;
  return id;
}

function search(sql: Sql, { terms, agent, cursor, limit }: Query): Page<SaidHit> {
  const before = cursor === undefined ? Number.MAX_SAFE_INTEGER : decodeCursor('t', cursor);
  const phrases = phrasesOf(terms);
  if (phrases.length === 0) return { items: [], next: null };
  // Words are letters and digits alone: nothing in them can end the quotation.
  const match = phrases.map((words) => `"${words.join(' ')}"`).join(' AND ');
  const rows = sql(
    `SELECT t.* FROM spoken JOIN texts t ON t.id = spoken.rowid
     WHERE spoken MATCH ?1 AND spoken.rowid < ?2 AND (?3 IS NULL OR t.agent = ?3)
     ORDER BY spoken.rowid DESC LIMIT ?4`,
  ).all(match, before, agent ?? null, limit + 1);
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown.map((row) => hitOf(row, phrases)),
    next: rows.length > limit && last !== undefined ? encodeCursor('t', integer(last['id'])) : null,
  };
}

function hitOf(row: Row, phrases: readonly string[][]): SaidHit {
  return {
    session: text(row['session']),
    agent: text(row['agent']),
    seq: integer(row['seq']),
    at: integer(row['at']),
    run: text(row['run']),
    role: row['role'] === 'user' ? 'user' : 'assistant',
    snippet: snippetOf(text(row['text']), phrases),
  };
}
