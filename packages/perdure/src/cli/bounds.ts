/** How long and how much is watched, read from the flags. */
import { LIMITS } from '../limits.ts';
import type { Context, FlagValue } from './context.ts';
import { UsageError } from './exit.ts';
import type { Bounds } from './follow.ts';

/** Throws UsageError. */
export function boundsOf({ flags }: Context): Bounds {
  const seconds = readNumber(flags['timeout'], '--timeout', LIMITS.timeoutMaxS, /^\d+(\.\d+)?$/);
  const events = readNumber(flags['max-events'], '--max-events', LIMITS.eventsMax, /^\d+$/);
  return { timeoutMs: seconds === null ? null : Math.round(seconds * 1_000), maxEvents: events ?? Infinity };
}

function readNumber(given: FlagValue | undefined, flag: string, max: number, form: RegExp): number | null {
  if (given === undefined) return null;
  const value = typeof given === 'string' && form.test(given) ? Number(given) : Number.NaN;
  if (!(value > 0 && value <= max))
    throw new UsageError(`${flag}: '${String(given)}' is not a number above 0, at most ${max}`);
  return value;
}
