/**
 * The local driver: a mailbox per session, one timer for what is due, a sweeper for what was forgotten.
 *  L1 A session's inputs are stepped one at a time, in order; sessions do not wait for each other. What the storage
 *     could not take of the driver's own comes again later, and holds nobody up.
 *  L2 What the state says is outstanding is under way here, or is asked about as lost; never both.
 *  L3 An outcome is kept until the log has it: its delivery is retried, the effect is not.
 *  L4 A session that fails by itself again and again is parked; its neighbours live.
 *  L5 Where another engine leads, a session is driven here from `drive` until it rests; what turns up in one that is not
 *     is told to that engine. The sweeper drives what was forgotten all the same: nothing depends on the engine's memory.
 */
import type { Effect, EffectId } from '@perdure/engine';
import { isCallId, isCompactionId, LIMITS as ENGINE } from '@perdure/engine';
import type { Courier, LocalDriver, LocalOptions } from './driver.ts';
import { isQuarantined, NotAdmitted, shuttingDown } from './driver.ts';
import { backoffMs, Faults, isRefusal, parked, textOf } from './faults.ts';
import { LIMITS } from '../limits.ts';
import { Ebb } from './ebb.ts';
import type { Flight, Job } from './mailbox.ts';
import { isUnsafe, keyOf, Mailbox } from './mailbox.ts';
import type { Performable } from '../effects/perform.ts';
import type { Logger, System, Timer } from '../ports.ts';
import { Slots } from './slots.ts';
import type { StepInput, StepResult } from '../log/step.ts';
import { storageTrouble } from '../log/storage.ts';
import type { Rest } from './tenure.ts';
import { Tenures } from './tenure.ts';
import { Wakes } from './wakes.ts';

const SYSTEM = { kind: 'system', id: 'driver' } as const;

export function createLocalDriver(options: LocalOptions): LocalDriver {
  return new Local(options);
}

