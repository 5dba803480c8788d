/**
 * The rules of leases that all stores share.
 *  E1 An epoch only grows: no two holders ever have the same one, and a holder that comes back gets a new one.
 *  E2 A lease lives by its own time, or (`expiresAt` null) by the live lease that is named as its holder.
 *  E3 An offered lease has no holder yet: whoever claims it next gets its epoch, under which nobody has dispatched.
 */
import type { Fence } from '@perdure/runtime/ports';

export { sessionLease } from '@perdure/runtime/ports';

/** A lease as stored. A released one keeps its epoch and has no holder; an offered one has the holder ''. */
export type Lease = { holder: string | null; epoch: number; expiresAt: number | null; address: string | null };

/** Finds a lease of the same tenant. */
export type LeaseOf = (name: string) => Lease | undefined;

const OFFERED = '';

/** Does somebody live under it? One that lives by another (E2) needs that one to have a time of its own. */
export function lives(lease: Lease | undefined, now: number, leaseOf: LeaseOf): lease is Lease & { holder: string } {
  if (lease === undefined || lease.holder === null || lease.holder === OFFERED) return false;
  return lease.expiresAt === null ? standsBy(lease.holder, now, leaseOf) : lease.expiresAt > now;
}

function standsBy(holder: string, now: number, leaseOf: LeaseOf): boolean {
  const own = leaseOf(holder);
  return own?.holder === holder && own.expiresAt !== null && own.expiresAt > now;
}

export type Claim = { name: string; holder: string; ttlMs: number | null; address: string | null };

/** What a claim leaves behind, or who it is that has it: '' where the claimer's own lease has run out (E2). */
export function claimed(claim: Claim, now: number, leaseOf: LeaseOf): { lease: Lease } | { refusedBy: string } {
  const { name, holder, ttlMs, address } = claim;
  const stored = leaseOf(name);
  if (lives(stored, now, leaseOf) && stored.holder !== holder) return { refusedBy: stored.holder };
  if (ttlMs === null && !standsBy(holder, now, leaseOf)) return { refusedBy: OFFERED };
  const epoch = stored?.holder === OFFERED ? stored.epoch : (stored?.epoch ?? 0) + 1;
  return { lease: { holder, epoch, expiresAt: ttlMs === null ? null : now + ttlMs, address } };
}

/** What renewing leaves behind; null: it is not this holder's any more, or its time is over. */
export function renewed(lease: Lease | undefined, fence: Fence, ttlMs: number, now: number): Lease | null {
  if (lease === undefined || lease.holder !== fence.holder || lease.epoch !== fence.epoch) return null;
  return lease.expiresAt !== null && lease.expiresAt > now ? { ...lease, expiresAt: now + ttlMs } : null;
}

/** What a release leaves behind; null: nothing changes. */
export function released(lease: Lease | undefined, fence: Fence): Lease | null {
  if (lease === undefined || lease.holder !== fence.holder || lease.epoch !== fence.epoch) return null;
  return { ...lease, holder: null, address: null };
}

/**
 * Who may dispatch now; `lease` is what must be stored first, null where it stands as it is. `unused`: what the asker
 * holds and gives away with its epoch (E3).
 */
export function offered(
  name: string,
  unused: Fence | null,
  now: number,
  leaseOf: LeaseOf,
): { fence: Fence; lease: Lease | null } {
  const stored = leaseOf(name);
  if (unused !== null && stored?.holder === unused.holder && stored.epoch === unused.epoch)
    return offerOf(stored.epoch);
  const stands = stored?.holder === OFFERED || lives(stored, now, leaseOf);
  if (stands && stored.holder !== null) return { fence: { holder: stored.holder, epoch: stored.epoch }, lease: null };
  return offerOf((stored?.epoch ?? 0) + 1);
}

const offerOf = (epoch: number): { fence: Fence; lease: Lease } => ({
  fence: { holder: OFFERED, epoch },
  lease: { holder: OFFERED, epoch, expiresAt: null, address: null },
});

/** May entries with this fence be appended to a session that has this lease? */
export function passesFence(fence: Fence, lease: Lease, now: number, leaseOf: LeaseOf): boolean {
  if (lease.holder !== fence.holder || lease.epoch !== fence.epoch) return false;
  return lease.holder === OFFERED || lives(lease, now, leaseOf);
}

/** The lease that a session begins with in a shared store; null: this fence is not one to begin with. */
export function bornUnder({ holder, epoch }: Fence, now: number, leaseOf: LeaseOf): Lease | null {
  const isFit = epoch === 1 && (holder === OFFERED || standsBy(holder, now, leaseOf));
  return isFit ? { holder, epoch, expiresAt: null, address: null } : null;
}
