import type { CommittedChange, LogStore } from '../ports.ts';

/** Tells of changes of one session: `next()` is taken before reading, so nothing that follows is missed. */
export type Watch = { next(): Promise<void>; stir(): void; close(): void };

/** One ear at the store for all that wait here: a commit costs those of its own session only. */
export type Watches = {
  /** `matters`: which changes are told of; by default all. */
  of(session: string, matters?: (change: CommittedChange) => boolean): Watch;
  /** Something happened to it that no commit tells of. */
  stir(session: string): void;
};

export function createWatches(log: LogStore): Watches {
  const heard = new Map<string, Set<(change: CommittedChange | null) => void>>();
  let unwatch = (): void => {};
  const listen = (session: string, changed: (change: CommittedChange | null) => void): (() => void) => {
    if (heard.size === 0) unwatch = log.watch((change) => heard.get(change.session)?.forEach((tell) => tell(change)));
    const listeners = heard.get(session) ?? new Set();
    heard.set(session, listeners.add(changed));
    return () => {
      if (!listeners.delete(changed) || listeners.size > 0) return;
      heard.delete(session);
      if (heard.size === 0) unwatch();
    };
  };
  return {
    stir: (session) => heard.get(session)?.forEach((tell) => tell(null)),
    of(session, matters = () => true) {
      let resolve = (): void => {};
      let pending: Promise<void> | null = null;
      const stir = (): void => {
        pending = null;
        resolve();
      };
      const close = listen(session, (change) => {
        if (change === null || matters(change)) stir();
      });
      return {
        next() {
          pending ??= new Promise<void>((done) => {
            resolve = done;
          });
          return pending;
        },
        stir,
        close,
      };
    },
  };
}
