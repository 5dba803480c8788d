import type {
  AccountRow,
  Amount,
  Body,
  Caps,
  CommittedChange,
  DamageReport,
  LogStore,
  SessionRow,
  StoredFrame,
} from '@perdure/runtime/ports';
import { StoreDamage } from '@perdure/runtime/ports';
import { checkedFrame, endOf, packBodies, type Place, type Problem, tailProblem } from '../frames.ts';
import { LIMITS } from '../limits.ts';
import { unpackIndex } from '../rows.ts';
import { postgresLists } from './lists.ts';
import type { Scope } from './scope.ts';
import { bytes, integer, type Row, text } from './statement.ts';
import { postgresTexts } from './texts.ts';

const SESSION = `SELECT sid, id, seq, hash, agent, status, key, doc FROM {s}.sessions
  WHERE tenant = $1 AND NOT deleted AND`;
/** Frames from the one that holds the entry after `$3` on, and the one before them. */
const FRAMES = `SELECT f.first, f.count, f.hash, f.frame, f.bodies FROM {s}.frames f
  WHERE f.tenant = $1 AND f.sid = $2 AND f.first >= coalesce((
    SELECT max(first) FROM {s}.frames WHERE tenant = $1 AND sid = $2 AND first < coalesce((
      SELECT max(first) FROM {s}.frames WHERE tenant = $1 AND sid = $2 AND first <= $3::bigint + 1), 0)), 0)
  ORDER BY f.first LIMIT $4`;
const FRAME_OF = `SELECT first, count, hash, frame, bodies FROM {s}.frames
  WHERE tenant = $1 AND sid = $2 AND first <= $3 ORDER BY first DESC LIMIT 1`;
const STAGE = `INSERT INTO {s}.staged VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {s}.now_ms())`;
const UNSTAGE = 'DELETE FROM {s}.staged WHERE tenant = $1 AND opening = $2 AND name = $3';

/** In the order in which appends lock them. */
const OPENING = `INSERT INTO {s}.accounts
  SELECT $1, a ->> 'account', a ->> 'parent', (a #>> '{caps,tokens}')::bigint, (a #>> '{caps,nanoUsd}')::bigint, 0, 0
  FROM jsonb_array_elements($2::jsonb) a ORDER BY a ->> 'account' COLLATE "C"
  ON CONFLICT (tenant, id)`;
const OPEN = `${OPENING} DO NOTHING`;
const OPEN_TO_CHANGE = `${OPENING} DO UPDATE SET cap_tokens = excluded.cap_tokens, cap_money = excluded.cap_money`;
const ACCOUNTS = `SELECT a.id, a.parent, a.cap_tokens, a.cap_money, a.spent_tokens, a.spent_money, a.reserved_tokens,
  a.reserved_money FROM jsonb_array_elements_text($2::jsonb) WITH ORDINALITY i(id, place)
  JOIN {s}.accounts a ON a.tenant = $1 AND a.id = i.id ORDER BY i.place`;

function accountRow(row: Row): AccountRow {
  const amount = (of: string): Amount => ({
    tokens: integer(row[`${of}_tokens`]),
    nanoUsd: integer(row[`${of}_money`]),
  });
  const caps: Caps = {};
  if (typeof row['cap_tokens'] === 'string') caps.tokens = integer(row['cap_tokens']);
  if (typeof row['cap_money'] === 'string') caps.nanoUsd = integer(row['cap_money']);
  return {
    id: text(row['id']),
    parent: row['parent'] ?? null,
    caps,
    spent: amount('spent'),
    reserved: amount('reserved'),
  };
}

export function postgresLog(scope: Scope): LogStore {
  const { tenant, opening } = scope;
  const find = async (where: string, value: string): Promise<Row | undefined> =>
    (await scope.read(`${SESSION} ${where} = $2`, [tenant, value]))[0];
  return {
    append: async (request) => scope.appender.append(request, null),
    fork: async (origin, request) => scope.appender.append(request, origin),
    async stage(name, frames) {
      if (frames === null) await scope.write(UNSTAGE, [tenant, opening, name]);
      for (const { first, count, hash, bytes: frame, bodies, erased } of frames ?? []) {
        const packed = erased ? null : Buffer.from(packBodies(bodies));
        const values = [tenant, opening, name, first, count, Buffer.from(hash, 'hex'), Buffer.from(frame), packed];
        await scope.write(STAGE, values);
      }
    },
    async read(session, { after, limit }) {
      const row = await find('id', session);
      return row === undefined || limit < 1 ? [] : readLog(scope, session, row, after, limit);
    },
    async get(session) {
      const row = await find('id', session);
      return row === undefined ? null : sessionRow(row);
    },
    async find(key) {
      const row = await find('key', key);
      return row === undefined ? null : sessionRow(row);
    },
    async body(session, seq, digest) {
      const row = await find('id', session);
      return row === undefined ? null : readBody(scope, session, integer(row['sid']), seq, digest);
    },
    watch(changed) {
      scope.checkOpen();
      const watcher = (change: CommittedChange): void => changed(change);
      scope.watchers.add(watcher);
      scope.listen();
      return () => void scope.watchers.delete(watcher);
    },
    async delete(session) {
      const [row] = await scope.write('SELECT {s}.erase($1) AS erased', [session]);
      return row?.['erased'] === 't';
    },
    async verify(session) {
      return scope.track(verify(scope, session ?? null));
    },
    async openAccounts(accounts, { keep }) {
      await scope.write(keep ? OPEN : OPEN_TO_CHANGE, [tenant, JSON.stringify(accounts)]);
    },
    async accounts(ids) {
      const rows = await scope.read(ACCOUNTS, [tenant, JSON.stringify(ids)]);
      return rows.map(accountRow);
    },
    texts: postgresTexts(scope),
    ...postgresLists(scope),
  };
}

