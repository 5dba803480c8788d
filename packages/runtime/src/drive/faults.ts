/** Whose fault a failure is, and how often a session has failed by itself. */
import type { Courier } from './driver.ts';
import { NotAdmitted } from './driver.ts';
import type { Logger } from '../ports.ts';
import { FrameTooLarge } from '../log/frame.ts';
import { LIMITS } from '../limits.ts';
import { KeyTaken } from '../log/refused.ts';

/** Said to whoever asked, and nobody's fault. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof FrameTooLarge || error instanceof KeyTaken || error instanceof NotAdmitted;

export const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error);

/** Parks a session for good; where that cannot be stored, whoever parks it remembers it. */
export async function parked(courier: Courier, logger: Logger, session: string, reason: string): Promise<void> {
  try {
    await courier.quarantine(session, reason);
  } catch (error) {
    logger.error({ session, error: textOf(error) }, 'a quarantine could not be stored: it holds in this process');
  }
}

/** The pause before the same is said again (ms). */
export const backoffMs = (failures: number): number =>
  Math.min(LIMITS.faultBackoffMaxMs, LIMITS.faultBackoffMs * 2 ** (failures - 1));

/** Restart intensity: so many failures within a time are too many. Keeps only what counts. Times are monotonic ms. */
export class Faults {
  readonly #times = new Map<string, number[]>();

  /** True when this one is one too many. */
  add(session: string, now: number): boolean {
    const times = [...(this.#times.get(session) ?? []).filter((at) => now - at < LIMITS.faultsWithinMs), now];
    const isTooMany = times.length >= LIMITS.faultsToQuarantine;
    if (isTooMany) this.#times.delete(session);
    else this.#times.set(session, times);
    return isTooMany;
  }

  forget(now: number): void {
    for (const [session, times] of this.#times)
      if (now - (times.at(-1) ?? 0) >= LIMITS.faultsWithinMs) this.#times.delete(session);
  }
}
