import type {
  BlobStore,
  Clock,
  Doc,
  DocStore,
  HeldLease,
  LeaseStore,
  SnapshotStore,
  Store,
  TenantStore,
} from '@perdure/runtime/ports';
import { blobDigest } from '../chain.ts';
import { StoreError } from '../errors.ts';
import { claimed, type Lease, lives, offered, released, renewed } from '../leases.ts';
import { searchText, wordsOf } from '../words.ts';
import type { MemoryDisk } from './disk.ts';
import { createMemoryDisk, keepTenant, peekTenant, watchersOf } from './disk.ts';
import { memoryLog, type MemoryScope } from './log.ts';

export { createMemoryDisk, StoreError };
export type { MemoryDisk };

/**
 * `disk`: data that outlives this store, to open again later (a simulated crash is to open it without closing).
 * `shared`: others may have it open, too; then leases say who may dispatch.
 */
export type MemoryStoreOptions = { clock: Clock; disk?: MemoryDisk; shared?: boolean };

/**
 * A store in memory. Deterministic: it resolves in microtasks, in order of the calls, and touches neither time nor
 * randomness but `clock`. Opening a disk takes it from the store that had it, which is `unavailable` from then on, unless
 * both share it.
 */
export function openMemoryStore(options: MemoryStoreOptions): Store {
  const { clock, shared = false } = options;
  const disk = options.disk ?? createMemoryDisk();
  const epoch = ++disk.epoch;
  if (!shared) for (const { staged } of disk.tenants.values()) staged.clear();
  let closed = false;
  const unavailable = (): string | null => {
    if (closed) return 'the store is closed';
    return shared || disk.epoch === epoch ? null : 'the data was opened by another store';
  };
  const check = (): void => {
    const detail = unavailable();
    if (detail !== null) throw new StoreError('unavailable', detail);
  };
  const scopeOf = (tenant: string): MemoryScope => ({
    epoch,
    shared,
    watchers: watchersOf(disk, tenant),
    now: () => clock.now(),
    unavailable,
    peek() {
      check();
      return peekTenant(disk, tenant);
    },
    keep() {
      check();
      return keepTenant(disk, tenant);
    },
  });
  const open = new Map<string, TenantStore>();
  return {
    epoch,
    name: 'memory',
    shared,
    damage: [],
    unavailable,
    tenant(tenant) {
      const known = open.get(tenant);
      if (known !== undefined) return known;
      const scope = scopeOf(tenant);
      const fresh = {
        log: memoryLog(scope),
        snapshots: memorySnapshots(scope),
        blobs: memoryBlobs(scope),
        docs: memoryDocs(scope),
        leases: memoryLeases(scope),
      };
      open.set(tenant, fresh);
      return fresh;
    },
    async tenants() {
      check();
      return [...disk.tenants.keys()].toSorted();
    },
    async close() {
      closed = true;
      for (const watchers of disk.watchers.values())
        for (const watcher of watchers) if (watcher.owner === epoch) watchers.delete(watcher);
    },
  };
}

function memorySnapshots(scope: MemoryScope): SnapshotStore {
  const live = (id: string) => {
    const session = scope.peek().sessions.get(id);
    return session === undefined || session.deleted ? null : session;
  };
  return {
    async save(session, snapshot) {
      const found = live(session);
      if (found !== null) found.snapshot = { ...snapshot };
    },
    async load(session) {
      return live(session)?.snapshot ?? null;
    },
    async drop(session) {
      const found = live(session);
      if (found !== null) found.snapshot = null;
    },
  };
}

function memoryBlobs(scope: MemoryScope): BlobStore {
  return {
    async put(bytes) {
      const digest = blobDigest(bytes);
      scope.keep().blobs.set(digest, { bytes: bytes.slice(), renewedAt: scope.now() });
      return digest;
    },
    async get(digest) {
      return scope.peek().blobs.get(digest)?.bytes ?? null;
    },
    async has(digest) {
      return scope.peek().blobs.has(digest);
    },
    async list({ after, limit }) {
      return [...scope.peek().blobs]
        .filter(([digest]) => after === null || digest > after)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .slice(0, limit)
        .map(([digest, { bytes, renewedAt }]) => ({ digest, bytes: bytes.length, renewedAt }));
    },
    async delete(digest) {
      scope.keep().blobs.delete(digest);
    },
  };
}

function memoryDocs(scope: MemoryScope): DocStore {
  const of = (kind: string) => [...(scope.peek().docs.get(kind)?.values() ?? [])];
  const ordered = (docs: (Doc & { words: string })[], limit: number): Doc[] =>
    docs
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .slice(0, limit)
      .map(({ id, revision, doc }) => ({ id, revision, doc: structuredClone(doc) }));
  return {
    async get(kind, id) {
      return (
        ordered(
          of(kind).filter((doc) => doc.id === id),
          1,
        )[0] ?? null
      );
    },
    async put(kind, id, doc, expectedRevision) {
      const docs = scope.keep().docs.get(kind) ?? new Map<string, Doc & { words: string }>();
      scope.keep().docs.set(kind, docs);
      const stored = docs.get(id)?.revision ?? 0;
      if (stored !== expectedRevision) return { ok: false, code: 'conflict', revision: stored };
      if (doc === null) {
        docs.delete(id);
        return { ok: true, revision: 0 };
      }
      const copy: unknown = JSON.parse(JSON.stringify(doc));
      docs.set(id, { id, revision: stored + 1, doc: copy, words: searchText(copy) });
      return { ok: true, revision: stored + 1 };
    },
    async list(kind, { after, limit }) {
      return ordered(
        of(kind).filter(({ id }) => after === null || id > after),
        limit,
      );
    },
    async search(kind, query, limit) {
      const wanted = wordsOf(query).map((word) => ` ${word} `);
      return ordered(
        of(kind).filter(({ words }) => wanted.every((word) => words.includes(word))),
        limit,
      );
    },
  };
}

function memoryLeases(scope: MemoryScope): LeaseStore {
  const leaseOf = (name: string): Lease | undefined => scope.peek().leases.get(name);
  const put = (name: string, lease: Lease | null): boolean => {
    if (lease !== null) scope.keep().leases.set(name, lease);
    return lease !== null;
  };
  return {
    async claim(name, holder, ttlMs, address) {
      const claim = claimed({ name, holder, ttlMs, address: address ?? null }, scope.now(), leaseOf);
      if ('refusedBy' in claim) return { ok: false, holder: claim.refusedBy };
      put(name, claim.lease);
      return { ok: true, epoch: claim.lease.epoch };
    },
    async renew(name, holder, epoch, ttlMs) {
      return put(name, renewed(leaseOf(name), { holder, epoch }, ttlMs, scope.now()));
    },
    async release(name, holder, epoch) {
      put(name, released(leaseOf(name), { holder, epoch }));
    },
    async offer(name, unused) {
      const { fence, lease } = offered(name, unused ?? null, scope.now(), leaseOf);
      put(name, lease);
      return fence;
    },
    async list(prefix) {
      const now = scope.now();
      const found: HeldLease[] = [];
      for (const [name, lease] of scope.peek().leases) {
        if (!name.startsWith(prefix) || !lives(lease, now, leaseOf)) continue;
        const { holder, epoch, address } = lease;
        found.push({ name, holder, epoch, address });
      }
      return found.toSorted((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}
