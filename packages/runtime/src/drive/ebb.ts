/** What a process still owes when it ends: steps that are under way, and what may happen only once. */
import { LIMITS } from '../limits.ts';
import type { Mailbox } from './mailbox.ts';
import type { Timers } from '../ports.ts';

export class Ebb {
  readonly #mailboxes: ReadonlyMap<string, Mailbox>;
  readonly #timers: Timers;
  #rested = (): void => {};

  constructor(mailboxes: ReadonlyMap<string, Mailbox>, timers: Timers) {
    this.#mailboxes = mailboxes;
    this.#timers = timers;
  }

  /** Waits until no step and no unsafe call is under way, at most `drainMs`, and not that long for steps alone. */
  async out(drainMs: number): Promise<void> {
    if (this.#isOut()) return;
    await new Promise<void>((resolve) => {
      const last = this.#timers.set(drainMs, () => this.#rested());
      const early = this.#timers.set(Math.min(drainMs, LIMITS.drainIdleMs), () => {
        if (![...this.#mailboxes.values()].some(({ hasUnsafe }) => hasUnsafe)) this.#rested();
      });
      this.#rested = () => {
        last.cancel();
        early.cancel();
        resolve();
      };
    });
  }

  /** Something ended: that may have been the last of it. */
  look(): void {
    if (this.#isOut()) this.#rested();
  }

  #isOut(): boolean {
    for (const mailbox of this.#mailboxes.values()) if (!mailbox.isDone || mailbox.hasUnsafe) return false;
    return true;
  }
}
