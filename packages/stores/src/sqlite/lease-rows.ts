import { claimed, type Lease, type LeaseOf, lives, offered, released, renewed } from '../leases.ts';
import type { HeldLease } from '@perdure/runtime/ports';
import type { OtherWrite } from './protocol.ts';
import { integer, type Row, type Sql, text } from './schema.ts';

type LeaseWrite = Extract<OtherWrite, { op: 'claim' | 'renew' | 'release' | 'offer' }>;

export function leasesOf(sql: Sql, tid: number | null): LeaseOf {
  return (name) => {
    const row = sql('SELECT holder, epoch, expiresAt, address FROM leases WHERE tid = ? AND name = ?').get(tid, name);
    return row === undefined ? undefined : leaseOf(row);
  };
}

/** The leases that live and whose names begin so. */
export function listLeases(sql: Sql, tid: number | null, prefix: string, now: number): HeldLease[] {
  const rows = sql('SELECT * FROM leases WHERE tid = ? AND substr(name, 1, ?) = ? ORDER BY name');
  const held: HeldLease[] = [];
  for (const row of rows.all(tid, prefix.length, prefix)) {
    const lease = leaseOf(row);
    if (!lives(lease, now, leasesOf(sql, tid))) continue;
    held.push({ name: text(row['name']), holder: lease.holder, epoch: lease.epoch, address: lease.address });
  }
  return held;
}

function leaseOf(row: Row): Lease {
  const { holder, expiresAt, address } = row;
  return {
    holder: typeof holder === 'string' ? holder : null,
    epoch: integer(row['epoch']),
    expiresAt: expiresAt === null ? null : integer(expiresAt),
    address: typeof address === 'string' ? address : null,
  };
}

/** Claims, renews, releases or offers: the answer that the LeaseStore gives. */
export function writeLease(sql: Sql, tid: number, write: LeaseWrite): unknown {
  const { name } = write;
  const find = leasesOf(sql, tid);
  const put = (lease: Lease | null): boolean => {
    if (lease === null) return false;
    const { holder, epoch, expiresAt, address } = lease;
    sql('INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?, ?)').run(tid, name, holder, epoch, expiresAt, address);
    return true;
  };
  switch (write.op) {
    case 'claim': {
      const claim = claimed(write, write.now, find);
      if ('refusedBy' in claim) return { ok: false, holder: claim.refusedBy };
      put(claim.lease);
      return { ok: true, epoch: claim.lease.epoch };
    }
    case 'renew':
      return put(renewed(find(name), write, write.ttlMs, write.now));
    case 'release':
      put(released(find(name), write));
      return undefined;
    case 'offer': {
      const { fence, lease } = offered(name, write.unused, write.now, find);
      put(lease);
      return fence;
    }
  }
}
