/**
 * A circuit breaker for each model: after failures in a row it opens for a while, and runs with another model on their
 * route pass this one over. Then one request tries it: an answer closes it, a failure opens it again. It lives in the
 * process alone; what it said of a turn is in the log.
 */
import { PROVIDER_FAILURES } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import type { Clock, GenerateOutcome, Logger } from '../ports.ts';

type Circuit = {
  /** When each failure of the present row was, monotonic ms. */
  failures: number[];
  /** Open until then, and until one request has tried it. Null: closed. */
  open: { untilMs: number; code: string; triedUntilMs: number } | null;
};

export class Breaker {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #circuits = new Map<string, Circuit>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Why a model is to be passed over; null: it may be asked. Changes nothing. */
  verdict(model: string): string | null {
    const open = this.#circuits.get(model)?.open ?? null;
    if (open === null) return null;
    const now = this.#clock.monotonicMs();
    return now < Math.max(open.untilMs, open.triedUntilMs) ? open.code : null;
  }

  /** A turn goes to this model: where its breaker was open, the others wait for what comes of it. */
  taken(model: string): void {
    const open = this.#circuits.get(model)?.open;
    if (open) open.triedUntilMs = this.#clock.monotonicMs() + LIMITS.breakerTryMs;
  }

  /** What came of a request. A refusal of what was sent, or one that was stopped, says nothing about the provider. */
  heard(model: string, outcome: GenerateOutcome): void {
    if (outcome.type === 'done') {
      if (this.#circuits.get(model)?.open) this.#logger.info({ model }, 'a circuit breaker has closed');
      this.#circuits.delete(model);
    } else if (PROVIDER_FAILURES.has(outcome.code)) this.#failed(model, outcome.code);
  }

  #failed(model: string, code: string): void {
    const now = this.#clock.monotonicMs();
    const { failures, open } = this.#circuit(model);
    const row = [...failures.filter((at) => at > now - LIMITS.breakerWithinMs), now];
    const opens = open !== null || row.length >= LIMITS.breakerFailures;
    const untilMs = now + LIMITS.breakerOpenMs;
    this.#circuits.set(model, { failures: row, open: opens ? { untilMs, code, triedUntilMs: 0 } : null });
    if (opens && open === null)
      this.#logger.warn(
        { model, code, failures: row.length, forMs: LIMITS.breakerOpenMs },
        'a circuit breaker has opened',
      );
  }

  #circuit(model: string): Circuit {
    const known = this.#circuits.get(model);
    if (known !== undefined) return known;
    const oldest = this.#circuits.size < LIMITS.breakerModels ? undefined : this.#circuits.keys().next();
    if (oldest?.done === false) this.#circuits.delete(oldest.value);
    return { failures: [], open: null };
  }
}
