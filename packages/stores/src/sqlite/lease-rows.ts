import { claimed, holds, type Lease } from '../leases.ts';
import type { OtherWrite } from './protocol.ts';
import { integer, type Sql } from './schema.ts';

type LeaseWrite = Extract<OtherWrite, { op: 'claim' | 'renew' | 'release' }>;

export function readLease(sql: Sql, tid: number, name: string): Lease | undefined {
  const row = sql('SELECT holder, epoch, expiresAt FROM leases WHERE tid = ? AND name = ?').get(tid, name);
  if (row === undefined) return undefined;
  const { holder } = row;
  return {
    holder: typeof holder === 'string' ? holder : null,
    epoch: integer(row['epoch']),
    expiresAt: integer(row['expiresAt']),
  };
}

/** Claims, renews or releases: the answer that the LeaseStore gives. */
export function writeLease(sql: Sql, tid: number, write: LeaseWrite): unknown {
  const stored = readLease(sql, tid, write.name);
  const put = ({ holder, epoch, expiresAt }: Lease): void => {
    sql('INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)').run(tid, write.name, holder, epoch, expiresAt);
  };
  switch (write.op) {
    case 'claim': {
      const lease = claimed(stored, write.holder, write.now, write.ttlMs);
      if (lease === null) return { ok: false, holder: stored?.holder ?? '' };
      put(lease);
      return { ok: true, epoch: lease.epoch };
    }
    case 'renew': {
      if (!holds(stored, write.holder, write.epoch, write.now)) return false;
      put({ holder: write.holder, epoch: write.epoch, expiresAt: write.now + write.ttlMs });
      return true;
    }
    case 'release':
      if (stored?.holder === write.holder && stored.epoch === write.epoch) put({ ...stored, holder: null });
      return undefined;
  }
}
