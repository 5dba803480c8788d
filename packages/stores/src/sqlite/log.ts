import type { Body, CommittedChange, DamageReport, LogStore, SessionRow, StoredFrame } from '@perdure/runtime/ports';
import { StoreDamage } from '@perdure/runtime/ports';
import { endOf, packBodies, type Place, tailProblem } from '../frames.ts';
import { accountsOf } from './books.ts';
import { FRAME_COLUMNS, readFrame } from './frames.ts';
import { sqliteLists } from './lists.ts';
import { headOf } from './check.ts';
import type { StagedTuple } from './protocol.ts';
import { type Reader, readingSession, sessionRow } from './reader.ts';
import { blob, integer, type Row } from './schema.ts';
import { eraseTexts, type Searcher, sqliteTexts } from './texts.ts';
import { startThread } from './thread.ts';
import type { Writer } from './writer.ts';

/** What the parts of an open store share, for one tenant. */
export type Scope = {
  tenant: string;
  directory: string;
  writer: Writer;
  reader: Reader;
  searcher: Searcher;
  now: () => number;
  /** Throws `unavailable` once the store is closed. */
  checkOpen: () => void;
  /** Closing waits for this. */
  track<T>(work: Promise<T>): Promise<T>;
  watchers: Set<(change: CommittedChange) => void>;
  /** Sessions that opening found damaged: closed to reading and appending. */
  damaged: Map<string, DamageReport>;
};

export function sqliteLog(scope: Scope): LogStore {
  const { tenant, writer, reader, damaged } = scope;
  const sql = reader.sql;
  const admit = (session: string): void => {
    scope.checkOpen();
    const report = damaged.get(session);
    if (report !== undefined) throw new StoreDamage(report);
  };
  /** The row of a session that can be read; throws its damage. */
  const find = (session: string): Row | undefined => {
    admit(session);
    const tid = reader.tenantId(tenant);
    if (tid === null) return undefined;
    return readingSession(session, () =>
      sql(
        'SELECT sid, id, seq, hash, agent, status, key, doc FROM sessions WHERE tid = ? AND id = ? AND deleted = 0',
      ).get(tid, session),
    );
  };
  const get = async (session: string): Promise<SessionRow | null> =>
    readingSession(session, () => {
      const row = find(session);
      return row === undefined ? null : sessionRow(row);
    });
  return {
    append(request) {
      const report = damaged.get(request.session);
      if (report !== undefined && writer.unavailable() === null) return Promise.reject(new StoreDamage(report));
      return writer.append(tenant, request, scope.now());
    },
    async read(session, { after, limit }) {
      const row = find(session);
      if (row === undefined || limit < 1) return [];
      return readingSession(session, () => readLog(sql, session, row, after, limit));
    },
    get,
    async find(key) {
      scope.checkOpen();
      const tid = reader.tenantId(tenant);
      const id = sql('SELECT id FROM sessions WHERE tid = ? AND key = ?').get(tid, key)?.['id'];
      return typeof id === 'string' ? get(id) : null;
    },
    async body(session, seq, digest) {
      const row = find(session);
      if (row === undefined) return null;
      return readingSession(session, () => readBody(sql, session, integer(row['sid']), seq, digest));
    },
    watch(changed) {
      scope.checkOpen();
      const watcher = (change: CommittedChange): void => changed(change);
      scope.watchers.add(watcher);
      return () => void scope.watchers.delete(watcher);
    },
    async delete(session) {
      scope.checkOpen();
      await eraseTexts(scope, session);
      const deleted = await writer.write({ op: 'delete', tenant, session });
      damaged.delete(session);
      return deleted === true;
    },
    async verify(session) {
      scope.checkOpen();
      return scope.track(verify(scope.directory, tenant, session ?? null));
    },
    texts: sqliteTexts(scope),
    ...births(scope, admit),
    ...bookkeeping(scope),
    ...sqliteLists(scope),
  };
}

