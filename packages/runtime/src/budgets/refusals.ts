import type { Shortage } from '@perdure/engine';
import { LIMITS } from '../limits.ts';

/**
 * What the accounts have said of one input so far, each its last word. One that others empty again and again, whenever the
 * input comes with what was left before, counts as empty: it waits until there is more.
 */
export function lastWords(refusals: readonly Shortage[]): Shortage[] {
  if (refusals.length === 0) return [];
  const last = new Map<string, { refusal: Shortage; times: number }>();
  for (const refusal of refusals) {
    const key = `${refusal.limit} ${refusal.account}`;
    last.set(key, { refusal, times: (last.get(key)?.times ?? 0) + 1 });
  }
  return [...last.values()].map(({ refusal, times }) => (times < LIMITS.refusals ? refusal : { ...refusal, free: 0 }));
}
