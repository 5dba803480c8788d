import type { LogStore } from '../ports.ts';

/** Tells of changes of one session: `next()` is taken before reading, so nothing that follows is missed. */
export type Watch = { next(): Promise<void>; stir(): void; close(): void };

export function createWatch(log: LogStore, session: string): Watch {
  let resolve = (): void => {};
  let pending: Promise<void> | null = null;
  const stir = (): void => {
    pending = null;
    resolve();
  };
  const unwatch = log.watch((change) => {
    if (change.session === session) stir();
  });
  return {
    next() {
      pending ??= new Promise<void>((done) => {
        resolve = done;
      });
      return pending;
    },
    stir,
    close: unwatch,
  };
}
