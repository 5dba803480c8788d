/** A lease as stored. A released one keeps its epoch and has no holder: epochs only grow. */
export type Lease = { holder: string | null; epoch: number; expiresAt: number };

/** The lease that guards a session's entries that name an attempt. */
export const sessionLease = (session: string): string => `session/${session}`;

/** What a claim leaves behind; null: somebody else holds it. The holder itself gets a new epoch, as after its restart. */
export function claimed(lease: Lease | undefined, holder: string, now: number, ttlMs: number): Lease | null {
  if (lease !== undefined && lease.holder !== null && lease.holder !== holder && lease.expiresAt > now) return null;
  return { holder, epoch: (lease?.epoch ?? 0) + 1, expiresAt: now + ttlMs };
}

export function holds(lease: Lease | undefined, holder: string, epoch: number, now: number): boolean {
  return lease !== undefined && lease.holder === holder && lease.epoch === epoch && lease.expiresAt > now;
}

/**
 * May entries with this fence be appended? Where the session has a lease, only its holder with its epoch, in time. Else
 * the store is owned by one process, and an epoch older than this opening belongs to a process that is gone.
 */
export function passesFence(
  fence: { holder: string; epoch: number },
  lease: Lease | undefined,
  storeEpoch: number,
  now: number,
): boolean {
  return lease === undefined ? fence.epoch >= storeEpoch : holds(lease, fence.holder, fence.epoch, now);
}
