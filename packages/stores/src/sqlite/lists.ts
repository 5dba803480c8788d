import type { Change, LogStore } from '@perdure/runtime/ports';
import { decodeCursor, encodeCursor } from '../cursors.ts';
import { unpackRun } from '../rows.ts';
import type { Scope } from './log.ts';
import { reading, sessionRow } from './reader.ts';
import { integer, type Row, spanOf, TENANT_SPAN, text } from './schema.ts';

type Lists = Pick<LogStore, 'list' | 'runs' | 'run' | 'due' | 'feed'>;
type PagedTable = 'sessions' | 'runs';
type Filters = { agent?: string | undefined; status?: string | undefined; sid?: number | undefined };

/**
 * A page of a table, newest first, between two rowids (which also say the tenant). The tenant is a condition of its own
 * only where an index begins with it: everywhere else it would lead the planner away from the order of the rows.
 */
export function pageQuery(table: PagedTable, tid: number, { agent, status, sid }: Filters) {
  const indexed = sid === undefined && (agent !== undefined || status !== undefined);
  const conditions = Object.entries({ tid: indexed ? tid : undefined, sid, agent, status });
  const given = conditions.filter((entry): entry is [string, string | number] => entry[1] !== undefined);
  const [select, id] =
    table === 'sessions'
      ? ['SELECT sid, id, seq, hash, agent, status, key, doc FROM sessions WHERE deleted = 0 AND', 'sid']
      : ['SELECT rid, sid, run, agent, status, doc FROM runs WHERE', 'rid'];
  const clauses = given.map(([column]) => ` AND ${column} = ?`).join('');
  const query = `${select} ${id} > ? AND ${id} < ?${clauses} ORDER BY ${id} DESC LIMIT ?`;
  return { query, values: given.map(([, value]) => value) };
}

/** Lists and work, read from the rows of sessions and runs. */
export function sqliteLists(scope: Scope): Lists {
  return { ...pagedLists(scope), ...workLists(scope) };
}

function pagedLists({ tenant, reader, checkOpen }: Scope): Pick<Lists, 'list' | 'runs' | 'run'> {
  const { sql } = reader;
  const page = (table: PagedTable, filters: Filters, before: number, limit: number): Row[] => {
    const tid = reader.tenantId(tenant);
    if (tid === null) return [];
    const { from, to } = spanOf(tid);
    const { query, values } = pageQuery(table, tid, filters);
    return reading(() => sql(query).all(from, Math.min(from + before, to), ...values, limit + 1));
  };
  return {
    async list({ agent, status, cursor, limit }) {
      const before = cursor === undefined ? Infinity : decodeCursor('s', cursor);
      checkOpen();
      const rows = page('sessions', { agent, status }, before, limit);
      return { items: rows.slice(0, limit).map(sessionRow), next: nextOf('s', 'sid', rows, limit) };
    },
    async runs({ agent, status, session, cursor, limit }) {
      const before = cursor === undefined ? Infinity : decodeCursor('r', cursor);
      checkOpen();
      const tid = reader.tenantId(tenant);
      const sid =
        session === undefined
          ? undefined
          : (sql('SELECT sid FROM sessions WHERE tid = ? AND id = ?').get(tid, session)?.['sid'] ?? 0);
      const filters = { agent, status, sid: sid === undefined ? undefined : integer(sid) };
      const rows = page('runs', filters, before, limit);
      const items = rows.slice(0, limit).map((row) => {
        const owner = sql('SELECT id FROM sessions WHERE sid = ?').get(integer(row['sid']));
        return { ...unpackRun(runOf(row)), session: text(owner?.['id']) };
      });
      return { items, next: nextOf('r', 'rid', rows, limit) };
    },
    async run(session, run) {
      checkOpen();
      const row = sql(
        'SELECT run, agent, status, doc FROM runs WHERE run = ? AND sid = (SELECT sid FROM sessions WHERE tid = ? AND id = ?)',
      ).get(run, reader.tenantId(tenant), session);
      return row === undefined ? null : unpackRun(runOf(row));
    },
  };
}

const OF_AGENTS = 'AND agent IN (SELECT value FROM json_each(?))';
/** No other one lives under the session's lease (see leases.ts). */
const NOT_OTHERS = `AND NOT EXISTS (
  SELECT 1 FROM leases AS held LEFT JOIN leases AS own
    ON own.tid = held.tid AND own.name = held.holder AND own.holder = held.holder
  WHERE held.tid = ? AND held.name = 'session/' || sessions.id AND held.holder NOT IN ('', ?)
    AND (held.expiresAt > ? OR (held.expiresAt IS NULL AND own.expiresAt > ?)))`;

function workLists({ tenant, reader, damaged, checkOpen, now: clock }: Scope): Pick<Lists, 'due' | 'feed'> {
  const { sql } = reader;
  return {
    async due({ now, after, limit, holder, agents }) {
      const place = after === null ? 0 : decodeCursor('d', after);
      checkOpen();
      const tid = reader.tenantId(tenant);
      if (tid === null) return { sessions: [], next: null };
      const { from, to } = spanOf(tid);
      const filters = [
        ...(holder === undefined ? [] : [{ clause: NOT_OTHERS, values: [tid, holder, clock(), clock()] }]),
        ...(agents === undefined ? [] : [{ clause: OF_AGENTS, values: [JSON.stringify(agents)] }]),
      ];
      const query = `SELECT sid, id FROM sessions WHERE due IS NOT NULL AND due <= ? AND sid > ? AND sid < ?
        ${filters.map(({ clause }) => clause).join(' ')} ORDER BY sid LIMIT ?`;
      const given = filters.flatMap(({ values }) => values);
      const rows = reading(() => sql(query).all(now, from + place, to, ...given, limit + 1));
      const ids = rows.slice(0, limit).map((row) => text(row['id']));
      return { sessions: ids.filter((id) => !damaged.has(id)), next: nextOf('d', 'sid', rows, limit) };
    },
    async feed(after, limit) {
      const place = after === '' ? 0 : decodeCursor('f', after);
      checkOpen();
      const tid = reader.tenantId(tenant);
      const newest = Number(sql('SELECT max(change) AS newest FROM sessions WHERE tid = ?').get(tid)?.['newest'] ?? 0);
      if (place > newest) return { resync: true, cursor: encodeCursor('f', newest) };
      const rows = reading(() =>
        sql(
          `SELECT id, agent, seq, status, change FROM sessions WHERE tid = ? AND change > ? AND deleted = 0
           ORDER BY change LIMIT ?`,
        ).all(tid, place, limit),
      );
      const last = rows.at(-1)?.['change'];
      return { changes: rows.map(changeOf), cursor: encodeCursor('f', last === undefined ? place : integer(last)) };
    },
  };
}

/** The cursor of the next page: one row more than was asked for tells that there is one. */
function nextOf(kind: 's' | 'r' | 'd', id: 'sid' | 'rid', rows: Row[], limit: number): string | null {
  const last = rows[limit - 1];
  return rows.length > limit && last !== undefined ? encodeCursor(kind, placeOf(last, id)) : null;
}

/** The tenant's own count inside a rowid (see the schema). */
function placeOf(row: Row, id: 'sid' | 'rid'): number {
  return integer(row[id]) % TENANT_SPAN;
}

const runOf = (row: Row): Parameters<typeof unpackRun>[0] => [
  text(row['run']),
  text(row['agent']),
  text(row['status']),
  text(row['doc']),
];

function changeOf(row: Row): Change {
  return {
    session: text(row['id']),
    agent: text(row['agent']),
    head: integer(row['seq']),
    status: text(row['status']) as Change['status'],
  };
}
