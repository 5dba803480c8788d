/**
 * What became of the last calls of a session.
 *  B1 A call that succeeded ends the streak of its tool; what was cancelled, or denied by a breaker, says nothing of it.
 *  B2 The state does not grow with the calls: the newest are kept.
 */
import { LIMITS } from './limits.ts';
import type { CallOutcome } from './events.ts';
import type { RunId } from './ids.ts';
import type { Habits, State } from './state.ts';
import type { Digest } from './values.ts';

/** The code of a call that a circuit breaker of the policies has denied. */
export const BREAKER = 'breaker';

export function noteRequest(state: State, run: RunId, digest: Digest): void {
  if (digest === '') return;
  const recent = [...state.habits.recent, { digest, run }].slice(-LIMITS.recentCalls);
  state.habits = { ...state.habits, recent };
}

export function noteOutcome(
  state: State,
  run: RunId,
  tool: string,
  outcome: CallOutcome,
  code: string | null,
  at: number,
): void {
  if (outcome === 'cancelled' || code === BREAKER) return;
  const { streaks } = state.habits;
  const before = streaks.find((streak) => streak.tool === tool);
  if (before === undefined && outcome === 'done') return;
  const others = streaks.filter((streak) => streak !== before);
  const failed = (before?.failed ?? 0) + 1;
  const now: Habits['streaks'] = outcome === 'done' ? others : [...others, { tool, failed, run, at }];
  state.habits = { ...state.habits, streaks: now.slice(-LIMITS.toolStreaks) };
}
