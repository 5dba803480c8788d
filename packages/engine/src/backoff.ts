import type { Retry } from './commands.ts';
import { LIMITS } from './limits.ts';
import type { Run } from './state.ts';

/** FNV-1a over UTF-16 units, as a fraction in [0, 1): jitter that replays, seeded from the log's own names. */
export function fraction(seed: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < seed.length; i += 1) hash = Math.imul(hash ^ seed.charCodeAt(i), 0x01000193);
  return (hash >>> 0) / 0x1_0000_0000;
}

/**
 * When the next attempt may start (wall ms), or null when there is to be none. Exponential backoff with full jitter in
 * its upper half; a provider's Retry-After is a floor.
 */
export function retryAt(
  retry: Retry,
  failures: number,
  run: Pick<Run, 'retries'>,
  seed: string,
  at: number,
): number | null {
  if (retry === 'no' || failures + 1 >= LIMITS.attempts || run.retries >= LIMITS.retriesPerRun) return null;
  const ceiling = Math.min(LIMITS.backoffMaxMs, LIMITS.backoffBaseMs * 2 ** failures);
  const backoff = Math.round(ceiling * (0.5 + 0.5 * fraction(`${seed}#${failures}`)));
  if (retry === 'now') return at + backoff;
  if (retry.afterMs > LIMITS.retryAfterMaxMs) return null;
  return at + Math.max(backoff, retry.afterMs);
}
