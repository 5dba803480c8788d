import { LIMITS } from '../limits.ts';
import type { Clock, Timer, Timers } from '../ports.ts';

/** One timer for the next due time of all sessions. A clock that jumps costs at most the sweeper's period. */
export class Wakes {
  readonly #due = new Map<string, number>();
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #wake: (session: string) => void;
  #timer: Timer | null = null;
  #armedFor = Number.POSITIVE_INFINITY;
  #isStopped = false;

  constructor(clock: Clock, timers: Timers, wake: (session: string) => void) {
    this.#clock = clock;
    this.#timers = timers;
    this.#wake = wake;
  }

  /** `at` in wall ms; null: nothing is due. */
  set(session: string, at: number | null): void {
    if (this.#isStopped) return;
    if (at === null) {
      this.#due.delete(session);
      return;
    }
    if (this.#due.size >= LIMITS.wakes && !this.#due.has(session)) return;
    this.#due.set(session, at);
    if (at < this.#armedFor) this.#arm(at);
  }

  /** Whether the session is woken here until then. */
  isSet(session: string, until: number): boolean {
    return (this.#due.get(session) ?? Number.POSITIVE_INFINITY) <= until;
  }

  /** For good: nobody is woken from here on. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#due.clear();
  }

  #arm(at: number): void {
    this.#timer?.cancel();
    this.#armedFor = at;
    this.#timer = this.#timers.set(Math.max(0, at - this.#clock.now()), () => this.#fire());
  }

  #fire(): void {
    const now = this.#clock.now();
    this.#armedFor = Number.POSITIVE_INFINITY;
    let next = Number.POSITIVE_INFINITY;
    for (const [session, at] of this.#due) {
      if (at > now) {
        next = Math.min(next, at);
        continue;
      }
      this.#due.delete(session);
      this.#wake(session);
    }
    if (next < this.#armedFor) this.#arm(next);
  }
}
