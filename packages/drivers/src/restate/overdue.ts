/**
 * Sessions that have something to do and of which nothing is heard. Restate is the one to call a process for them; whoever
 * should have told it may have died over it, or could not reach it. One that is overdue is looked at here.
 */
import type { Clock, Timer, Timers } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';

export type OverdueOptions = {
  clock: Clock;
  timers: Timers;
  /** Nothing was heard for so long. */
  afterMs: number;
  take: (session: string) => void;
};

export class Overdue {
  readonly #options: OverdueOptions;
  /** Since when (monotonic ms) nothing was heard of them, the longest first. */
  readonly #silent = new Map<string, number>();
  #timer: Timer | null = null;
  #isStopped = false;

  constructor(options: OverdueOptions) {
    this.#options = options;
  }

  /** Something happened in the session; `isWork`: and there is more to do that nobody is known to do. */
  heard(session: string, isWork: boolean): void {
    this.#silent.delete(session);
    if (!isWork || this.#isStopped) return;
    this.#silent.set(session, this.#options.clock.monotonicMs());
    const [oldest = session] = this.#silent.keys();
    if (this.#silent.size > LIMITS.overdueSessions) this.#silent.delete(oldest);
    this.#arm(this.#options.afterMs);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#silent.clear();
  }

  #arm(afterMs: number): void {
    this.#timer ??= this.#options.timers.set(afterMs, () => this.#look());
  }

  #look(): void {
    this.#timer = null;
    const { clock, afterMs, take } = this.#options;
    const now = clock.monotonicMs();
    for (const [session, since] of this.#silent) {
      if (now - since < afterMs) return this.#arm(afterMs - (now - since));
      this.#silent.delete(session);
      take(session);
    }
  }
}
