/** Circuit breakers of tools, and the guard against a model that turns in circles: over what became of the last calls. */
import type { Habits, LoopGuard, ToolBreaker } from '@perdure/engine';
import { LIMITS } from '../limits.ts';

/** `run`: the one whose call is ruled on. */
export type HabitsOf = Habits & { run: string };
type At = { at: number; habits: HabitsOf };

/** Why the breaker of the tool is open; null: it is not. */
export function openBreaker(breaker: ToolBreaker, tool: string, { at, habits }: At): string | null {
  const { failures, within = 'run', forMs = within === 'session' ? LIMITS.toolBreakerMs : undefined } = breaker;
  const streak = habits.streaks.find((each) => each.tool === tool);
  if (streak === undefined || streak.failed < failures || (within === 'run' && streak.run !== habits.run)) return null;
  if (forMs !== undefined && at >= streak.at + forMs) return null;
  const until = forMs === undefined ? 'until this run ends' : `for ${Math.ceil((streak.at + forMs - at) / 1_000)} s`;
  return `circuit breaker: ${tool} failed or was denied ${streak.failed} times in a row: denied ${until}`;
}

/** Why the call is one of many; null: it is not. `digest`: of its name and arguments. */
export function loops({ repeats }: LoopGuard, digest: string, { habits }: At): string | null {
  const made = habits.recent.filter((each) => each.run === habits.run && each.digest === digest).length;
  return made < repeats ? null : `loop: this run has asked for the same call ${made} times`;
}

/** Of two, the one that closes earlier. */
export function stricter<T extends ToolBreaker | LoopGuard>(a: T | undefined, b: T | undefined): T | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  const bound = (each: T): number => ('failures' in each ? each.failures : each.repeats);
  return bound(b) <= bound(a) ? b : a;
}
