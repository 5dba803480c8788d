/** Finds what was forgotten: recovery is a loop, not a one-time act at start (P7). */
import type { Courier, Due, LocalOptions } from './driver.ts';
import { textOf } from './faults.ts';
import type { Holding } from './holding.ts';
import { LIMITS } from '../limits.ts';
import type { Logger, System, Timer } from '../ports.ts';

export type Swept = {
  /** Never rejects. */
  drive(session: string): Promise<void>;
  /** Something is under way in the session, and it stays in memory. */
  isBusy(session: string): boolean;
  /** Once a sweep. */
  tidy(): void;
};

export class Sweeper {
  readonly #courier: Courier;
  readonly #holding: Holding;
  readonly #system: System;
  readonly #logger: Logger;
  readonly #sweepMs: number;
  readonly #swept: Swept;
  #timer: Timer | null = null;
  /** What is left is looked for once more. */
  #later: Timer | null = null;
  #isRunning = false;
  #seeking: 'no' | 'once' | 'again' = 'no';

  constructor(options: LocalOptions, swept: Swept) {
    this.#courier = options.courier;
    this.#holding = options.holding;
    this.#system = options.system;
    this.#logger = options.logger;
    this.#sweepMs = options.sweepMs ?? LIMITS.sweepMs;
    this.#swept = swept;
  }

  /** Resolves after the first sweep. */
  async start(): Promise<void> {
    this.#isRunning = true;
    await this.#sweep();
  }

  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
    this.#later?.cancel();
  }

  async #sweep(): Promise<void> {
    let nextMs = this.#sweepMs;
    try {
      await this.#pass('mine');
      await this.#courier.evict((session) => this.#swept.isBusy(session));
    } catch (error) {
      this.#logger.error({ error: textOf(error) }, 'the sweeper failed and goes on');
      nextMs = Math.min(nextMs, LIMITS.holdAgainMs);
    }
    this.#swept.tidy();
    if (this.#isOn()) this.#timer = this.#system.timers.set(nextMs, () => void this.#sweep());
  }

  // Read through a method where an await lies between.
  #isOn(): boolean {
    return this.#isRunning;
  }

  async #pass(which: Due): Promise<void> {
    const { isShared } = this.#holding;
    let after: string | null = null;
    do {
      const page: { sessions: string[]; next: string | null } = await this.#courier.due(after, which);
      const isFirst = (session: string): boolean => this.#holding.prefers(session);
      const sessions = which === 'free' ? page.sessions.filter(isFirst) : page.sessions;
      if (isShared) await this.#many(sessions);
      else for (const session of sessions) await this.#swept.drive(session);
      after = page.next;
    } while (after !== null && this.#isOn());
  }

  async #many(sessions: readonly string[]): Promise<void> {
    const left = sessions.values();
    const taker = async (): Promise<void> => {
      for (const session of left) {
        // The store says that no other one has it: what is remembered of it is out of date.
        if (this.#holding.held(session) === null) this.#holding.refused(session);
        await this.#swept.drive(session);
      }
    };
    await Promise.all(Array.from({ length: Math.min(LIMITS.takenAtOnce, sessions.length) }, taker));
  }

  /**
   * Takes what nobody holds, where it is this process that comes first for it. What is left a moment later is anybody's:
   * whoever comes first may have died as well.
   */
  async seekFree(): Promise<void> {
    if (this.#seeking !== 'no') {
      this.#seeking = 'again';
      return;
    }
    do {
      this.#seeking = 'once';
      await this.#seek('free');
    } while (this.#isOn() && this.#soughtAgain());
    this.#seeking = 'no';
  }

  async #seek(which: 'free' | 'left'): Promise<void> {
    try {
      await this.#pass(which);
      if (which === 'free') this.#seekLater(LIMITS.leftMs);
    } catch (error) {
      this.#logger.warn({ error: textOf(error) }, 'sessions that are free could not be looked for');
      this.#seekLater(LIMITS.holdAgainMs);
    }
  }

  #seekLater(afterMs: number): void {
    if (!this.#isRunning || !this.#holding.isShared) return;
    this.#later ??= this.#system.timers.set(afterMs, () => {
      this.#later = null;
      void this.#seek('left');
    });
  }

  #soughtAgain(): boolean {
    return this.#seeking === 'again';
  }
}
