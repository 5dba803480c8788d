import { hash as digestOf } from 'node:crypto';
import type { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import { book } from '../ledger.ts';
import { passesFence, sessionLease } from '../leases.ts';
import { LIMITS } from '../limits.ts';
import type { RunTuple } from '../rows.ts';
import { accountsOf, reservationsOf, writeBooks } from './books.ts';
import { leasesOf } from './lease-rows.ts';
import { hasPrefix, takePrefix } from './origin.ts';
import type { ReceivedAppend, Refusal } from './protocol.ts';
import { blob, integer, type Row, spanOf, type Sql, statements } from './schema.ts';

/** What the committer remembers of a session: nobody else writes, so it stays true until a rollback. */
type Known = {
  sid: number;
  seq: number;
  hash: string;
  agent: string;
  status: string;
  key: string | null;
  due: number | null;
  deleted: boolean;
};
/** A tenant's counters, whether it ever had a lease, and the sessions it remembers. */
type Tenant = {
  tid: number;
  sessions: number;
  runs: number;
  changes: number;
  leased: boolean;
  known: Map<string, Known>;
};

export type Appender = {
  /** Checks all, then writes: a refusal or a `StoreError` has written nothing. Inside a transaction of the caller. */
  append(write: ReceivedAppend): Refusal | null;
  tenant(name: string): Tenant;
  /** What is remembered of a tenant is wrong from now on. */
  forget(tenant: string): void;
  /** After a rollback: everything remembered may be wrong. */
  forgetAll(): void;
};

export function createAppender(db: DatabaseSync, epoch: number): Appender {
  const sql = statements(db);
  const tenants = new Map<string, Tenant>();
  const tenant = (name: string): Tenant => {
    const known = tenants.get(name) ?? loadTenant(sql, name);
    tenants.set(name, known);
    return known;
  };
  return {
    append(write) {
      const owner = tenant(write.tenant);
      const known = find(sql, owner, write.session);
      const refusal = refusalOf(sql, epoch, owner, known, write);
      if (refusal !== null) return refusal;
      checkFrame(write);
      if (write.origin !== null && !hasPrefix(sql, owner.tid, write.origin, write.expected))
        return { ok: false, code: 'no_prefix' };
      if (write.ledger === null) {
        writeAppend(sql, owner, known, write);
        return null;
      }
      const booking = book(write.ledger, {
        account: accountsOf(sql, owner.tid),
        reservation: known === undefined ? () => undefined : reservationsOf(sql, known.sid),
      });
      if (!booking.ok) return { ok: false, code: 'refused', shortage: booking.shortage };
      writeBooks(sql, owner.tid, writeAppend(sql, owner, known, write), booking.rows);
      return null;
    },
    tenant,
    forget(name) {
      tenants.delete(name);
    },
    forgetAll() {
      tenants.clear();
    },
  };
}

function loadTenant(sql: Sql, name: string): Tenant {
  sql('INSERT OR IGNORE INTO tenants (name) VALUES (?)').run(name);
  const tid = integer(sql('SELECT tid FROM tenants WHERE name = ?').get(name)?.['tid']);
  const { from, to } = spanOf(tid);
  const newest = (query: string, ...values: number[]): number => Number(sql(query).get(...values)?.['newest'] ?? 0);
  return {
    tid,
    sessions: Math.max(0, newest('SELECT max(sid) AS newest FROM sessions WHERE sid < ?', to) - from),
    runs: Math.max(0, newest('SELECT max(rid) AS newest FROM runs WHERE rid < ?', to) - from),
    changes: newest('SELECT max(change) AS newest FROM sessions WHERE tid = ?', tid),
    leased: newest('SELECT count(*) AS newest FROM leases WHERE tid = ?', tid) > 0,
    known: new Map<string, Known>(),
  };
}

function find(sql: Sql, owner: Tenant, session: string): Known | undefined {
  const known = owner.known.get(session);
  if (known !== undefined) return known;
  const row = sql('SELECT * FROM sessions WHERE tid = ? AND id = ?').get(owner.tid, session);
  return row === undefined ? undefined : remember(owner, session, knownOf(row));
}

/** The head, the fence, the key: what the ledger does not decide. */
function refusalOf(
  sql: Sql,
  epoch: number,
  owner: Tenant,
  known: Known | undefined,
  { session, expected, key, fence, origin }: ReceivedAppend,
): Refusal | null {
  const seq = known?.seq ?? 0;
  const hash = known?.hash ?? '';
  // A fork begins a session, with the head of another one's prefix.
  const fits = origin === null ? seq === expected.seq && hash === expected.hash : known === undefined;
  if (!fits || known?.deleted === true) {
    return { ok: false, code: 'conflict', head: { seq, hash } };
  }
  if (fence !== null) {
    const leaseOf = leasesOf(sql, owner.tid);
    const lease = owner.leased ? leaseOf(sessionLease(session)) : undefined;
    const [holder, fenceEpoch, now] = fence;
    // Without a lease, an epoch older than this opening belongs to a process that is gone.
    const passes =
      lease === undefined ? fenceEpoch >= epoch : passesFence({ holder, epoch: fenceEpoch }, lease, now, leaseOf);
    if (!passes) return { ok: false, code: 'fenced' };
  }
  if (key !== null && key !== known?.key) {
    const taken = sql('SELECT id FROM sessions WHERE tid = ? AND key = ?').get(owner.tid, key)?.['id'];
    if (typeof taken === 'string') return { ok: false, code: 'key_taken', session: taken };
  }
  return null;
}

/** Writes the session's row, the frame and the runs; gives the session's number. */
function writeAppend(sql: Sql, owner: Tenant, known: Known | undefined, write: ReceivedAppend): number {
  const { session, first, count, hash, agent, status, key, due, doc } = write;
  const change = ++owner.changes;
  const seq = first + count - 1;
  const hashBytes = Buffer.from(hash, 'hex');
  const sid = known?.sid ?? spanOf(owner.tid).from + ++owner.sessions;
  if (known === undefined) {
    const insert = sql('INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)');
    insert.run(sid, owner.tid, session, change, seq, hashBytes, agent, status, key, due, doc);
    remember(owner, session, { sid, seq, hash, agent, status, key, due, deleted: false });
  } else {
    updateSession(sql, known, { ...write, seq, change, hashBytes });
    Object.assign(known, { seq, hash, agent, status, key, due });
  }
  if (write.origin !== null) takePrefix(sql, owner.tid, write.origin, first - 1, sid);
  const insert = sql('INSERT INTO frames (sid, first, count, hash, frame, bodies) VALUES (?, ?, ?, ?, ?, ?)');
  insert.run(sid, first, count, hashBytes, write.frame, write.bodies);
  for (const run of write.runs ?? []) writeRun(sql, owner, known === undefined, sid, run);
  return sid;
}

type Update = ReceivedAppend & { seq: number; change: number; hashBytes: Buffer };

/** Setting an indexed column costs its index even when the value stays: most appends change none, nearly all others two. */
function updateSession(sql: Sql, known: Known, update: Update): void {
  const { change, seq, hashBytes, doc, agent, status, key, due } = update;
  const { sid } = known;
  if (known.key !== key || known.agent !== agent)
    sql(
      `UPDATE sessions SET change = ?, seq = ?, hash = ?, doc = ?, agent = ?, status = ?, key = ?, due = ?
       WHERE sid = ?`,
    ).run(change, seq, hashBytes, doc, agent, status, key, due, sid);
  else if (known.status !== status || known.due !== due)
    sql('UPDATE sessions SET change = ?, seq = ?, hash = ?, doc = ?, status = ?, due = ? WHERE sid = ?').run(
      change,
      seq,
      hashBytes,
      doc,
      status,
      due,
      sid,
    );
  else
    sql('UPDATE sessions SET change = ?, seq = ?, hash = ?, doc = ? WHERE sid = ?').run(
      change,
      seq,
      hashBytes,
      doc,
      sid,
    );
}

function writeRun(sql: Sql, owner: Tenant, isNew: boolean, sid: number, [run, agent, status, doc]: RunTuple): void {
  const update = 'UPDATE runs SET status = ?, doc = ? WHERE sid = ? AND run = ? AND agent = ?';
  if (!isNew && sql(update).run(status, doc, sid, run, agent).changes === 1) return;
  const rid = spanOf(owner.tid).from + owner.runs + 1;
  const { lastInsertRowid } = sql(
    `INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (sid, run) DO UPDATE SET agent = excluded.agent, status = excluded.status, doc = excluded.doc`,
  ).run(rid, owner.tid, sid, run, agent, status, doc);
  if (lastInsertRowid === rid) owner.runs += 1;
}

function remember(owner: Tenant, session: string, known: Known): Known {
  if (owner.known.size >= LIMITS.knownSessions) {
    const [oldest = ''] = owner.known.keys();
    owner.known.delete(oldest);
  }
  owner.known.set(session, known);
  return known;
}

function knownOf(row: Row): Known {
  return {
    sid: integer(row['sid']),
    seq: integer(row['seq']),
    hash: blob(row['hash']).toString('hex'),
    agent: String(row['agent']),
    status: String(row['status']),
    key: typeof row['key'] === 'string' ? row['key'] : null,
    due: typeof row['due'] === 'number' ? row['due'] : null,
    deleted: row['deleted'] !== 0,
  };
}

/** A frame must continue the head it names: anything else is a bug of the caller, and would read as damage later. */
function checkFrame({ session, expected, first, count, hash, chained }: ReceivedAppend): void {
  if (first !== expected.seq + 1 || count < 1) {
    throw new StoreError('invalid_append', `the frame of ${session} does not begin after seq ${expected.seq}`);
  }
  if (digestOf('sha256', chained, 'hex') !== hash) {
    throw new StoreError('invalid_append', `the frame of ${session} at seq ${first} breaks the hash chain`);
  }
}