class Local implements LocalDriver {
  readonly #courier: Courier;
  readonly #system: System;
  readonly #logger: Logger;
  readonly #epoch: number;
  readonly #sweepMs: number;
  readonly #slots: Slots;
  readonly #wakes: Wakes;
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #faults = new Faults();
  readonly #quarantined = new Set<string>();
  readonly #tenures: Tenures;
  readonly #ebb: Ebb;
  #phase: 'new' | 'running' | 'draining' | 'stopped' = 'new';
  #sweeper: Timer | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: LocalOptions) {
    this.#courier = options.courier;
    this.#system = options.system;
    this.#logger = options.logger;
    this.#epoch = options.epoch;
    this.#sweepMs = options.sweepMs ?? LIMITS.sweepMs;
    this.#tenures = new Tenures(options.lead ?? null);
    this.#ebb = new Ebb(this.#mailboxes, options.system.timers);
    this.#slots = new Slots(options.effects ?? LIMITS.effects);
    this.#wakes = new Wakes(options.system.clock, options.system.timers, (session) => this.#wake(session));
  }

  async start(): Promise<void> {
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    await this.#sweep();
  }

  async submit(session: string, input: StepInput): Promise<StepResult> {
    if (this.#isEnding()) throw shuttingDown();
    if (this.#quarantined.has(session)) throw isQuarantined(session);
    const mailbox = this.#mailbox(session);
    if (mailbox.jobs.length >= LIMITS.mailbox)
      throw new NotAdmitted('rate_limited', `too many inputs wait for session ${session}: send again later`);
    return new Promise<StepResult>((settle, fail) => {
      this.#enqueue(mailbox, { input, waiting: { settle, fail }, of: null, asks: false, failures: 0 });
    });
  }

  async stop({ drainMs = LIMITS.drainMs }: { drainMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#drain(drainMs);
    return this.#stopping;
  }

  async #drain(drainMs: number): Promise<void> {
    this.#phase = 'draining';
    this.#sweeper?.cancel();
    this.#wakes.stop();
    for (const mailbox of this.#mailboxes.values()) {
      mailbox.dropQuestions();
      for (const flight of mailbox.flights.values())
        if (!isUnsafe(flight.effect) || !flight.began) flight.controller.abort('drain');
    }
    await this.#ebb.out(drainMs);
    this.#phase = 'stopped';
    for (const mailbox of this.#mailboxes.values()) mailbox.clear(shuttingDown(), 'drain');
    this.#mailboxes.clear();
    this.#tenures.failAll(shuttingDown());
  }

  // Read through methods where an await lies between: the phase may have moved on.
  #isRunning(): boolean {
    return this.#phase === 'running';
  }

  #isEnding(): boolean {
    return this.#phase === 'draining' || this.#phase === 'stopped';
  }

  #mailbox(session: string): Mailbox {
    let mailbox = this.#mailboxes.get(session);
    if (mailbox === undefined) {
      mailbox = new Mailbox(session);
      this.#mailboxes.set(session, mailbox);
    }
    return mailbox;
  }

  #release(mailbox: Mailbox): void {
    const { session } = mailbox;
    if (mailbox.isEmpty && this.#mailboxes.get(session) === mailbox) {
      this.#mailboxes.delete(session);
      if (this.#tenures.isLed) this.#wakes.set(session, null);
      if (this.#isRunning()) this.#tenures.end(session);
      else this.#tenures.fail(session, shuttingDown());
    }
    if (this.#phase === 'draining') this.#ebb.look();
  }

  #enqueue(mailbox: Mailbox, job: Job): void {
    mailbox.jobs.push(job);
    if (!mailbox.working) void this.#pump(mailbox);
  }

  /** An outcome: kept until the log has it. */
  #deliver(mailbox: Mailbox, of: string, input: StepInput): void {
    this.#enqueue(mailbox, { input, waiting: null, of, asks: false, failures: 0 });
  }

  /** A question of the driver's own, asked once at a time. */
  #ask(mailbox: Mailbox, of: string, command: StepInput['command'], id = of): void {
    if (mailbox.asked.has(of)) return;
    mailbox.asked.add(of);
    const input: StepInput = { id, by: SYSTEM, bodies: [], command };
    this.#enqueue(mailbox, { input, waiting: null, of, asks: true, failures: 0 });
  }

  async #pump(mailbox: Mailbox): Promise<void> {
    mailbox.working = true;
    for (let job = mailbox.jobs.shift(); job !== undefined; job = mailbox.jobs.shift()) await this.#work(mailbox, job);
    mailbox.working = false;
    this.#release(mailbox);
  }

  async #work(mailbox: Mailbox, job: Job): Promise<void> {
    let result: StepResult;
    try {
      result = await this.#courier.step(mailbox.session, job.input);
    } catch (error) {
      return this.#failed(mailbox, job, error);
    }
    mailbox.steps += 1;
    this.#said(mailbox, job.of);
    if (!result.ok && job.waiting === null) {
      const { code } = result.rejection;
      this.#logger.warn(
        { session: mailbox.session, input: job.input.id, rejection: code },
        'an input of the driver was refused',
      );
    }
    job.waiting?.settle(result);
    if (!result.ok) return;
    const { effects, wakeAt, entries } = result;
    // A wake that changed nothing is not to come again at once.
    const now = this.#system.clock.now();
    const early = job.of === WAKE && entries.length === 0 && wakeAt !== null && wakeAt <= now;
    this.#reconcile(mailbox, effects, early ? now + LIMITS.faultBackoffMs : wakeAt);
  }

  #said(mailbox: Mailbox, of: string | null): void {
    if (of === null) return;
    mailbox.flights.delete(of);
    mailbox.asked.delete(of);
  }

  async #failed(mailbox: Mailbox, job: Job, error: unknown): Promise<void> {
    const trouble = storageTrouble(error);
    job.waiting?.fail(error);
    if (isRefusal(error) && job.waiting !== null) return;
    if (trouble === null && (await this.#fault(mailbox, error))) return;
    // Nobody knows whether the append took place: what follows from it must not wait for the sweeper.
    if (job.waiting !== null) return this.#lookLater(mailbox);
    // Space may return; a store that stopped, or has another owner, is left to the next process.
    if (this.#isEnding() && trouble?.code !== 'storage_full') return this.#said(mailbox, job.of);
    job.failures += 1;
    const timer = this.#system.timers.set(backoffMs(job.failures), () => {
      mailbox.delayed.delete(job);
      this.#enqueue(mailbox, job);
    });
    mailbox.delayed.set(job, timer);
  }

  #lookLater(mailbox: Mailbox): void {
    if (!this.#isRunning()) return;
    mailbox.lookAgain ??= this.#system.timers.set(LIMITS.faultBackoffMs, () => {
      mailbox.lookAgain = null;
      void this.#drive(mailbox.session);
    });
  }

  /** Counts a failure of the session's own code; true when it is parked and its inputs are over. */
  async #fault(mailbox: Mailbox, error: unknown): Promise<boolean> {
    const { session } = mailbox;
    this.#logger.error({ session, error: textOf(error) }, 'a step or an effect of this session failed');
    if (!this.#faults.add(session, this.#system.clock.monotonicMs())) return false;
    await this.#park(mailbox, error instanceof Error ? error.message : String(error));
    return true;
  }

  async #park(mailbox: Mailbox, reason: string): Promise<void> {
    const { session } = mailbox;
    this.#quarantined.add(session);
    this.#wakes.set(session, null);
    mailbox.clear(isQuarantined(session), 'quarantine');
    await parked(this.#courier, this.#logger, session, reason);
    this.#release(mailbox);
  }

  /** L2: dispatches what is not under way, asks about what an earlier process may have dispatched. */
  #reconcile(mailbox: Mailbox, effects: readonly Effect[], wakeAt: number | null): void {
    if (this.#phase === 'draining') return this.#handBack(mailbox, effects);
    if (this.#phase !== 'running' || this.#quarantined.has(mailbox.session)) return;
    if (!this.#tenures.takes(mailbox.session, effects.length > 0, wakeAt)) return;
    this.#wakes.set(mailbox.session, wakeAt);
    for (const effect of effects) {
      if (effect.type === 'gate') this.#attempt(mailbox, effect.id, 1, 'gate');
      else if (effect.epoch < this.#epoch) this.#attempt(mailbox, effect.id, effect.attempt, 'lost');
      // A later process has the data: this one says nothing of what is under way there.
      else if (effect.epoch > this.#epoch) continue;
      else if (effect.type === 'abort') this.#abort(mailbox, effect);
      else this.#dispatch(mailbox, effect);
    }
  }

  #attempt(mailbox: Mailbox, effect: EffectId, attempt: number, reason: 'gate' | 'lost'): void {
    this.#ask(mailbox, `${reason} ${effect}#${attempt}`, { kind: 'attempt', effect, attempt, reason });
  }

  /** An unsafe call that was let through and never began is not lost: it waits for a process that has its tool. */
  #handBack(mailbox: Mailbox, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type !== 'call' || effect.class !== 'unsafe' || effect.epoch !== this.#epoch) continue;
      const { id, attempt } = effect;
      const of = keyOf(effect);
      if (mailbox.flights.get(of)?.began === true || mailbox.asked.has(of)) continue;
      mailbox.asked.add(of);
      const command = { kind: 'settle', effect: id, attempt, outcome: { type: 'call-homeless' } } as const;
      this.#deliver(mailbox, of, { id: of, by: SYSTEM, bodies: [], command });
    }
  }

  #abort(mailbox: Mailbox, effect: Extract<Effect, { type: 'abort' }>): void {
    const flight = mailbox.flights.get(`${effect.id}#${effect.attempt}`);
    if (flight === undefined) {
      // Named in this process and never dispatched: perform says so, with certainty.
      const type = isCallId(effect.id) ? 'call' : isCompactionId(effect.id) ? 'compact' : 'generate';
      this.#dispatch(mailbox, { ...effect, type, notBefore: 0, class: 'pure' } as Performable, 'aborted');
      return;
    }
    flight.controller.abort('cancelled');
    if (flight.timer === null) return;
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
    const slot = await this.#slots.acquire(mailbox.session, controller.signal);
    const isMine = (): boolean => mailbox.flights.get(key) === flight;
    let outcome: StepInput | null = null;
    let failure: unknown = null;
    try {
      if (!isMine()) return;
      if (!this.#isRunning()) return this.#land(mailbox, flight);
      flight.began = !controller.signal.aborted;
      outcome = await this.#courier.perform(mailbox.session, effect, controller.signal);
    } catch (error) {
      failure = error ?? 'unknown';
    } finally {
      if (slot) this.#slots.release();
    }
    // Parked or stopped meanwhile: nobody takes the outcome.
    if (!isMine()) return;
    // A drained attempt is left to the next process, which records it as lost; an unsafe one is settled as it ended.
    if (!this.#isRunning() && (!isUnsafe(effect) || outcome === null)) return this.#land(mailbox, flight);
    if (outcome !== null) return this.#deliver(mailbox, key, outcome);
    mailbox.flights.delete(key);
    if (failure !== null && storageTrouble(failure) === null && (await this.#fault(mailbox, failure))) return;
    if (failure !== null) this.#lookLater(mailbox);
    this.#release(mailbox);
  }

  /** Lets go of an attempt that this process does not finish. */
  #land(mailbox: Mailbox, flight: Flight): void {
    mailbox.flights.delete(keyOf(flight.effect));
    if (!flight.began && flight.effect.type === 'call') this.#handBack(mailbox, [flight.effect]);
    this.#release(mailbox);
  }

  #wake(session: string): void {
    if (!this.#isRunning() || this.#quarantined.has(session)) return;
    const id = `${WAKE} ${this.#system.clock.now()}`;
    this.#ask(this.#mailbox(session), WAKE, { kind: 'settle', effect: 'wake' }, id);
  }

  async drive(session: string): Promise<Rest> {
    if (!this.#isRunning()) throw shuttingDown();
    return (await this.#tenure(session)).end;
  }

  /** Resolves when it has been looked at; `end` when nothing of it is under way here. */
  async #tenure(session: string): Promise<{ end: Promise<Rest> }> {
    const { isNew, end } = this.#tenures.begin(session);
    if (isNew) await this.#drive(session);
    if (isNew && !this.#mailboxes.has(session)) this.#tenures.end(session);
    return { end };
  }

  /** Looks at a session and sees that what it waits for is under way. */
  async #drive(session: string): Promise<void> {
    if (!this.#isRunning() || this.#quarantined.has(session)) return;
    const mailbox = this.#mailbox(session);
    if (mailbox.looking || mailbox.working) return;
    mailbox.looking = true;
    const { steps } = mailbox;
    try {
      const { effects, wakeAt } = await this.#courier.look(session);
      if (mailbox.working || mailbox.steps !== steps) return;
      this.#reconcile(mailbox, effects, wakeAt);
      if (wakeAt !== null && wakeAt <= this.#system.clock.now()) this.#wake(session);
    } catch (error) {
      this.#tenures.fail(session, error);
      if (storageTrouble(error) === null) await this.#fault(mailbox, error);
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
        for (const session of page.sessions) {
          if (this.#tenures.isLed) this.#tenures.handBack(session, (await this.#tenure(session)).end);
          else await this.#drive(session);
        }
        after = page.next;
      } while (after !== null && this.#isRunning());
      await this.#courier.evict((session) => this.#mailboxes.has(session));
    } catch (error) {
      this.#logger.error({ error: textOf(error) }, 'the sweeper failed and goes on');
    }
    this.#faults.forget(this.#system.clock.monotonicMs());
    if (!this.#isRunning()) return;
    this.#sweeper = this.#system.timers.set(this.#sweepMs, () => void this.#sweep());
  }
}

const WAKE = 'wake';
