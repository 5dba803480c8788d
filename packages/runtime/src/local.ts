/**
 * The local driver: a mailbox per session, one timer for what is due, a sweeper for what was forgotten.
 *  L1 A session's inputs are stepped one at a time, in order; sessions do not wait for each other.
 *  L2 What the state says is outstanding is under way here, or is asked about as lost; never both.
 *  L3 An outcome is kept until the log has it: its delivery is retried, the effect is not.
 *  L4 A session that fails by itself again and again is parked; its neighbours live.
 */
import type { Effect, EffectId } from '@perdure/engine';
import type { Courier, Driver } from './driver.ts';
import { NotAdmitted } from './driver.ts';
import { LIMITS } from './limits.ts';
import type { Performable } from './perform.ts';
import type { Logger, System, Timer } from './ports.ts';
import { Slots } from './slots.ts';
import type { StepInput, StepResult } from './step.ts';
import { storageTrouble } from './storage.ts';
import { Wakes } from './wakes.ts';

type Job = {
  input: StepInput;
  settle: ((result: StepResult) => void) | null;
  fail: ((error: unknown) => void) | null;
  of: string | null;
};
type Flight = { effect: Performable; controller: AbortController; timer: Timer | null; began: boolean };
type Mailbox = {
  session: string;
  jobs: Job[];
  pumping: boolean;
  flights: Map<string, Flight>;
  asked: Set<string>;
  faults: number[];
  looking: boolean;
};

export type LocalOptions = {
  courier: Courier;
  system: System;
  logger: Logger;
  /** The epoch of this process: attempts of another are lost. */
  epoch: number;
  /** Effects under way at once. */
  effects?: number;
  sweepMs?: number;
};

const SYSTEM = { kind: 'system', id: 'driver' } as const;

export function createLocalDriver(options: LocalOptions): Driver {
  return new LocalDriver(options);
}

class LocalDriver implements Driver {
  readonly #courier: Courier;
  readonly #system: System;
  readonly #logger: Logger;
  readonly #epoch: number;
  readonly #sweepMs: number;
  readonly #slots: Slots;
  readonly #wakes: Wakes;
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #quarantined = new Set<string>();
  #phase: 'new' | 'running' | 'draining' | 'stopped' = 'new';
  #sweeper: Timer | null = null;
  #idle: (() => void)[] = [];

  constructor(options: LocalOptions) {
    this.#courier = options.courier;
    this.#system = options.system;
    this.#logger = options.logger;
    this.#epoch = options.epoch;
    this.#sweepMs = options.sweepMs ?? LIMITS.sweepMs;
    this.#slots = new Slots(options.effects ?? LIMITS.effects);
    this.#wakes = new Wakes(options.system.clock, options.system.timers, (session) => this.#wake(session));
  }

  async start(): Promise<void> {
    this.#phase = 'running';
    await this.#sweep();
  }

  async submit(session: string, input: StepInput): Promise<StepResult> {
    if (this.#phase === 'draining' || this.#phase === 'stopped')
      throw new NotAdmitted('unavailable', 'the server is shutting down');
    if (this.#quarantined.has(session))
      throw new NotAdmitted('quarantined', `session ${session} is quarantined: its own step failed again and again`);
    const mailbox = this.#mailbox(session);
    if (mailbox.jobs.length >= LIMITS.mailbox)
      throw new NotAdmitted('rate_limited', `too many inputs wait for session ${session}`);
    return new Promise<StepResult>((settle, fail) => {
      this.#enqueue(mailbox, { input, settle, fail, of: null });
    });
  }

  async stop({ drainMs = LIMITS.drainMs }: { drainMs?: number } = {}): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'draining';
    this.#sweeper?.cancel();
    this.#wakes.stop();
    for (const mailbox of this.#mailboxes.values()) {
      for (const flight of mailbox.flights.values()) {
        flight.timer?.cancel();
        if (isUnsafe(flight.effect) && flight.began) continue;
        flight.controller.abort('drain');
      }
    }
    await this.#quiet(drainMs);
    this.#phase = 'stopped';
    for (const mailbox of this.#mailboxes.values())
      for (const flight of mailbox.flights.values()) flight.controller.abort('drain');
  }

  /** Waits until no step and no unsafe call is under way, at most `drainMs`. */
  async #quiet(drainMs: number): Promise<void> {
    if (this.#isQuiet()) return;
    await new Promise<void>((resolve) => {
      const timer = this.#system.timers.set(drainMs, resolve);
      this.#idle.push(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  // Read through methods where an await lies between: the phase may have moved on.
  #isRunning(): boolean {
    return this.#phase === 'running';
  }

  #isStopped(): boolean {
    return this.#phase === 'stopped';
  }

  #isQuiet(): boolean {
    for (const mailbox of this.#mailboxes.values()) {
      if (mailbox.pumping || mailbox.jobs.length > 0) return false;
      for (const flight of mailbox.flights.values()) if (flight.began && isUnsafe(flight.effect)) return false;
    }
    return true;
  }

  #mailbox(session: string): Mailbox {
    let mailbox = this.#mailboxes.get(session);
    if (mailbox === undefined) {
      mailbox = { session, jobs: [], pumping: false, flights: new Map(), asked: new Set(), faults: [], looking: false };
      this.#mailboxes.set(session, mailbox);
    }
    return mailbox;
  }

  #enqueue(mailbox: Mailbox, job: Job): void {
    mailbox.jobs.push(job);
    if (!mailbox.pumping) void this.#pump(mailbox);
  }

