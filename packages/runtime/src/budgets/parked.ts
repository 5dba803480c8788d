/**
 * Runs that wait for room in an account above their session go on when there is some: a cap was raised, or what others had
 * reserved came to less. The end of a period wakes them by itself: it is the end of their wait.
 */
import type { Actor, Entry, State } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import type { LogStore, Logger, SessionRow, Timer, Timers } from '../ports.ts';
import type { StepInput } from '../log/step.ts';

const BY: Actor = { kind: 'system', id: 'budgets' };

/** `vain`: how often it was told of room that it could not use. `rounds`: how many looks it is passed over for that. */
type Waiting = {
  wait: string;
  account: string;
  limit: 'tokens' | 'money';
  needed: number;
  vain: number;
  rounds: number;
};

/** What is left in an account of each. */
type Free = { tokens: number; money: number };

export type ParkedOptions = {
  log: Pick<LogStore, 'accounts' | 'list'>;
  timers: Timers;
  logger: Logger;
  newId: () => string;
  submit: (session: string, input: StepInput) => Promise<unknown>;
  /** The newest state of a session that is there. */
  stateOf: (session: string) => Promise<State | null>;
  /** Whether sessions of an agent are this process's to look for. */
  serves: (agent: string) => boolean;
  /** Others may have parked what they wake no more. */
  shared: boolean;
};

export class Parked {
  readonly #options: ParkedOptions;
  /** By session, in the order they were parked in. */
  readonly #waiting = new Map<string, Waiting>();
  #timer: Timer | null = null;
  #isLooking = false;
  /** Something was settled while it was looking. */
  #isFreed = false;
  #sweep: Timer | null = null;
  #isStopped = false;

  constructor(options: ParkedOptions) {
    this.#options = options;
  }

  /** Finds what an earlier process left parked; and again and again what another one did, or what was not heard of. */
  async start(): Promise<void> {
    await this.#find();
    // A cap that was raised while nothing ran: whoever looks at such a run now finds that it goes on.
    await this.look().catch((error: unknown) => this.#unread(error));
    this.#again();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#sweep?.cancel();
  }

  /** Told of each commit. */
  committed(session: string, entries: readonly Entry[]): void {
    let isFreed = false;
    for (const { kind, data } of entries) {
      isFreed ||= kind === 'turn.settled' || kind === 'compaction.settled';
      if (kind === 'wait.resolved' && this.#waiting.get(session)?.wait === data.wait) this.#waiting.delete(session);
      if (kind !== 'wait.opened' || data.kind !== 'budget' || data.account === undefined) continue;
      const { wait, account, limit = 'tokens', needed = 0 } = data;
      if (account !== session) this.#waiting.set(session, { wait, account, limit, needed, vain: 0, rounds: 0 });
    }
    // What was settled here may have left some of its reservation; what others settle is seen by the next look.
    this.#arm(isFreed ? 0 : LIMITS.budgetLookMs);
  }

  /** A budget has changed: looks at once, at all. */
  async look(): Promise<void> {
    for (const waiting of this.#waiting.values()) Object.assign(waiting, { vain: 0, rounds: 0 });
    await this.#look();
  }

  #arm(afterMs: number = LIMITS.budgetLookMs): void {
    if (this.#isLooking) this.#isFreed ||= afterMs === 0;
    if (this.#isStopped || this.#isLooking || this.#waiting.size === 0) return;
    if (this.#timer !== null && afterMs > 0) return;
    this.#timer?.cancel();
    this.#timer = this.#options.timers.set(afterMs, () => {
      this.#isLooking = true;
      this.#isFreed = false;
      this.#look().then(
        () => this.#rearm(),
        (error: unknown) => {
          this.#unread(error);
          this.#rearm();
        },
      );
    });
  }

  #unread(error: unknown): void {
    this.#options.logger.warn({ error: String(error) }, 'accounts could not be read');
  }

  #rearm(): void {
    this.#timer = null;
    this.#isLooking = false;
    this.#arm(this.#isFreed ? 0 : LIMITS.budgetLookMs);
  }

  /** Tells those that there is room for, one after the other: what one takes, the next one finds taken. */
  async #look(): Promise<void> {
    const free = new Map<string, Free>();
    const ids = new Set([...this.#waiting.values()].map(({ account }) => account));
    await this.#read([...ids], free);
    // Who is told may be parked again, at the end: its turn comes with the next look.
    const order = [...this.#waiting.entries()];
    for (const [session, waiting] of order) {
      if (this.#isStopped) return;
      if ((free.get(waiting.account)?.[waiting.limit] ?? Infinity) < waiting.needed) continue;
      if (waiting.rounds > 0) {
        waiting.rounds -= 1;
        continue;
      }
      // Where it is not of use to it, another account is short as well.
      waiting.vain += 1;
      waiting.rounds = Math.min(2 ** waiting.vain, LIMITS.budgetRounds);
      await this.#tell(session);
      await this.#read([waiting.account], free);
    }
  }

  async #read(ids: readonly string[], into: Map<string, Free>): Promise<void> {
    const rows = ids.length === 0 ? [] : await this.#options.log.accounts(ids);
    for (const { id, caps, spent, reserved } of rows)
      into.set(id, {
        tokens: (caps.tokens ?? Infinity) - spent.tokens - reserved.tokens,
        money: (caps.nanoUsd ?? Infinity) - spent.nanoUsd - reserved.nanoUsd,
      });
  }

  async #tell(session: string): Promise<void> {
    try {
      const command = { kind: 'settle', effect: 'wake' } as const;
      await this.#options.submit(session, { id: this.#options.newId(), by: BY, bodies: [], command });
    } catch (error) {
      this.#options.logger.debug({ session, error: String(error) }, 'a run that waits for a budget was not told');
    }
  }

  #again(): void {
    if (this.#isStopped) return;
    this.#sweep = this.#options.timers.set(this.#options.shared ? LIMITS.budgetSweepMs : LIMITS.homecomingMs, () => {
      this.#find().then(
        () => this.#again(),
        (error: unknown) => {
          this.#options.logger.warn({ error: String(error) }, 'parked sessions could not be looked through');
          this.#again();
        },
      );
    });
  }

  async #find(): Promise<void> {
    let cursor: string | undefined;
    do {
      const query = { status: 'waiting', limit: LIMITS.sweepPage };
      const page = await this.#options.log.list(cursor === undefined ? query : { ...query, cursor });
      for (const row of page.items) if (this.#isUnknown(row)) await this.#learn(row.id);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined && !this.#isStopped);
    this.#arm();
  }

  #isUnknown({ id, agent, waits }: SessionRow): boolean {
    return waits.some(({ kind }) => kind === 'budget') && !this.#waiting.has(id) && this.#options.serves(agent);
  }

  async #learn(session: string): Promise<void> {
    const state = await this.#options.stateOf(session);
    for (const { id, kind, shortage } of state?.waits.values() ?? []) {
      if (kind !== 'budget' || shortage === null || shortage.account === session) continue;
      const { account, limit, needed } = shortage;
      this.#waiting.set(session, { wait: id, account, limit, needed, vain: 0, rounds: 0 });
    }
  }
}
