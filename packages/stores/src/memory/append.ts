import type { Append, AppendResult, Head, Origin, StoredFrame } from '@perdure/runtime/ports';
import { checkContinuity, headAfter, sameHead } from '../chain.ts';
import { book } from '../ledger.ts';
import { bornUnder, type Lease, passesFence, sessionLease } from '../leases.ts';
import type { MemorySession, MemoryTenant } from './disk.ts';

const START: Head = { seq: 0, hash: '' };

/** What the store is to an append: how it was opened, and the time of its clock. */
export type Opening = { epoch: number; shared: boolean; now: number };

/** Checks all, then writes all, in one go: nothing can come between. */
export function appendTo(
  tenant: MemoryTenant,
  request: Append,
  opening: Opening,
  origin: Origin | null = null,
): AppendResult {
  const stored = tenant.sessions.get(request.session);
  const head = stored?.head ?? START;
  const fits = origin === null ? sameHead(head, request.expectedHead) : stored === undefined;
  if (!fits || stored?.deleted === true) return { ok: false, code: 'conflict', head };
  checkContinuity(request);
  const born = bornLease(tenant, request, opening, stored === undefined);
  if (born === 'fenced') return { ok: false, code: 'fenced' };
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
  if (born !== null) tenant.leases.set(sessionLease(session.id), born);
  write(tenant, session, request);
  return { ok: true, head: session.head };
}

/** Asks the fence. Null: it is passed as things are; a lease: the session is to begin under it. */
function bornLease(
  tenant: MemoryTenant,
  { session, fence }: Append,
  { epoch, shared, now }: Opening,
  isBorn: boolean,
): Lease | 'fenced' | null {
  if (fence === undefined) return null;
  const leaseOf = (name: string): Lease | undefined => tenant.leases.get(name);
  const lease = leaseOf(sessionLease(session));
  if (lease !== undefined) return passesFence(fence, lease, now, leaseOf) ? null : 'fenced';
  // An epoch older than this opening belongs to a process that is gone.
  if (!shared) return fence.epoch >= epoch ? null : 'fenced';
  return (isBorn ? bornUnder(fence, now, leaseOf) : null) ?? 'fenced';
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
