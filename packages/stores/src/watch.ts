import type { CommittedChange } from '@perdure/runtime/ports';

/** A watcher that throws is a bug of its own: it surfaces as uncaught, and takes nobody's acknowledgement with it. */
export function announce(watchers: Iterable<(change: CommittedChange) => void>, change: CommittedChange): void {
  for (const watcher of watchers) {
    try {
      watcher(change);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