/** How a session begins with frames that are there already. */
function births(scope: Scope, admit: (session: string) => void): Pick<LogStore, 'fork' | 'stage'> {
  const { tenant, writer } = scope;
  return {
    async fork(origin, request) {
      if ('session' in origin) admit(origin.session);
      return writer.append(tenant, request, scope.now(), origin);
    },
    async stage(name, frames) {
      scope.checkOpen();
      const staged = frames === null ? null : frames.map(stagedTuple);
      await writer.write({ op: 'stage', tenant, name, frames: staged });
    },
  };
}

/** Accounts of no session's. */
function bookkeeping({ tenant, writer, reader, checkOpen }: Scope): Pick<LogStore, 'openAccounts' | 'accounts'> {
  return {
    async openAccounts(accounts, { keep }) {
      checkOpen();
      await writer.write({ op: 'accounts', tenant, accounts, keep });
    },
    async accounts(ids) {
      checkOpen();
      const tid = reader.tenantId(tenant);
      return tid === null ? [] : ids.flatMap((id) => accountsOf(reader.sql, tid)(id) ?? []);
    },
  };
}

const stagedTuple = ({ first, count, hash, bytes, bodies, erased }: StoredFrame): StagedTuple => [
  first,
  count,
  hash,
  bytes,
  erased ? null : packBodies(bodies),
];

/** Frames from the one that holds `after + 1` on, each checked against the one before it and the last against the head. */
function readLog(sql: Reader['sql'], session: string, row: Row, after: number, limit: number): StoredFrame[] {
  const sid = integer(row['sid']);
  const rows = sql(
    `SELECT ${FRAME_COLUMNS} FROM frames WHERE sid = ?1 AND first + count - 1 > ?2
     AND first >= coalesce((SELECT max(first) FROM frames WHERE sid = ?1 AND first <= ?2 + 1), 0)
     ORDER BY first LIMIT ?3`,
  ).all(sid, after, limit);
  let end = placeBefore(sql, sid, rows[0], after);
  const frames: StoredFrame[] = [];
  for (const one of rows) {
    const { frame, problems } = readFrame(one, end);
    const [problem] = problems;
    if (problem !== undefined) throw new StoreDamage({ session, ...problem });
    frames.push(frame);
    end = endOf(frame);
  }
  const problem = rows.length < limit ? tailProblem(end, headOf(row)) : null;
  if (problem !== null) throw new StoreDamage({ session, ...problem });
  return frames;
}

/** The end of the frame before `row`, or before the end of the log when there is none. */
function placeBefore(sql: Reader['sql'], sid: number, row: Row | undefined, after: number): Place {
  const before = sql(
    'SELECT first, count, hash FROM frames WHERE sid = ? AND first < ? ORDER BY first DESC LIMIT 1',
  ).get(sid, row === undefined ? after + 1 : integer(row['first']));
  if (before === undefined) return { seq: 0, hash: '' };
  return { seq: integer(before['first']) + integer(before['count']) - 1, hash: blob(before['hash']).toString('hex') };
}

function readBody(sql: Reader['sql'], session: string, sid: number, seq: number, digest: string): Body | null {
  const row = sql(`SELECT ${FRAME_COLUMNS} FROM frames WHERE sid = ? AND first <= ? ORDER BY first DESC LIMIT 1`).get(
    sid,
    seq,
  );
  if (row === undefined || integer(row['first']) + integer(row['count']) <= seq) return null;
  const { frame, problems } = readFrame(row, { seq: integer(row['first']) - 1, hash: '' });
  const problem = problems.find(({ code }) => code === 'body');
  if (problem !== undefined) throw new StoreDamage({ session, ...problem });
  return frame.bodies.find((body) => body.digest === digest) ?? null;
}

/** In a thread of its own: it reads everything, and neither commits nor the main thread may wait for that. */
async function verify(directory: string, tenant: string, session: string | null): Promise<DamageReport[]> {
  const worker = startThread('verifier', { directory, tenant, session });
  const { promise, resolve, reject } = Promise.withResolvers<DamageReport[]>();
  worker.on('message', resolve);
  worker.on('error', reject);
  worker.on('exit', () => reject(new Error('the verifying thread ended without an answer')));
  return promise;
}
