/** The thread that searches: it has the text indexes open, and nothing that commits waits for it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { StoreError, type StoreErrorCode } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { failureOf, messageOf } from './failure.ts';
import { DATABASE, statements } from './schema.ts';
import { type Addition, dropIndex, indexPath, type OpenIndex, openIndex, type Query } from './text-index.ts';

/** A question about the index of a tenant, by the tenant's number. */
export type SearchAsk =
  | { op: 'progress'; tid: number; sessions: readonly string[] }
  | { op: 'add'; tid: number; batch: Addition; cursor: string }
  | { op: 'search'; tid: number; query: Query }
  | { op: 'erase'; tid: number; session: string };
export type ToSearcher = { n: number; ask: SearchAsk } | { close: true };
export type FromSearcher = { n: number; value: unknown } | { n: number; error: StoreErrorCode; message: string };

const directory = String(workerData);
const log = new DatabaseSync(join(directory, DATABASE), { readOnly: true, timeout: LIMITS.busyMs });
const sql = statements(log);
const open = new Map<number, OpenIndex>();

function indexOf(tid: number): OpenIndex {
  const known = open.get(tid);
  if (known !== undefined) return known;
  const fresh = openIndex(directory, tid, (session) => {
    const row = sql('SELECT deleted FROM sessions WHERE tid = ? AND id = ?').get(tid, session);
    return row === undefined ? null : row['deleted'] !== 0;
  });
  open.set(tid, fresh);
  return fresh;
}

function answer(ask: SearchAsk): unknown {
  switch (ask.op) {
    case 'progress':
      return indexOf(ask.tid).progress(ask.sessions);
    case 'add':
      return indexOf(ask.tid).add(ask.batch, ask.cursor);
    case 'search':
      return indexOf(ask.tid).search(ask.query);
    case 'erase':
      return erase(ask.tid, ask.session);
    default: {
      const never: never = ask;
      return never;
    }
  }
}

/** Nothing of what is to be erased may stay: where that cannot be done in it, the whole index goes. */
function erase(tid: number, session: string): void {
  if (!existsSync(indexPath(directory, tid)) && !open.has(tid)) return;
  try {
    indexOf(tid).erase(session);
  } catch {
    drop(tid);
  }
}

function drop(tid: number): void {
  const known = open.get(tid);
  open.delete(tid);
  try {
    known?.close();
  } finally {
    dropIndex(directory, tid);
  }
}

function reply(n: number, ask: SearchAsk): FromSearcher {
  try {
    return { n, value: answer(ask) };
  } catch (error) {
    if (error instanceof StoreError) return { n, error: error.code, message: error.message };
    const failure = failureOf(error);
    if (failure === 'full') return { n, error: 'full', message: messageOf(error) };
    // A cache that cannot be read is no loss: the next question finds an empty one, and it is filled again.
    if (failure !== 'busy') drop(ask.tid);
    return { n, error: 'unavailable', message: `the text index is made anew: ask again (${messageOf(error)})` };
  }
}

parentPort?.on('message', (message: ToSearcher) => {
  if ('close' in message) {
    for (const index of open.values()) index.close();
    log.close();
    parentPort?.close();
  } else parentPort?.postMessage(reply(message.n, message.ask));
});