  /** An input of the driver's own: `of` names what it settles, so that it is said once. */
  #internal(mailbox: Mailbox, of: string, input: StepInput): void {
    this.#enqueue(mailbox, { input, settle: null, fail: null, of });
  }

  async #pump(mailbox: Mailbox): Promise<void> {
    mailbox.pumping = true;
    try {
      for (let job = mailbox.jobs[0]; job !== undefined; job = mailbox.jobs[0]) {
        const done = await this.#work(mailbox, job);
        if (done) mailbox.jobs.shift();
        else await this.#pause();
        if (this.#phase === 'stopped') break;
      }
    } finally {
      mailbox.pumping = false;
      this.#release(mailbox);
    }
  }

  /** True when the job is over: stepped, refused, or failed towards somebody who can see it. */
  async #work(mailbox: Mailbox, job: Job): Promise<boolean> {
    try {
      const result = await this.#courier.step(mailbox.session, job.input);
      if (job.of !== null) this.#said(mailbox, job.of);
      if (!result.ok && job.settle === null)
        this.#logger.warn(
          { session: mailbox.session, input: job.input.id, rejection: result.rejection.code },
          'an input of the driver was refused',
        );
      job.settle?.(result);
      if (result.ok) this.#reconcile(mailbox, result.effects, result.wakeAt);
      return true;
    } catch (error) {
      if (job.fail !== null) {
        job.fail(error);
        if (!isOutside(error)) await this.#fault(mailbox, error);
        return true;
      }
      // Given up only when this process ends and its store is gone for good: the next one asks again.
      if (isOutside(error)) return !this.#isRunning() && !isFull(error);
      return this.#fault(mailbox, error);
    }
  }

  #said(mailbox: Mailbox, of: string): void {
    mailbox.flights.delete(of);
    mailbox.asked.delete(of);
  }

  /** Counts a failure of the session's own code; true when it is parked and its inputs are over. */
  async #fault(mailbox: Mailbox, error: unknown): Promise<boolean> {
    const now = this.#system.clock.monotonicMs();
    const { session } = mailbox;
    mailbox.faults = [...mailbox.faults.filter((at) => now - at < LIMITS.faultsWithinMs), now];
    this.#logger.error(
      { session, error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
      'a step or an effect of this session failed',
    );
    if (mailbox.faults.length < LIMITS.faultsToQuarantine) return false;
    await this.#park(mailbox, error instanceof Error ? error.message : String(error));
    return true;
  }

  async #park(mailbox: Mailbox, reason: string): Promise<void> {
    const { session } = mailbox;
    this.#quarantined.add(session);
    for (const flight of mailbox.flights.values()) flight.controller.abort('quarantine');
    const refused = new NotAdmitted('quarantined', `session ${session} is quarantined: ${reason}`);
    for (const job of mailbox.jobs.splice(1)) job.fail?.(refused);
    this.#wakes.set(session, null);
    await this.#courier.quarantine(session, reason);
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#system.timers.set(LIMITS.faultBackoffMs, resolve);
    });
  }

  #release(mailbox: Mailbox): void {
    if (mailbox.jobs.length === 0 && mailbox.flights.size === 0 && !mailbox.looking && mailbox.faults.length === 0)
      this.#mailboxes.delete(mailbox.session);
    if (this.#phase === 'draining' && this.#isQuiet()) {
      for (const resolve of this.#idle) resolve();
      this.#idle = [];
    }
  }

  /** L2: dispatches what is not under way, asks about what another process may have dispatched. */
  #reconcile(mailbox: Mailbox, effects: readonly Effect[], wakeAt: number | null): void {
    if (this.#phase !== 'running') return;
    this.#wakes.set(mailbox.session, wakeAt);
    for (const effect of effects) {
      if (effect.type === 'gate') this.#ask(mailbox, effect.id, 1, 'gate');
      else if (effect.epoch !== this.#epoch) this.#ask(mailbox, effect.id, effect.attempt, 'lost');
      else if (effect.type === 'abort') this.#abort(mailbox, effect);
      else this.#dispatch(mailbox, effect);
    }
  }

  #ask(mailbox: Mailbox, effect: EffectId, attempt: number, reason: 'gate' | 'lost'): void {
    const of = `${reason} ${effect}#${attempt}`;
    if (mailbox.asked.has(of)) return;
    mailbox.asked.add(of);
    this.#internal(mailbox, of, {
      id: of,
      by: SYSTEM,
      bodies: [],
      command: { kind: 'attempt', effect, attempt, reason },
    });
  }

  #abort(mailbox: Mailbox, effect: Extract<Effect, { type: 'abort' }>): void {
    const flight = mailbox.flights.get(`${effect.id}#${effect.attempt}`);
    if (flight === undefined) {
      // Named in this process and never dispatched: perform says so, with certainty.
      const type = effect.id.includes('c') ? 'call' : 'generate';
      this.#dispatch(mailbox, { ...effect, type, notBefore: 0, class: 'pure' } as Performable, 'aborted');
      return;
    }
    flight.controller.abort('cancelled');
    if (flight.timer === null || flight.began) return;
    flight.timer.cancel();
    flight.timer = null;
    void this.#fly(mailbox, flight);
  }

  #dispatch(mailbox: Mailbox, effect: Performable, reason?: 'aborted'): void {
    const key = keyOf(effect);
    if (mailbox.flights.has(key)) return;
    const flight: Flight = { effect, controller: new AbortController(), timer: null, began: false };
    if (reason !== undefined) flight.controller.abort(reason);
    mailbox.flights.set(key, flight);
    const delayMs = 'notBefore' in effect ? effect.notBefore - this.#system.clock.now() : 0;
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
    const slot = await this.#slots.acquire(mailbox.session, controller.signal);
    if (!this.#isRunning()) {
      if (slot) this.#slots.release();
      return;
    }
    flight.began = !controller.signal.aborted;
    let outcome: StepInput | null = null;
    let failure: unknown = null;
    try {
      outcome = await this.#courier.perform(mailbox.session, effect, controller.signal);
    } catch (error) {
      failure = error ?? 'unknown';
    } finally {
      if (slot) this.#slots.release();
    }
    // A drained attempt is left to the next process, which records it as lost; an unsafe one is settled as it ended.
    if (this.#isStopped() || (!this.#isRunning() && !isUnsafe(effect))) {
      mailbox.flights.delete(key);
      this.#release(mailbox);
      return;
    }
    if (outcome !== null) {
      this.#internal(mailbox, key, outcome);
      return;
    }
    mailbox.flights.delete(key);
    if (failure !== null && !isOutside(failure)) await this.#fault(mailbox, failure);
    if (failure !== null) await this.#pause();
    if (failure !== null && !this.#quarantined.has(mailbox.session)) await this.#drive(mailbox.session);
    else this.#release(mailbox);
  }

  #wake(session: string): void {
    if (this.#phase !== 'running' || this.#quarantined.has(session)) return;
    const mailbox = this.#mailbox(session);
    if (mailbox.asked.has('wake')) return;
    mailbox.asked.add('wake');
    this.#internal(mailbox, 'wake', {
      id: `wake ${this.#system.clock.now()}`,
      by: SYSTEM,
      bodies: [],
      command: { kind: 'settle', effect: 'wake' },
    });
  }

  /** Looks at a session and sees that what it waits for is under way. */
  async #drive(session: string): Promise<void> {
    if (this.#phase !== 'running' || this.#quarantined.has(session)) return;
    const mailbox = this.#mailbox(session);
    if (mailbox.looking || mailbox.pumping) return;
    mailbox.looking = true;
    try {
      const { effects, wakeAt } = await this.#courier.look(session);
      if (!mailbox.pumping) this.#reconcile(mailbox, effects, wakeAt);
      if (wakeAt !== null && wakeAt <= this.#system.clock.now()) this.#wake(session);
    } catch (error) {
      if (!isOutside(error)) await this.#fault(mailbox, error);
    } finally {
      mailbox.looking = false;
      this.#release(mailbox);
    }
  }

  /** Recovery is a loop, not a one-time act at start (P7). */
  async #sweep(): Promise<void> {
    try {
      let after: string | null = null;
      do {
        const page: { sessions: string[]; next: string | null } = await this.#courier.due(after);
        for (const session of page.sessions) await this.#drive(session);
        after = page.next;
      } while (after !== null && this.#phase === 'running');
      await this.#courier.evict((session) => this.#mailboxes.has(session));
    } catch (error) {
      this.#logger.error({ error: String(error) }, 'the sweeper failed and goes on');
    }
    if (this.#phase !== 'running') return;
    this.#sweeper = this.#system.timers.set(this.#sweepMs, () => void this.#sweep());
  }
}

const keyOf = (effect: Performable): string => `${effect.id}#${effect.attempt}${effect.type === 'verify' ? 'v' : ''}`;
const isUnsafe = (effect: Performable): boolean => effect.type === 'call' && effect.class === 'unsafe';
/** The storage's trouble is not the session's fault: the input is delivered again. */
const isOutside = (error: unknown): boolean => storageTrouble(error) !== null;
/** Space may return; a store that stopped or has another owner does not. */
const isFull = (error: unknown): boolean => storageTrouble(error)?.code === 'storage_full';
