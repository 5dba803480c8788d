/** What a start meets: one line in the log, told beside everything else that a start does. */
import type { PreflightCounts } from '@perdure/runtime';
import { countPreflight, noCounts, preflight, system } from '@perdure/runtime';
import { LIMITS } from './limits.ts';
import type { Runtime } from './runtime.ts';

export type Background = { stop(): void; done: Promise<PreflightCounts> };

/**
 * Looks at the unfinished sessions of a runtime that has started, for so long as the bound allows, and logs how many are
 * as they were. A session that folds badly is known by its mark, as in every other fold.
 */
export function preflightAtStart(runtime: Runtime): Background {
  const { store, agents, models, quarantine, reading, logger } = runtime.host.parts;
  const { clock } = system;
  const began = clock.monotonicMs();
  let stopped = false;
  const look = async (): Promise<PreflightCounts> => {
    const counts = noCounts();
    const skip = (session: string): boolean => quarantine.has(session);
    let complete = true;
    for await (const one of preflight({ now: system.clock.now(), store, agents, models, alone: reading.alone, skip })) {
      countPreflight(counts, one);
      complete = !stopped && clock.monotonicMs() - began < LIMITS.preflightMs;
      if (!complete) break;
    }
    const said = { ...counts, complete, ms: Math.round(clock.monotonicMs() - began) };
    if (counts.attention + counts.failed === 0) logger.info(said, 'preflight');
    else logger.warn(said, 'preflight: perdure preflight says what needs attention');
    return counts;
  };
  const done = look().catch((error: unknown) => {
    // A runtime that ends meanwhile has nothing to say about it.
    if (!stopped) logger.warn({ error: String(error) }, 'the preflight failed; everything else goes on');
    return noCounts();
  });
  return {
    stop() {
      stopped = true;
    },
    done,
  };
}
