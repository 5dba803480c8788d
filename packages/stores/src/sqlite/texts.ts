import { existsSync } from 'node:fs';
import type { Worker } from 'node:worker_threads';
import type { TextIndex } from '@perdure/runtime/ports';
import { StoreError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { messageOf } from './failure.ts';
import type { Scope } from './log.ts';
import type { FromSearcher, SearchAsk, ToSearcher } from './searcher.ts';
import { startThread } from './thread.ts';
import { indexPath } from './text-index.ts';

/** The main thread's end of the searcher, which starts with the first question. */
export type Searcher = {
  /** Rejects with a `StoreError`. */
  ask(ask: SearchAsk): Promise<unknown>;
  isOpen: () => boolean;
  /** Answers what was asked, then ends. Idempotent. */
  close(): Promise<void>;
};

export function createSearcher(directory: string): Searcher {
  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  let worker: Worker | null = null;
  let closed = false;
  let count = 0;
  const fail = (detail: string): void => {
    worker = null;
    for (const { reject } of waiting.values()) reject(new StoreError('unavailable', detail));
    waiting.clear();
  };
  const start = (): Worker => {
    const fresh = startThread('searcher', directory);
    fresh.on('message', (message: FromSearcher) => {
      const asker = waiting.get(message.n);
      waiting.delete(message.n);
      if (waiting.size === 0) fresh.unref();
      if ('error' in message) asker?.reject(new StoreError(message.error, message.message));
      else asker?.resolve(message.value);
    });
    fresh.on('error', (error) => fail(`the searching thread failed: ${messageOf(error)}`));
    fresh.on('exit', () => fail('the searching thread ended'));
    return fresh;
  };
  const post = (to: Worker, message: ToSearcher): void => to.postMessage(message);
  return {
    isOpen: () => worker !== null,
    async ask(ask) {
      if (closed) throw new StoreError('unavailable', 'the store is closed');
      if (waiting.size >= LIMITS.pendingAsks)
        throw new StoreError('overloaded', `${LIMITS.pendingAsks} searches wait already`);
      worker ??= start();
      worker.ref();
      const n = (count += 1);
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      waiting.set(n, { resolve, reject });
      post(worker, { n, ask });
      return promise;
    },
    async close() {
      if (closed) return;
      closed = true;
      if (worker === null) return;
      const { promise, resolve } = Promise.withResolvers<void>();
      worker.ref();
      worker.once('exit', () => resolve());
      post(worker, { close: true });
      await promise;
    },
  };
}

export function sqliteTexts({ tenant, reader, searcher, checkOpen }: Scope): TextIndex {
  const ask = async <T>(one: (tid: number) => SearchAsk, empty: T): Promise<T> => {
    checkOpen();
    const tid = reader.tenantId(tenant);
    return tid === null ? empty : ((await searcher.ask(one(tid))) as T);
  };
  return {
    progress: async (sessions) =>
      ask((tid) => ({ op: 'progress', tid, sessions }), { cursor: '', reached: sessions.map(() => 0) }),
    add: async (batch, cursor) => ask((tid) => ({ op: 'add', tid, batch, cursor }), undefined),
    search: async (query) => ask((tid) => ({ op: 'search', tid, query }), { items: [], next: null }),
  };
}

/** Before a session is deleted: what a crash then leaves is a session that is searched in vain until it is indexed anew. */
export async function eraseTexts({ tenant, directory, reader, searcher }: Scope, session: string): Promise<void> {
  const tid = reader.tenantId(tenant);
  if (tid === null || (!searcher.isOpen() && !existsSync(indexPath(directory, tid)))) return;
  await searcher.ask({ op: 'erase', tid, session });
}
