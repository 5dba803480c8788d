import type { Clock, ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from './define.ts';
import { ToolFailure } from './failure.ts';
import { LIMITS } from './limits.ts';

const DAYS = LIMITS.maxSleepSeconds / 86_400;
const DESCRIPTION = `Waits, through restarts, for some seconds or until a time: give exactly one of the two. From \
${LIMITS.minSleepSeconds} second to ${DAYS} days. Waiting costs nothing; the result comes when the time is over.`;

const input = z.strictObject({
  seconds: z.number().min(LIMITS.minSleepSeconds).max(LIMITS.maxSleepSeconds).optional(),
  until: z.string().max(40).optional().describe('ISO 8601 with a zone, for example 2030-01-31T08:00:00Z.'),
});
const instant = z.iso.datetime({ offset: true });

/** The tool `sleep`: parks the call in a wait of kind `timer`. `clock` tells how far away a time is. */
export function sleep({ clock }: { clock: Pick<Clock, 'now'> }): ToolDefinition {
  return definePure({
    name: 'sleep',
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.parkTimeoutMs,
    run: ({ seconds, until }) => {
      const afterMs = durationMs(seconds, until, clock.now());
      return Promise.resolve({ wait: { kind: 'timer', afterMs } });
    },
  });
}

function durationMs(seconds: number | undefined, until: string | undefined, now: number): number {
  if ((seconds === undefined) === (until === undefined))
    throw new ToolFailure('invalid_arguments', 'Give either seconds or until, and not both.');
  if (until === undefined) return Math.round((seconds ?? 0) * 1_000);
  if (!instant.safeParse(until).success)
    throw new ToolFailure('invalid_arguments', 'until is an ISO 8601 time with a zone, such as 2030-01-31T08:00:00Z.');
  const afterMs = Date.parse(until) - now;
  // Asked this way round because a date that does not exist is NaN.
  if (!(afterMs >= LIMITS.minSleepSeconds * 1_000 && afterMs <= LIMITS.maxSleepSeconds * 1_000))
    throw new ToolFailure(
      'out_of_range',
      `It is ${new Date(now).toISOString()}: until must be from ${LIMITS.minSleepSeconds} second to ${DAYS} days away.`,
    );
  return afterMs;
}