export function sessionRow(row: Row): SessionRow {
  const columns = { agent: text(row['agent']), status: text(row['status']), key: row['key'] ?? null };
  return { id: text(row['id']), head: headOf(row), ...unpackIndex({ ...columns, doc: text(row['doc']) }) };
}

const headOf = (row: Row): Place => ({ seq: integer(row['seq']), hash: bytes(row['hash']).toString('hex') });

function checked(row: Row, previous: Place): { frame: StoredFrame; problems: Problem[] } {
  const packed = row['bodies'];
  const columns = {
    first: integer(row['first']),
    count: integer(row['count']),
    bytes: bytes(row['frame']),
    hash: bytes(row['hash']).toString('hex'),
    packed: packed === null || packed === undefined ? null : bytes(packed).toString(),
  };
  return checkedFrame(columns, previous);
}

/** Frames from the one that holds `after + 1` on, each checked against the one before it and the last against the head. */
async function readLog(scope: Scope, session: string, row: Row, after: number, limit: number): Promise<StoredFrame[]> {
  const rows = await scope.read(FRAMES, [scope.tenant, text(row['sid']), after, limit + 1]);
  let end: Place = { seq: 0, hash: '' };
  const frames: StoredFrame[] = [];
  for (const one of rows) {
    const first = integer(one['first']);
    const count = integer(one['count']);
    if (first + count - 1 <= after) {
      end = { seq: first + count - 1, hash: bytes(one['hash']).toString('hex') };
      continue;
    }
    if (frames.length >= limit) return frames;
    const { frame, problems } = checked(one, end);
    const [problem] = problems;
    if (problem !== undefined) throw new StoreDamage({ session, ...problem });
    frames.push(frame);
    end = endOf(frame);
  }
  // What was appended after the head was read is no damage.
  const problem = rows.length <= limit && end.seq <= headOf(row).seq ? tailProblem(end, headOf(row)) : null;
  if (problem !== null) throw new StoreDamage({ session, ...problem });
  return frames;
}

async function readBody(scope: Scope, session: string, sid: number, seq: number, digest: string): Promise<Body | null> {
  const [row] = await scope.read(FRAME_OF, [scope.tenant, sid, seq]);
  if (row === undefined || integer(row['first']) + integer(row['count']) <= seq) return null;
  const { frame, problems } = checked(row, { seq: integer(row['first']) - 1, hash: '' });
  const problem = problems.find(({ code }) => code === 'body');
  if (problem !== undefined) throw new StoreDamage({ session, ...problem });
  return frame.bodies.find((body) => body.digest === digest) ?? null;
}

const ALL =
  'SELECT sid, id, seq, hash FROM {s}.sessions WHERE tenant = $1 AND sid > $2 AND ($3::text IS NULL OR id = $3) ORDER BY sid LIMIT $4';
const NEXT_FRAMES = `SELECT first, count, hash, frame, bodies FROM {s}.frames
  WHERE tenant = $1 AND sid = $2 AND first > $3 ORDER BY first LIMIT $4`;
const ORPHANS = `SELECT DISTINCT f.sid FROM {s}.frames f WHERE f.tenant = $1 AND NOT EXISTS (
  SELECT FROM {s}.sessions s WHERE s.tenant = $1 AND s.sid = f.sid)`;

/** Re-reads and re-hashes everything, a page of frames at a time; heads before frames, so that what grows is no damage. */
async function verify(scope: Scope, session: string | null): Promise<DamageReport[]> {
  const { tenant } = scope;
  const reports: DamageReport[] = [];
  for (let after = '0'; ;) {
    const sessions = await scope.read(ALL, [tenant, after, session, LIMITS.readFrames]);
    for (const row of sessions) reports.push(...(await verifySession(scope, row)));
    after = text(sessions.at(-1)?.['sid'] ?? '0');
    if (sessions.length < LIMITS.readFrames) break;
  }
  if (session !== null) return reports;
  for (const row of await scope.read(ORPHANS, [tenant])) {
    const detail = 'its frames are there, and the row of the session is not';
    reports.push({ session: `(row ${text(row['sid'])})`, code: 'gap', seq: 1, detail });
  }
  return reports;
}

async function verifySession({ tenant, read }: Scope, row: Row): Promise<DamageReport[]> {
  const head = headOf(row);
  const found: Problem[] = [];
  let end: Place = { seq: 0, hash: '' };
  let first = 0;
  while (end.seq < head.seq) {
    const rows = await read(NEXT_FRAMES, [tenant, text(row['sid']), first, LIMITS.readFrames]);
    for (const one of rows) {
      if (end.seq >= head.seq) break;
      const { frame, problems } = checked(one, end);
      found.push(...problems);
      end = endOf(frame);
      first = frame.first;
    }
    if (rows.length < LIMITS.readFrames) break;
  }
  const problem = tailProblem(end, head);
  if (problem !== null) found.push(problem);
  return found.map((one) => ({ session: text(row['id']), ...one }));
}
