/**
 * Requests whose address holds their credential, and that come without the server's token: outside systems that report
 * by a callback (decision 009). What they may take is bounded here; who guesses learns nothing, and is slowed down.
 */
import { ApiError } from '@perdure/contract';
import type { Clock, Logger } from '@perdure/runtime/ports';
import type { Answer } from './routes.ts';
import { LIMITS } from './limits.ts';

/** Wraps an answer: `rate_limited` beyond the bounds. A credential that is right is never refused for the misses of others. */
export function createOpenDoor({ clock, logger }: { clock: Clock; logger: Logger }): (answer: Answer) => Answer {
  let underWay = 0;
  let misses = 0;
  let sinceMs = -Infinity;
  const missed = (): boolean => {
    const now = clock.monotonicMs();
    if (now - sinceMs >= LIMITS.openMissesMs) {
      misses = 0;
      sinceMs = now;
    }
    misses += 1;
    if (misses === LIMITS.openMisses + 1) logger.warn({ misses }, 'callbacks under unknown tokens keep coming');
    return misses > LIMITS.openMisses;
  };
  return (answer) => async (context, caller) => {
    if (underWay >= LIMITS.openRequests)
      throw new ApiError('rate_limited', 'too many callbacks are under way: send it again shortly');
    underWay += 1;
    try {
      return await answer(context, caller);
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'not_found' && missed())) throw error;
      throw new ApiError('rate_limited', 'too many callbacks name nothing that is here: come back later');
    } finally {
      underWay -= 1;
    }
  };
}
