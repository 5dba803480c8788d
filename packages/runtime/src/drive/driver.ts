/** What a driver is given and what it promises: inputs arrive at least once, effects run at least once, timers fire. */
import type { Effect } from '@perdure/engine';
import type { Perform } from '../effects/perform.ts';
import type { CommittedChange, Logger, System } from '../ports.ts';
import type { Holding } from './holding.ts';
import type { Step, StepInput, StepResult } from '../log/step.ts';
import type { Lead, Rest } from './tenure.ts';

export type Courier = {
  step: Step;
  perform: Perform;
  /** What is outstanding in a session now, and when it wakes by itself. */
  look(session: string): Promise<{ effects: Effect[]; wakeAt: number | null; agent: string }>;
  /** Sessions with outstanding work, or something that comes due: of agents that this process works on. */
  due(after: string | null, which: Due): Promise<{ sessions: string[]; next: string | null }>;
  /** Asked of a session that was just taken over: another process may have parked it, or it is to be tried first. */
  admits(session: string): Promise<'admitted' | 'parked' | 'later'>;
  /** The session's own step or perform failed again and again: it is parked, its neighbours live. */
  quarantine(session: string, reason: string): Promise<void>;
  /** Lets idle sessions leave memory, and tells readers what nobody told them: once a sweep. */
  evict(busy: (session: string) => boolean): Promise<number>;
};

/**
 * `mine`: before the next sweep, and no other live process holds it: what a lost notification left behind. `free`: the
 * same, and nobody holds it. `left`: nobody holds it, and it is due by now.
 */
export type Due = 'mine' | 'free' | 'left';

export interface Driver {
  /** Resolves when the input is in the log (or refused): acceptance is the boundary, never completion. */
  submit(session: string, input: StepInput): Promise<StepResult>;
  /**
   * Another process committed to this session, or, null, sessions may have become free. Told late, twice or never: the
   * sweeper finds what was not heard.
   */
  hint(change: CommittedChange | null): void;
  /** Forgets that it parked a session: what is sent to it is stepped again. Idempotent. */
  readmit(session: string): void;
  /** Finds all unfinished sessions and drives them. */
  start(): Promise<void>;
  /** Stops admitting, aborts what may run again, gives an unsafe call `drainMs`. Idempotent. */
  stop(options?: { drainMs?: number }): Promise<void>;
}

export type LocalOptions = {
  courier: Courier;
  system: System;
  logger: Logger;
  /** Which sessions are this process's own: attempts of an earlier epoch are lost. */
  holding: Holding;
  /** The agents that are defined here and whose sessions this process works on. */
  agents: readonly string[];
  /** Effects under way at once. */
  effects?: number;
  sweepMs?: number;
  /** Another engine says which sessions are driven here (tenure.ts). */
  lead?: Lead;
};

export type LocalDriver = Driver & {
  /**
   * Drives a session until nothing of it is under way here; asked for again meanwhile it is the same. Rejects where
   * something is left to do: the process ends, or the storage cannot be read.
   */
  drive(session: string): Promise<Rest>;
};

/** Refused by the driver itself, before any step. */
export class NotAdmitted extends Error {
  readonly code: 'unavailable' | 'rate_limited' | 'quarantined';
  constructor(code: NotAdmitted['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export const shuttingDown = (): NotAdmitted =>
  new NotAdmitted('unavailable', 'the server is shutting down: come back later');
export const isQuarantined = (session: string): NotAdmitted =>
  new NotAdmitted(
    'quarantined',
    `session ${session} is quarantined: its own step failed again and again; the server's log says how. perdure sessions readmit tries it again, perdure sessions delete removes it`,
  );
