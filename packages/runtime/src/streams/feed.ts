import type { FeedEvent } from '../api.ts';
import { LIMITS } from '../limits.ts';
import type { LogStore } from '../ports.ts';

const PAGE = 500;

/** The newest change of each session after the cursor, then each change as it comes; at least once (DESIGN §7). */
export async function* feed(
  log: LogStore,
  options: { after: string | null; agent?: string; signal: AbortSignal },
  draining: AbortSignal,
): AsyncGenerator<FeedEvent> {
  let wake = (): void => {};
  let changed = true;
  const stir = (): void => {
    changed = true;
    wake();
  };
  const unwatch = log.watch(stir);
  options.signal.addEventListener('abort', stir, { once: true });
  draining.addEventListener('abort', stir, { once: true });
  let cursor = options.after ?? '';
  let caughtUp = false;
  try {
    while (!options.signal.aborted) {
      if (draining.aborted) return yield { type: 'end', reason: 'drain', retryMs: LIMITS.retryMs };
      changed = false;
      const page = await log.feed(cursor, PAGE);
      const before = cursor;
      cursor = page.cursor;
      if ('resync' in page) {
        yield { type: 'resync', cursor };
        changed = true;
        continue;
      }
      const wanted = page.changes.filter(({ agent }) => options.agent === undefined || agent === options.agent);
      const last = wanted.at(-1);
      // Only with its last change is the page behind a reader: one who is cut off before gets it again.
      for (const change of wanted) yield { type: 'change', cursor: change === last ? cursor : before, change };
      if (page.changes.length === PAGE) continue;
      if (!caughtUp) yield { type: 'caught-up', cursor };
      caughtUp = true;
      if (changed) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    unwatch();
    options.signal.removeEventListener('abort', stir);
    draining.removeEventListener('abort', stir);
  }
}
