import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Append, Clock, Head, Store, Timers } from '@perdure/runtime/ports';
import { appendAfter, bodyOf } from '@perdure/testkit/store-suite';
import { openSqliteStore } from '../src/sqlite/index.ts';

export const clock: Clock = { now: () => Date.now(), monotonicMs: () => performance.now() };
export const timers: Timers = {
  set(afterMs, run) {
    const timer = setTimeout(run, afterMs).unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

/** A directory of the test's own, gone when it ends. */
export function directoryFor(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'perdure-store-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Opens the store of a directory and closes it when the test ends. */
export async function openFor(t: TestContext, directory: string): Promise<Store> {
  const store = await openSqliteStore({ directory, clock, timers });
  t.after(() => store.close());
  return store;
}

/** The append that the load makes at this place: the same bytes wherever it is computed. */
export function loadAppend(session: string, head: Head): Append {
  const place = `${session} after ${head.seq}`;
  return appendAfter(session, head, {
    entries: 1 + (head.seq % 3),
    text: `${place} ${'x'.repeat((head.seq * 37) % 500)}`,
    bodies: [bodyOf(`body of ${place}`, 'c2FsdA')],
    index: { outstanding: 1, status: 'running' },
  });
}

/** The heads that a session of the load goes through, up to a seq. */
export function loadAppends(session: string, upTo: number): Append[] {
  const appends: Append[] = [];
  let head: Head = { seq: 0, hash: '' };
  while (head.seq < upTo) {
    const append = loadAppend(session, head);
    appends.push(append);
    head = { seq: head.seq + append.frame.count, hash: append.frame.hash };
  }
  return appends;
}
