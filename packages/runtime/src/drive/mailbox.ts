/** What a local driver keeps of one session: inputs that wait, effects under way, questions asked. */
import type { Performable } from '../effects/perform.ts';
import type { Timer } from '../ports.ts';
import type { StepInput, StepResult } from '../log/step.ts';

/** Who waits for an input: a caller, or nobody (it is the driver's own). */
export type Waiting = { settle(result: StepResult): void; fail(error: unknown): void };

export type Job = {
  input: StepInput;
  waiting: Waiting | null;
  /** What the driver's own input says: said once, and known by this name until the log has it. */
  of: string | null;
  /** Only asks what to do: dropped without loss when the process ends. */
  asks: boolean;
  failures: number;
};

/** `began`: it may have left the process. */
export type Flight = { effect: Performable; controller: AbortController; timer: Timer | null; began: boolean };

export class Mailbox {
  readonly session: string;
  readonly jobs: Job[] = [];
  /** Inputs of the driver's own that come again later, each with its timer. */
  readonly delayed = new Map<Job, Timer>();
  readonly flights = new Map<string, Flight>();
  readonly asked = new Set<string>();
  /** An input is being stepped. */
  working = false;
  looking = false;
  /** This process is asking whether the session can be its own. */
  taking = false;
  /** What was seen of it is out of date: it is looked at again. */
  isStale = false;
  /** Effects that may have left the process, and whose outcome the log does not have. */
  readonly sent = new Set<string>();
  lookAgain: Timer | null = null;
  /** Counts inputs that were stepped: what was seen before the last one is stale. */
  steps = 0;

  constructor(session: string) {
    this.session = session;
  }

  /** Nothing is kept here: it may be forgotten. */
  get isEmpty(): boolean {
    const isAsking = this.looking || this.taking || this.isStale || this.lookAgain !== null;
    return this.isDone && this.flights.size === 0 && !isAsking;
  }

  /** Every input has been stepped. */
  get isDone(): boolean {
    return !this.working && this.jobs.length === 0 && this.delayed.size === 0;
  }

  /** Whether something under way may happen only once. */
  get hasUnsafe(): boolean {
    for (const flight of this.flights.values()) if (flight.began && isUnsafe(flight.effect)) return true;
    return false;
  }

  /** What only asks is asked again by the next process. */
  dropQuestions(): void {
    this.jobs.splice(0, this.jobs.length, ...this.jobs.filter((job) => !job.asks));
    for (const [job, timer] of this.delayed) {
      if (!job.asks) continue;
      timer.cancel();
      this.delayed.delete(job);
    }
  }

  /** Ends everything that is not a step under way; whoever waits is told `error`. */
  clear(error: Error, reason: string): void {
    for (const job of this.jobs.splice(0)) job.waiting?.fail(error);
    for (const timer of this.delayed.values()) timer.cancel();
    this.delayed.clear();
    this.lookAgain?.cancel();
    this.lookAgain = null;
    this.isStale = false;
    for (const flight of this.flights.values()) {
      flight.timer?.cancel();
      flight.controller.abort(reason);
    }
    this.flights.clear();
    this.asked.clear();
  }
}

export const keyOf = (effect: Performable): string =>
  `${effect.id}#${effect.attempt}${effect.type === 'verify' ? 'v' : ''}`;
export const isUnsafe = (effect: Performable): boolean => effect.type === 'call' && effect.class === 'unsafe';
