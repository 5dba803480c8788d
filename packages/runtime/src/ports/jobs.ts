/** Long commands of a session, as its tools reach them. */
import type { SandboxEnd, SandboxOptions } from './sandbox.ts';

export type JobState =
  | { type: 'running' }
  | SandboxEnd
  /** It was running in a process that ended; nothing of it lives. */
  | { type: 'lost' }
  /** Another process that works on the same data has it, or had it. */
  | { type: 'away' };

export type JobView = {
  state: JobState;
  /** What it said, both outputs as they came, from where was asked or from where it is still kept. */
  text: string;
  /** Where `text` begins and where the next reading goes on, in UTF-16 units of all that it said. */
  from: number;
  next: number;
};

/**
 * The jobs of one session. A job is named by the call that started it. It lives in the sandbox of this process, outlives
 * its run, and ends with its time, its session or this process.
 */
export interface SessionJobs {
  /**
   * Starts the job of this call; what it does is recorded before it begins. Throws SandboxError, and an Error with code
   * `too_many_jobs`, or `given_up` where it was taken for never started by then. `atEnd` runs once when nothing of it lives, however it ended, before that is recorded or told; what it
   * gives is the last the job says. Not where this process dies, nor where the start throws.
   */
  start(
    command: readonly [string, ...string[]],
    options: Omit<SandboxOptions, 'input'>,
    atEnd?: () => Promise<string>,
  ): Promise<void>;
  /** Waits up to `waitMs` for something new; null: there is no such job. */
  read(job: string, reading: { after: number; waitMs: number; signal: AbortSignal }): Promise<JobView | null>;
  /** False: it does not run, or takes no more input. `end`: no more follows. */
  write(job: string, text: string, end: boolean): Promise<boolean>;
  /** Ends it with all that it started; null: there is no such job. Idempotent. */
  stop(job: string): Promise<JobState | null>;
  /** How it stands; null: none was started by this name. */
  state(job: string): Promise<JobState | null>;
  /**
   * How the job of this call stands, for the call's `verify`; null: no attempt has started it, and none that is lost will:
   * one that is on its way all the same finds itself given up.
   */
  begun(): Promise<JobState | null>;
}
