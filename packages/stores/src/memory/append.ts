import type { Append, AppendResult, Head, Origin, StoredFrame } from '@perdure/runtime/ports';
import { checkContinuity, headAfter, sameHead } from '../chain.ts';
import { book } from '../ledger.ts';
import { passesFence, sessionLease } from '../leases.ts';
import type { MemorySession, MemoryTenant } from './disk.ts';

const START: Head = { seq: 0, hash: '' };

/** Checks all, then writes all, in one go: nothing can come between. */
export function appendTo(
  tenant: MemoryTenant,
  request: Append,
  epoch: number,
  now: number,
  origin: Origin | null = null,
): AppendResult {
  const stored = tenant.sessions.get(request.session);
  const head = stored?.head ?? START;
  const fits = origin === null ? sameHead(head, request.expectedHead) : stored === undefined;
  if (!fits || stored?.deleted === true) return { ok: false, code: 'conflict', head };
  checkContinuity(request);
  if (request.fence !== undefined) {
    const lease = tenant.leases.get(sessionLease(request.session));
    if (!passesFence(request.fence, lease, epoch, now)) return { ok: false, code: 'fenced' };
  }
  const key = request.index.key;
  const owner = key === null ? undefined : tenant.keys.get(key);
  if (owner !== undefined && owner.id !== request.session) {
    return { ok: false, code: 'key_taken', session: owner.id };
  }
  const prefix = origin === null ? [] : prefixOf(tenant, origin, request.expectedHead);
  if (prefix === null) return { ok: false, code: 'no_prefix' };
  const booking = book(request.ledger, {
    account: (id) => tenant.accounts.get(id),
    reservation: (name) => stored?.reservations.get(name),
  });
  if (!booking.ok) return { ok: false, code: 'refused', shortage: booking.shortage };

  const session = stored ?? create(tenant, request);
  for (const account of booking.rows.accounts.values()) tenant.accounts.set(account.id, account);
  for (const row of booking.rows.reservations.values()) session.reservations.set(row.key, row);
  session.frames.push(...prefix);
  if (origin !== null && 'stage' in origin) tenant.staged.delete(origin.stage);
  write(tenant, session, request);
  return { ok: true, head: session.head };
}

/** Frames are never changed once they are stored, so that sessions can share them. */
function prefixOf(tenant: MemoryTenant, origin: Origin, head: Head): StoredFrame[] | null {
  const session = 'session' in origin ? tenant.sessions.get(origin.session) : undefined;
  if (session?.deleted === true) return null;
  const frames = session?.frames ?? ('stage' in origin ? (tenant.staged.get(origin.stage) ?? []) : []);
  const end = frames.findIndex((frame) => sameHead(headAfter(frame), head));
  return end < 0 ? null : frames.slice(0, end + 1);
}

function create(tenant: MemoryTenant, request: Append): MemorySession {
  const session: MemorySession = {
    id: request.session,
    number: tenant.sessions.size + 1,
    change: 0,
    head: START,
    index: request.index,
    frames: [],
    runs: new Map(),
    reservations: new Map(),
    snapshot: null,
    deleted: false,
  };
  tenant.sessions.set(session.id, session);
  return session;
}

function write(tenant: MemoryTenant, session: MemorySession, request: Append): void {
  const { frame } = request;
  session.frames.push({
    first: frame.first,
    count: frame.count,
    bytes: frame.bytes.slice(),
    hash: frame.hash,
    bodies: request.bodies.map(({ digest, salt, text }) => ({ digest, salt, text })),
    erased: false,
  });
  session.head = headAfter(frame);
  if (session.index.key !== null && session.index.key !== request.index.key) tenant.keys.delete(session.index.key);
  session.index = structuredClone(request.index);
  if (session.index.key !== null) tenant.keys.set(session.index.key, session);
  session.change = ++tenant.changes;
  for (const run of request.runs) {
    const row = { ...structuredClone(run), session: session.id };
    const known = session.runs.get(run.run);
    if (known !== undefined) {
      known.row = row;
    } else {
      const added = { number: tenant.runs.length + 1, row };
      tenant.runs.push(added);
      session.runs.set(run.run, added);
    }
  }
}
