/**
 * The local driver: a mailbox per session, one timer for what is due, a sweeper for what was forgotten.
 *  L1 A session's inputs are stepped one at a time, in order; sessions do not wait for each other. What the storage
 *     could not take of the driver's own comes again later, and holds nobody up.
 *  L2 What the state says is outstanding is under way here, or is asked about as lost; never both. Where processes share
 *     the store, only what this one holds.
 *  L3 An outcome is kept until the log has it: its delivery is retried, the effect is not.
 *  L4 A session that fails by itself again and again is parked; its neighbours live.
 *  L5 Where another engine leads, a session is driven from its word (`drive`) until it rests; the sweeper needs no word.
 */
import type { Effect, EffectId } from '@perdure/engine';
import type { Courier, LocalDriver, LocalOptions } from './driver.ts';
import { isQuarantined, NotAdmitted, shuttingDown } from './driver.ts';
import { backoffMs, Faults, isRefusal, parked, textOf } from './faults.ts';
import { Custody } from './custody.ts';
import type { Holding } from './holding.ts';
import { LIMITS } from '../limits.ts';
import { Ebb } from './ebb.ts';
import { Flights } from './flights.ts';
import { isUnsafe, type Job, keyOf, Mailbox } from './mailbox.ts';
import type { CommittedChange, Logger, System } from '../ports.ts';
import { Sweeper } from './sweeper.ts';
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
  readonly #holding: Holding;
  readonly #custody: Custody;
  readonly #flights: Flights;
  readonly #wakes: Wakes;
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #faults = new Faults();
  readonly #quarantined = new Set<string>();
  readonly #tenures: Tenures;
  readonly #ebb: Ebb;
  #phase: 'new' | 'running' | 'draining' | 'stopped' = 'new';
  readonly #sweeper: Sweeper;
  #stopping: Promise<void> | null = null;

  constructor(options: LocalOptions) {
    this.#courier = options.courier;
    this.#system = options.system;
    this.#logger = options.logger;
    this.#holding = options.holding;
    this.#tenures = new Tenures(options.lead ?? null);
    this.#ebb = new Ebb(this.#mailboxes, options.system.timers);
    this.#flights = new Flights(options, {
      isRunning: () => this.#isRunning(),
      deliver: (mailbox, of, input) => this.#deliver(mailbox, of, input),
      handBack: (mailbox, effect) => this.#handBack(mailbox, [effect]),
      failed: async (mailbox, error) => storageTrouble(error) === null && this.#fault(mailbox, error),
      over: (mailbox, again) => {
        if (again) this.#lookLater(mailbox);
        this.#release(mailbox);
      },
    });
    this.#wakes = new Wakes(options.system.clock, options.system.timers, (session) => this.#wake(session));
    this.#custody = new Custody(options, (session, until) => this.#wakes.isSet(session, until));
    this.#sweeper = new Sweeper(options, {
      isBusy: (session) => this.#mailboxes.has(session),
      tidy: () => this.#faults.forget(this.#system.clock.monotonicMs()),
      drive: async (session) => {
        if (this.#tenures.isLed) this.#tenures.handBack(session, (await this.#tenure(session)).end);
        else await this.#drive(session);
      },
    });
  }

  async start(): Promise<void> {
    if (this.#phase !== 'new') return;
    this.#phase = 'running';
    await this.#sweeper.start();
  }

  async submit(session: string, input: StepInput): Promise<StepResult> {
    if (this.#isEnding()) throw shuttingDown();
    if (this.#quarantined.has(session)) throw isQuarantined(session);
    const mailbox = this.#mailbox(session);
    if (mailbox.jobs.length >= LIMITS.mailbox)
      throw new NotAdmitted('rate_limited', `too many inputs wait for session ${session}: send again later`);
    const { promise, resolve: settle, reject: fail } = Promise.withResolvers<StepResult>();
    this.#enqueue(mailbox, { input, waiting: { settle, fail }, of: null, asks: false, failures: 0 });
    return await promise;
  }

  readmit(session: string): void {
    this.#quarantined.delete(session);
  }

  async stop({ drainMs = LIMITS.drainMs }: { drainMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#drain(drainMs);
    return this.#stopping;
  }

  async #drain(drainMs: number): Promise<void> {
    this.#phase = 'draining';
    this.#sweeper.stop();
    this.#wakes.stop();
    for (const mailbox of this.#mailboxes.values()) {
      mailbox.dropQuestions();
      for (const flight of mailbox.flights.values())
        if (!isUnsafe(flight.effect) || !flight.began) flight.controller.abort('drain');
    }
    await this.#ebb.out(drainMs);
    this.#phase = 'stopped';
    for (const mailbox of this.#mailboxes.values()) {
      mailbox.clear(shuttingDown(), 'drain');
      this.#custody.handOver(mailbox);
    }
    this.#mailboxes.clear();
    this.#tenures.failAll(shuttingDown());
    await this.#custody.handedOver();
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
      this.#custody.works(session);
    }
    return mailbox;
  }

  #release(mailbox: Mailbox): void {
    const { session } = mailbox;
    if (mailbox.isEmpty && this.#mailboxes.get(session) === mailbox) {
      this.#mailboxes.delete(session);
      if (this.#tenures.isLed) this.#wakes.set(session, null);
      if (this.#isRunning()) {
        this.#custody.rests(mailbox);
        this.#tenures.end(session);
      } else {
        this.#custody.handOver(mailbox);
        this.#tenures.fail(session, shuttingDown());
      }
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
    for (let job = mailbox.jobs.shift(); job !== undefined; job = mailbox.jobs.shift()) {
      try {
        this.#stepped(mailbox, job, await this.#courier.step(mailbox.session, job.input));
      } catch (error) {
        await this.#failed(mailbox, job, error);
      }
    }
    mailbox.working = false;
    this.#refresh(mailbox);
  }

  #stepped(mailbox: Mailbox, job: Job, result: StepResult): void {
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
    const { effects, wakeAt, entries, agent } = result;
    // A wake that changed nothing is not to come again at once.
    const now = this.#system.clock.now();
    const early = job.of === WAKE && entries.length === 0 && wakeAt !== null && wakeAt <= now;
    this.#reconcile(mailbox, effects, early ? now + LIMITS.faultBackoffMs : wakeAt, agent);
  }

  #said(mailbox: Mailbox, of: string | null): void {
    if (of === null) return;
    mailbox.sent.delete(of);
    this.#givenUp(mailbox, of);
  }

  /** What had been sent stays known as that: it is never handed back as something that did not begin. */
  #givenUp(mailbox: Mailbox, of: string | null): void {
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
    if (this.#isEnding() && trouble?.code !== 'storage_full') return this.#givenUp(mailbox, job.of);
    job.failures += 1;
    const timer = this.#system.timers.set(backoffMs(job.failures), () => {
      mailbox.delayed.delete(job);
      this.#enqueue(mailbox, job);
    });
    mailbox.delayed.set(job, timer);
  }

  #lookLater(mailbox: Mailbox, afterMs: number = LIMITS.faultBackoffMs): void {
    if (!this.#isRunning()) return;
    mailbox.lookAgain ??= this.#system.timers.set(afterMs, () => {
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
    void this.#holding.release(session, false);
    await parked(this.#courier, this.#logger, session, reason);
    this.#release(mailbox);
  }

  /** L2: dispatches what is not under way, asks about what an earlier process may have dispatched. */
  #reconcile(mailbox: Mailbox, effects: readonly Effect[], wakeAt: number | null, agent: string): void {
    if (this.#phase === 'draining') return this.#handBack(mailbox, effects);
    if (this.#phase !== 'running' || this.#quarantined.has(mailbox.session)) return;
    if (!this.#tenures.takes(mailbox.session, effects.length > 0, wakeAt, agent)) return;
    this.#wakes.set(mailbox.session, wakeAt);
    if (effects.length === 0) return;
    const epoch = this.#holding.held(mailbox.session);
    if (epoch === null) {
      if (this.#holding.serves(agent)) void this.#take(mailbox);
      else this.#tenures.end(mailbox.session, true);
      return;
    }
    for (const effect of effects) {
      if (effect.type === 'gate') this.#attempt(mailbox, effect.id, 1, 'gate');
      else if (effect.epoch < epoch) this.#attempt(mailbox, effect.id, effect.attempt, 'lost');
      // A later process has it: this one says nothing of what is under way there.
      else if (effect.epoch > epoch) this.#holding.refused(mailbox.session);
      else if (effect.type === 'abort') this.#flights.abort(mailbox, effect);
      else this.#flights.dispatch(mailbox, effect);
    }
  }

  #attempt(mailbox: Mailbox, effect: EffectId, attempt: number, reason: 'gate' | 'lost'): void {
    this.#ask(mailbox, `${reason} ${effect}#${attempt}`, { kind: 'attempt', effect, attempt, reason });
  }

  /** An unsafe call that was let through and never began is not lost: it waits for a process that has its tool. */
  #handBack(mailbox: Mailbox, effects: readonly Effect[]): void {
    const epoch = this.#holding.held(mailbox.session);
    // Whoever comes next goes on under this epoch, and dispatches what this process did not.
    if (this.#holding.isShared && mailbox.sent.size === 0) return;
    for (const effect of effects) {
      if (effect.type !== 'call' || effect.class !== 'unsafe' || effect.epoch !== epoch) continue;
      const { id, attempt } = effect;
      const of = keyOf(effect);
      if (mailbox.sent.has(of) || mailbox.asked.has(of)) continue;
      mailbox.asked.add(of);
      const command = { kind: 'settle', effect: id, attempt, outcome: { type: 'call-homeless' } } as const;
      this.#deliver(mailbox, of, { id: of, by: SYSTEM, bodies: [], command });
    }
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

  hint(change: CommittedChange | null): void {
    if (!this.#isRunning()) return;
    if (change === null) return void this.#sweeper.seekFree();
    const { session, agent, outstanding } = change;
    if (this.#quarantined.has(session)) return;
    const holding = this.#holding;
    const isForMe = this.#tenures.isLed
      ? this.#tenures.has(session)
      : holding.held(session) !== null || (outstanding > 0 && holding.serves(agent) && holding.prefers(session));
    if (!isForMe) return;
    const mailbox = this.#mailbox(session);
    mailbox.isStale = true;
    this.#refresh(mailbox);
  }

  /** Makes the session this process's own where it can be, and then looks at it. */
  async #take(mailbox: Mailbox): Promise<void> {
    if (mailbox.taking) return;
    mailbox.taking = true;
    try {
      const taken = await this.#custody.take(mailbox.session);
      if (taken === 'parked') this.#quarantined.add(mailbox.session);
      if (taken === 'elsewhere') this.#tenures.end(mailbox.session, true);
      mailbox.isStale ||= taken === 'held';
    } catch {
      this.#lookLater(mailbox, LIMITS.holdAgainMs);
    } finally {
      mailbox.taking = false;
    }
    const isBusy = mailbox.working || mailbox.looking || !this.#isRunning();
    if (isBusy || !mailbox.isStale) return this.#refresh(mailbox);
    mailbox.isStale = false;
    await this.#drive(mailbox.session);
  }

  /** Looks again where what was seen is out of date; else lets go of a mailbox that is empty. */
  #refresh(mailbox: Mailbox): void {
    if (mailbox.working || mailbox.looking || mailbox.taking) return;
    const isStale = mailbox.isStale && this.#isRunning();
    mailbox.isStale = false;
    if (isStale) void this.#drive(mailbox.session);
    else this.#release(mailbox);
  }

  /** Looks at a session and sees that what it waits for is under way. */
  async #drive(session: string): Promise<void> {
    if (!this.#isRunning()) return;
    const mailbox = this.#mailbox(session);
    if (this.#quarantined.has(session)) return this.#release(mailbox);
    if (mailbox.looking || mailbox.working) return;
    if (this.#holding.held(session) === null) return this.#take(mailbox);
    mailbox.looking = true;
    const { steps } = mailbox;
    try {
      const { effects, wakeAt, agent } = await this.#courier.look(session);
      if (mailbox.working || mailbox.steps !== steps) return;
      this.#reconcile(mailbox, effects, wakeAt, agent);
      if (wakeAt !== null && wakeAt <= this.#system.clock.now()) this.#wake(session);
    } catch (error) {
      this.#tenures.fail(session, error);
      if (storageTrouble(error) === null) await this.#fault(mailbox, error);
      else this.#lookLater(mailbox, LIMITS.holdAgainMs);
    } finally {
      mailbox.looking = false;
      this.#refresh(mailbox);
    }
  }
}

const WAKE = 'wake';
