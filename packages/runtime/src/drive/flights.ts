/** Effects under way in this process, from leave to outcome. */
import type { Effect } from '@perdure/engine';
import { isCallId, isCompactionId, LIMITS as ENGINE } from '@perdure/engine';
import type { Courier, LocalOptions } from './driver.ts';
import type { Holding } from './holding.ts';
import { LIMITS } from '../limits.ts';
import type { Flight, Mailbox } from './mailbox.ts';
import { isUnsafe, keyOf } from './mailbox.ts';
import type { Performable } from '../effects/perform.ts';
import type { System } from '../ports.ts';
import { Slots } from './slots.ts';
import type { StepInput } from '../log/step.ts';

/** What flights need of their driver. */
export type Ground = {
  isRunning(): boolean;
  /** Keeps an outcome until the log has it. */
  deliver(mailbox: Mailbox, of: string, input: StepInput): void;
  /** The process ends, and a call that was let through never began. */
  handBack(mailbox: Mailbox, effect: Performable): void;
  /** Counts a failure that is the session's own; true when it is parked. */
  failed(mailbox: Mailbox, error: unknown): Promise<boolean>;
  /** Nothing more comes of it; `again`: whether it is still outstanding must be looked at. */
  over(mailbox: Mailbox, again: boolean): void;
};

export class Flights {
  readonly #courier: Courier;
  readonly #holding: Holding;
  readonly #system: System;
  readonly #slots: Slots;
  readonly #ground: Ground;

  constructor(options: LocalOptions, ground: Ground) {
    this.#courier = options.courier;
    this.#holding = options.holding;
    this.#system = options.system;
    this.#slots = new Slots(options.effects ?? LIMITS.effects);
    this.#ground = ground;
  }

  abort(mailbox: Mailbox, effect: Extract<Effect, { type: 'abort' }>): void {
    const flight = mailbox.flights.get(`${effect.id}#${effect.attempt}`);
    if (flight === undefined) {
      // Named under this epoch and never dispatched: perform says so, with certainty.
      const type = isCallId(effect.id) ? 'call' : isCompactionId(effect.id) ? 'compact' : 'generate';
      this.dispatch(mailbox, { ...effect, type, notBefore: 0, class: 'pure' } as Performable, 'aborted');
      return;
    }
    flight.controller.abort('cancelled');
    if (flight.timer === null) return;
    flight.timer.cancel();
    flight.timer = null;
    void this.#fly(mailbox, flight);
  }

  dispatch(mailbox: Mailbox, effect: Performable, reason?: 'aborted'): void {
    const key = keyOf(effect);
    if (mailbox.flights.has(key)) return;
    const flight: Flight = { effect, controller: new AbortController(), timer: null, began: false };
    if (reason !== undefined) flight.controller.abort(reason);
    mailbox.flights.set(key, flight);
    const waitMs = 'notBefore' in effect ? effect.notBefore - this.#system.clock.now() : 0;
    // The wall clock may have been set back: no backoff is longer than this.
    const delayMs = Math.min(waitMs, ENGINE.retryAfterMaxMs);
    if (delayMs <= 0 || reason !== undefined) {
      void this.#fly(mailbox, flight);
      return;
    }
    flight.timer = this.#system.timers.set(delayMs, () => {
      flight.timer = null;
      void this.#fly(mailbox, flight);
    });
  }

  async #fly(mailbox: Mailbox, flight: Flight): Promise<void> {
    const { effect, controller } = flight;
    const key = keyOf(effect);
    const granted = this.#slots.acquire(mailbox.session, controller.signal);
    const slot = granted instanceof Promise ? await granted : granted;
    const isMine = (): boolean => mailbox.flights.get(key) === flight;
    let outcome: StepInput | null = null;
    let failure: unknown = null;
    try {
      if (!isMine()) return;
      // Asked right before it leaves: somebody else may have the session by now, or this process is not sure of it.
      const isHeld = this.#holding.held(mailbox.session) === effect.epoch;
      if (!isHeld || !this.#ground.isRunning()) return this.#land(mailbox, flight);
      flight.began = !controller.signal.aborted;
      if (flight.began) mailbox.sent.add(key);
      outcome = await this.#courier.perform(mailbox.session, effect, controller.signal);
    } catch (error) {
      failure = error ?? 'unknown';
    } finally {
      if (slot) this.#slots.release();
    }
    // Parked or stopped meanwhile: nobody takes the outcome.
    if (!isMine()) return;
    // A drained attempt is left to the next process, which records it as lost; an unsafe one is settled as it ended.
    if (!this.#ground.isRunning() && (!isUnsafe(effect) || outcome === null)) return this.#land(mailbox, flight);
    if (outcome !== null) return this.#ground.deliver(mailbox, key, outcome);
    mailbox.flights.delete(key);
    mailbox.sent.delete(key);
    if (failure !== null && (await this.#ground.failed(mailbox, failure))) return;
    this.#ground.over(mailbox, failure !== null);
  }

  /** Lets go of an attempt that this process does not finish. */
  #land(mailbox: Mailbox, flight: Flight): void {
    const { effect, began } = flight;
    mailbox.flights.delete(keyOf(effect));
    if (!began && effect.type === 'call' && !this.#ground.isRunning()) this.#ground.handBack(mailbox, effect);
    this.#ground.over(mailbox, true);
  }
}
