import type {
  CommittedChange,
  Doc,
  Head,
  RunRow,
  Said,
  SessionIndex,
  Snapshot,
  StoredFrame,
} from '@perdure/runtime/ports';
import type { Account, Reservation } from '../ledger.ts';
import type { Lease } from '../leases.ts';

export type MemoryRun = { number: number; row: RunRow & { session: string } };
export type MemorySession = {
  id: string;
  /** Place in the order of creation, from 1. */
  number: number;
  /** The tenant's change counter at the newest append. */
  change: number;
  head: Head;
  index: SessionIndex;
  frames: StoredFrame[];
  runs: Map<string, MemoryRun>;
  reservations: Map<string, Reservation>;
  snapshot: Snapshot | null;
  deleted: boolean;
};
export type MemoryText = Said & { session: string; agent: string; words: string };
export type MemoryTenant = {
  /** In order of creation. */
  sessions: Map<string, MemorySession>;
  keys: Map<string, MemorySession>;
  runs: MemoryRun[];
  changes: number;
  accounts: Map<string, Account>;
  blobs: Map<string, { bytes: Uint8Array; renewedAt: number }>;
  docs: Map<string, Map<string, Doc & { words: string }>>;
  leases: Map<string, Lease>;
  /** Frames that come from elsewhere, by the name they were staged under. */
  staged: Map<string, StoredFrame[]>;
  /** What search knows: texts by their number, and how far each session is in it. */
  texts: { cursor: string; reached: Map<string, number>; byId: Map<number, MemoryText> };
};

/** One ear at the commits of a tenant; `owner`: the opening that it came with. */
export type MemoryWatcher = { owner: number; tell(change: CommittedChange): void };
/**
 * What survives the death of a process in a simulation. One store at a time owns it, the newest one opened, or several
 * share it and hear each other.
 */
export type MemoryDisk = {
  epoch: number;
  tenants: Map<string, MemoryTenant>;
  watchers: Map<string, Set<MemoryWatcher>>;
};

export function createMemoryDisk(): MemoryDisk {
  return { epoch: 0, tenants: new Map(), watchers: new Map() };
}

export function watchersOf(disk: MemoryDisk, tenant: string): Set<MemoryWatcher> {
  const known = disk.watchers.get(tenant) ?? new Set();
  disk.watchers.set(tenant, known);
  return known;
}

/** The tenant's data to read from: an empty one, not kept, when nothing was written yet. */
export function peekTenant(disk: MemoryDisk, name: string): MemoryTenant {
  return disk.tenants.get(name) ?? freshTenant();
}

/** The tenant's data to write to. */
export function keepTenant(disk: MemoryDisk, name: string): MemoryTenant {
  const known = disk.tenants.get(name);
  if (known !== undefined) return known;
  const fresh = freshTenant();
  disk.tenants.set(name, fresh);
  return fresh;
}

function freshTenant(): MemoryTenant {
  return {
    sessions: new Map(),
    keys: new Map(),
    runs: [],
    changes: 0,
    accounts: new Map(),
    blobs: new Map(),
    docs: new Map(),
    leases: new Map(),
    staged: new Map(),
    texts: { cursor: '', reached: new Map(), byId: new Map() },
  };
}
