import type { State } from '@perdure/engine';
import { outstanding } from '@perdure/engine';
import type { Performable } from '../effects/perform.ts';

/**
 * What a session says of an effect right before it leaves. It may have waited since it was asked for: for a slot, for
 * its backoff, for the session's lock. `stopped`: its run stops, and nothing leaves for it any more (P10).
 */
export function standingOf(state: State, { type, id, attempt }: Performable): 'due' | 'stopped' | 'gone' {
  for (const effect of outstanding(state)) {
    if (effect.id !== id || effect.type === 'gate' || effect.attempt !== attempt) continue;
    if (effect.type === 'abort') return 'stopped';
    if (effect.type === type) return 'due';
  }
  return 'gone';
}
