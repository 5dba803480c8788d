/** Finds what was forgotten: recovery is a loop, not a one-time act at start (P7). */
import type { Courier, LocalOptions } from './driver.ts';
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
  }

  async #sweep(): Promise<void> {
    try {
      await this.#pass(false);
      await this.#courier.evict((session) => this.#swept.isBusy(session));
    } catch (error) {
      this.#logger.error({ error: textOf(error) }, 'the sweeper failed and goes on');
    }
    this.#swept.tidy();
    if (this.#isOn()) this.#timer = this.#system.timers.set(this.#sweepMs, () => void this.#sweep());
  }

  // Read through a method where an await lies between.
  #isOn(): boolean {
    return this.#isRunning;
  }

  async #pass(free: boolean): Promise<void> {
    const { isShared } = this.#holding;
    let after: string | null = null;
    do {
      const page: { sessions: string[]; next: string | null } = await this.#courier.due(after, free);
      const sessions = free ? page.sessions.filter((session) => this.#holding.prefers(session)) : page.sessions;
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

  /** Takes what nobody holds, where it is this process that comes first for it; the others' sweeps find what is left. */
  async seekFree(): Promise<void> {
    if (this.#seeking !== 'no') {
      this.#seeking = 'again';
      return;
    }
    do {
      this.#seeking = 'once';
      try {
        await this.#pass(true);
      } catch (error) {
        this.#logger.warn({ error: textOf(error) }, 'sessions that are free could not be looked for');
      }
    } while (this.#isOn() && this.#soughtAgain());
    this.#seeking = 'no';
  }

  #soughtAgain(): boolean {
    return this.#seeking === 'again';
  }
}
