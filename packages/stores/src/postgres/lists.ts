import type { Change, LogStore } from '@perdure/runtime/ports';
import { type CursorKind, decodeCursor, encodeCursor } from '../cursors.ts';
import { LIMITS } from '../limits.ts';
import { unpackRun } from '../rows.ts';
import { sessionRow } from './log.ts';
import type { Scope } from './scope.ts';
import { integer, type Row, text, type Value } from './statement.ts';

type Lists = Pick<LogStore, 'list' | 'runs' | 'run' | 'due' | 'feed'>;

/** Further conditions, each with its value; those without one are left out. */
function conditions(
  from: number,
  given: readonly [sql: string, value: Value | undefined][],
): { sql: string; values: Value[] } {
  const kept = given.filter((one): one is [string, Value] => one[1] !== undefined);
  return {
    sql: kept.map(([sql], at) => ` AND ${sql.replace('?', `$${from + at}`)}`).join(''),
    values: kept.map(([, value]) => value),
  };
}

/** Lists and work, read from the rows of sessions and runs. */
export function postgresLists(scope: Scope): Lists {
  return { ...pagedLists(scope), ...workLists(scope) };
}

function pagedLists({ tenant, read }: Scope): Pick<Lists, 'list' | 'runs' | 'run'> {
  return {
    async list({ agent, status, cursor, limit }) {
      const before = cursor === undefined ? undefined : decodeCursor('s', cursor);
      const more = conditions(3, [
        ['agent = ?', agent],
        ['status = ?', status],
        ['sid < ?', before],
      ]);
      const query = `SELECT sid, id, seq, hash, agent, status, key, doc FROM {s}.sessions WHERE tenant = $1 AND NOT deleted${more.sql}
        ORDER BY sid DESC LIMIT $2`;
      const rows = await read(query, [tenant, limit + 1, ...more.values]);
      return { items: rows.slice(0, limit).map(sessionRow), next: nextOf('s', 'sid', rows, limit) };
    },
    async runs({ agent, status, session, cursor, limit }) {
      const before = cursor === undefined ? undefined : decodeCursor('r', cursor);
      const more = conditions(3, [
        ['r.agent = ?', agent],
        ['r.status = ?', status],
        ['r.sid = (SELECT sid FROM {s}.sessions WHERE tenant = $1 AND id = ?)', session],
        ['r.rid < ?', before],
      ]);
      const query = `SELECT r.rid, s.id, r.run, r.agent, r.status, r.doc
        FROM {s}.runs r JOIN {s}.sessions s ON s.tenant = $1 AND s.sid = r.sid
        WHERE r.tenant = $1${more.sql} ORDER BY r.rid DESC LIMIT $2`;
      const rows = await read(query, [tenant, limit + 1, ...more.values]);
      const items = rows.slice(0, limit).map((row) => ({ ...runOf(row), session: text(row['id']) }));
      return { items, next: nextOf('r', 'rid', rows, limit) };
    },
    async run(session, run) {
      const [row] = await read(
        `SELECT run, agent, status, doc FROM {s}.runs WHERE tenant = $1 AND run = $3
         AND sid = (SELECT sid FROM {s}.sessions WHERE tenant = $1 AND id = $2)`,
        [tenant, session, run],
      );
      return row === undefined ? null : runOf(row);
    },
  };
}

/** No other one lives under the session's lease (see leases.ts). */
const NOT_OTHERS = `NOT EXISTS (
  SELECT FROM {s}.leases held LEFT JOIN {s}.leases own
    ON own.tenant = $1 AND own.name = held.holder AND own.holder = held.holder
  WHERE held.tenant = $1 AND held.name = 'session/' || s.id AND held.holder NOT IN ('', ?)
    AND (held.expires_at > {s}.now_ms() OR (held.expires_at IS NULL AND own.expires_at > {s}.now_ms())))`;

function workLists({ tenant, read, write }: Scope): Pick<Lists, 'due' | 'feed'> {
  return {
    async due({ now, after, limit, holder, agents }) {
      const place = after === null ? 0 : decodeCursor('d', after);
      const more = conditions(5, [
        [NOT_OTHERS, holder],
        [
          's.agent IN (SELECT jsonb_array_elements_text(?::jsonb))',
          agents === undefined ? undefined : JSON.stringify(agents),
        ],
      ]);
      const query = `SELECT s.sid, s.id FROM {s}.sessions s
        WHERE s.tenant = $1 AND s.due IS NOT NULL AND s.due <= $2 AND s.sid > $3${more.sql} ORDER BY s.sid LIMIT $4`;
      const rows = await read(query, [tenant, now, place, limit + 1, ...more.values]);
      return { sessions: rows.slice(0, limit).map((row) => text(row['id'])), next: nextOf('d', 'sid', rows, limit) };
    },
    async feed(after, limit) {
      const place = after === '' ? 0 : decodeCursor('f', after);
      const { newest, rows } = feedOf(await write(FEED, [place, limit, LIMITS.numberedChanges]));
      if (place > newest) return { resync: true, cursor: encodeCursor('f', newest) };
      return {
        changes: rows.map(([, session, agent, head, status]): Change => ({ session, agent, head, status })),
        cursor: encodeCursor('f', rows.at(-1)?.[0] ?? place),
      };
    },
  };
}

export const FEED = 'SELECT {s}.feed($1, $2, $3) AS feed';

export type FeedRow = [
  place: number,
  session: string,
  agent: string,
  head: number,
  status: Change['status'],
  doc: string,
];

/** What the function `feed` gives (see the migrations): the newest place there is, and the changes after the one asked. */
export function feedOf([row]: readonly Row[]): { newest: number; rows: FeedRow[] } {
  const [newest, rows]: [number, FeedRow[]] = JSON.parse(text(row?.['feed']));
  return { newest, rows };
}

/** The cursor of the next page: one row more than was asked for tells that there is one. */
function nextOf(kind: CursorKind, id: 'sid' | 'rid', rows: Row[], limit: number): string | null {
  const last = rows[limit - 1];
  return rows.length > limit && last !== undefined ? encodeCursor(kind, integer(last[id])) : null;
}

const runOf = (row: Row): ReturnType<typeof unpackRun> =>
  unpackRun([text(row['run']), text(row['agent']), text(row['status']), text(row['doc'])]);
