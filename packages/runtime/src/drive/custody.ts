/** How a driver comes by sessions and lets them go, where processes share a store. Where one owns it, nothing happens here. */
import type { Courier, LocalOptions } from './driver.ts';
import type { Holding } from './holding.ts';
import { LIMITS } from '../limits.ts';
import type { Mailbox } from './mailbox.ts';
import type { System, Timer } from '../ports.ts';

export type CustodyOptions = Pick<LocalOptions, 'holding' | 'courier' | 'system' | 'sweepMs' | 'lead'>;

export class Custody {
  readonly #holding: Holding;
  readonly #courier: Pick<Courier, 'admits'>;
  readonly #system: System;
  readonly #sweepMs: number;
  readonly #isLed: boolean;
  readonly #isWoken: (session: string, until: number) => boolean;
  /** Since when (monotonic ms) sessions that are held have had nothing to do. */
  readonly #resting = new Map<string, number>();
  readonly #leaving = new Set<Promise<void>>();
  #timer: Timer | null = null;

  /** `isWoken`: the session has something to do here by itself until then (wall ms). */
  constructor(options: CustodyOptions, isWoken: (session: string, until: number) => boolean) {
    this.#holding = options.holding;
    this.#courier = options.courier;
    this.#system = options.system;
    this.#sweepMs = options.sweepMs ?? LIMITS.sweepMs;
    this.#isLed = options.lead !== undefined;
    this.#isWoken = isWoken;
  }

  /** A session that another process parked is not picked up: that is learned once it is held, before it is looked at. */
  async take(session: string): Promise<'held' | 'elsewhere' | 'parked'> {
    const holding = this.#holding;
    if ((await holding.hold(session)) === null) return 'elsewhere';
    const admitted = holding.isShared ? await this.#courier.admits(session) : 'admitted';
    if (admitted === 'admitted') return 'held';
    await holding.release(session, admitted === 'later');
    return admitted === 'parked' ? 'parked' : 'elsewhere';
  }

  works(session: string): void {
    if (this.#holding.isShared) this.#resting.delete(session);
  }

  /**
   * Where another engine says who drives a session, its next process must find it free: where there is another one. Also
   * while this one is not sure of its lease: what it keeps then, nobody else is given, and nobody drives it here.
   */
  rests({ session, sent }: Mailbox): void {
    if (!this.#holding.isShared) return;
    if (this.#isAwaited() || sent.size > 0) return this.#leave(session, sent.size === 0);
    if (this.#holding.held(session) === null) return;
    this.#resting.set(session, this.#system.clock.monotonicMs());
    this.#timer ??= this.#system.timers.set(this.#looksMs(), () => this.#letGo());
  }

  #isAwaited(): boolean {
    return this.#isLed && !this.#holding.isAlone();
  }

  #looksMs(): number {
    return this.#isLed ? LIMITS.companyMs : LIMITS.idleHoldMs;
  }

  #letGo(): void {
    this.#timer = null;
    const now = this.#system.clock.monotonicMs();
    const until = this.#system.clock.now() + this.#sweepMs;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [session, since] of this.#resting) {
      const restedMs = now - since;
      // The oldest come first.
      if (restedMs < LIMITS.idleHoldMs && !this.#isAwaited()) {
        nextMs = LIMITS.idleHoldMs - restedMs;
        break;
      }
      this.#resting.delete(session);
      if (this.#isWoken(session, until) && !this.#isAwaited()) this.#resting.set(session, now);
      else this.#leave(session, true);
    }
    if (this.#resting.size > 0) this.#timer = this.#system.timers.set(this.#nextMs(nextMs), () => this.#letGo());
  }

  /** Those that came to rest within a second go together. */
  #nextMs(oldestMs: number): number {
    return Math.min(Math.max(oldestMs, LIMITS.companyMs), this.#looksMs());
  }

  /** The process ends, and whoever takes the session next goes on where it stands. */
  handOver({ session, sent }: Mailbox): void {
    if (this.#holding.isShared && this.#holding.held(session) !== null) this.#leave(session, sent.size === 0);
  }

  #leave(session: string, unused: boolean): void {
    const left = this.#holding.release(session, unused).finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
  }

  /** Waits until what was let go is free, no longer than a process may take to end. */
  async handedOver(): Promise<void> {
    this.#timer?.cancel();
    if (this.#leaving.size === 0) return;
    const late = Promise.withResolvers<void>();
    const timer = this.#system.timers.set(LIMITS.drainIdleMs, () => late.resolve());
    await Promise.race([Promise.all(this.#leaving), late.promise]);
    timer.cancel();
  }
}
