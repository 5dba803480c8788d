import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type {
  Append,
  Body,
  Clock,
  Head,
  LogStore,
  RunRow,
  SessionIndex,
  Store,
  TenantStore,
} from '@perdure/runtime/ports';
import type { OpenedStore } from '../store-suite.ts';

/** `only`: a law of stores that one process owns, or of those that several share; missing: of both. */
export type Law = { name: string; only?: 'sole' | 'shared'; run(world: World): Promise<void> };

/** One law's world: a fresh store, its clock, and the tenant `default` of it. */
export type World = {
  readonly store: Store;
  readonly home: TenantStore;
  readonly log: LogStore;
  /** Milliseconds of the store's clock. */
  now(): number;
  advance: (ms: number) => void;
  /** Closes and opens the same data again; `store`, `home` and `log` are the new ones from then on. */
  reopen: () => Promise<void>;
  /** A store of another process over the same data; closed with this world. */
  another(): Promise<Store>;
  dispose(): Promise<void>;
};

export async function createWorld(open: (clock: Clock) => Promise<OpenedStore>): Promise<World> {
  let now = 1_700_000_000_000;
  const opened = await open({ now: () => now, monotonicMs: () => now });
  let store = opened.store;
  const others: Store[] = [];
  return {
    get store() {
      return store;
    },
    get home() {
      return store.tenant('default');
    },
    get log() {
      return store.tenant('default').log;
    },
    now: () => now,
    advance(ms) {
      now += ms;
    },
    async reopen() {
      store = await opened.reopen();
    },
    async another() {
      if (opened.another === undefined) throw new Error('a shared store must be opened once more, and cannot');
      const other = await opened.another();
      others.push(other);
      return other;
    },
    async dispose() {
      for (const other of others) await other.close();
      await store.close();
      await opened.dispose();
    },
  };
}

export const EMPTY_HEAD: Head = { seq: 0, hash: '' };

export function nextHash(previous: string, bytes: Uint8Array): string {
  return createHash('sha256').update(Buffer.from(previous, 'hex')).update(bytes).digest('hex');
}

export function bodyOf(text: string, salt = ''): Body {
  return {
    digest: createHash('sha256')
      .update(salt + text)
      .digest('base64url'),
    salt,
    text,
  };
}

export function indexOf(changes: Partial<SessionIndex> = {}): SessionIndex {
  return {
    agent: 'assistant',
    key: null,
    title: 'A title',
    status: 'idle',
    activeRun: null,
    queue: [],
    revision: 1,
    usage: { input: 12, cachedInput: 3, cacheWrite: 0, output: 5, reasoning: 1, source: 'provider' },
    cost: { nanoUsd: 1_234, price: 'p1' },
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_000_001,
    dueAt: null,
    outstanding: 0,
    waits: [],
    ...changes,
  };
}

export function runRow(run: string, changes: Partial<RunRow> = {}): RunRow {
  return {
    run,
    agent: 'assistant',
    status: 'running',
    reason: null,
    detail: null,
    seq: 1,
    text: null,
    usage: { input: 0, cachedInput: 0, cacheWrite: 0, output: 0, reasoning: 0, source: 'provider' },
    cost: { nanoUsd: 0, price: null },
    startedAt: 1_700_000_000_000,
    endedAt: null,
    ...changes,
  };
}

export type AppendParts = Partial<Omit<Append, 'session' | 'expectedHead' | 'frame' | 'index'>> & {
  entries?: number;
  text?: string;
  index?: Partial<SessionIndex>;
};

/** A well-formed append of `entries` entries after `head`. */
export function appendAfter(session: string, head: Head, parts: AppendParts = {}): Append {
  const { entries = 1, text = '', index, ...rest } = parts;
  const first = head.seq + 1;
  const lines = Array.from({ length: entries }, (_, at) => ({ seq: first + at, kind: 'test.happened', text }));
  const bytes = new TextEncoder().encode(JSON.stringify(lines));
  return {
    session,
    expectedHead: head,
    frame: { first, count: entries, bytes, hash: nextHash(head.hash, bytes) },
    bodies: [],
    ledger: [],
    runs: [],
    ...rest,
    index: indexOf(index),
  };
}

/** Appends and returns the new head; anything but success fails the law. */
export async function append(log: LogStore, session: string, head: Head, parts: AppendParts = {}): Promise<Head> {
  const request = appendAfter(session, head, parts);
  const result = await log.append(request);
  assert.deepEqual(result, { ok: true, head: { seq: head.seq + request.frame.count, hash: request.frame.hash } });
  return result.ok ? result.head : head;
}

export async function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof Error && 'code' in error, `an error with a code, not ${String(error)}`);
    assert.equal(error.code, code);
    return true;
  });
}
