/**
 * What jobs change in workspaces, told by the log of their session.
 *
 * A1 A change belongs to the call that started the job, and to that call's run, however long it has ended by then: a
 *    session that rests or is closed is told all the same. Telling begins nothing.
 * A2 Before a job begins that may change something, a document says so; it goes when the log has what the job changed. A
 *    process that dies after a head was moved, and before that was told, leaves the document: whoever comes next reads
 *    from the head what was done under the key of the call, and tells it. Told twice, it is recorded once.
 */
import type { TreeChanged } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import { effectKey } from '../log/digest.ts';
import type { Clock, DocStore, Logger, Timer, Timers } from '../ports.ts';
import { changesBy } from '../workspaces/mounted.ts';
import type { Workspaces } from '../workspaces/workspaces.ts';

export type JobChangesOptions = {
  docs: DocStore;
  workspaces: Workspaces;
  tenant: string;
  clock: Clock;
  timers: Timers;
  logger: Logger;
  /** Names this process. */
  process: string;
  /** Other processes work on the same data, and may have jobs that live. */
  shared: boolean;
  /** Records it in the session's log. Rejects where that is not possible; false: never will be. */
  record(session: string, call: string, changes: readonly TreeChanged[]): Promise<boolean>;
};

/** `at`: wall ms. `workspaces`: which it may change. */
type Expected = { session: string; job: string; process: string; at: number; workspaces: readonly string[] };

const KIND = 'job-changes';

export class JobChanges {
  readonly #options: JobChangesOptions;
  /** By id: jobs of this process that have not ended. */
  readonly #live = new Map<string, Expected>();
  #timer: Timer | null = null;
  #isRunning = false;

  constructor(options: JobChangesOptions) {
    this.#options = options;
  }

  /** Tells what other processes have left untold, now and for as long as it takes. */
  async start(): Promise<void> {
    this.#isRunning = true;
    await this.#sweep();
  }

  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
  }

  /** A job is about to begin (A2). */
  async expect(session: string, job: string, workspaces: readonly string[]): Promise<void> {
    if (workspaces.length === 0) return;
    const { docs, clock, process } = this.#options;
    const id = idOf(session, job);
    const expected: Expected = { session, job, process, at: clock.now(), workspaces };
    this.#live.set(id, expected);
    const known = await docs.get(KIND, id);
    await docs.put(KIND, id, expected, known?.revision ?? 0);
  }

  /** What it changed is stored, and nothing of it lives. Never rejects: what cannot be told now is told later. */
  async ended(session: string, job: string): Promise<void> {
    const id = idOf(session, job);
    const expected = this.#live.get(id);
    this.#live.delete(id);
    if (expected !== undefined && !(await this.#tellOf(id, expected))) this.#later(LIMITS.sweepMs);
  }

  #later(afterMs: number): void {
    if (!this.#isRunning) return;
    this.#timer?.cancel();
    this.#timer = this.#options.timers.set(afterMs, () => void this.#sweep());
  }

  async #sweep(): Promise<void> {
    let isLeft = false;
    try {
      let after: string | null = null;
      do {
        const page = await this.#options.docs.list(KIND, { after, limit: LIMITS.sweepPage });
        for (const { id, doc } of page)
          if (!this.#live.has(id) && !(await this.#tellOf(id, doc as Expected))) isLeft = true;
        after = page.length < LIMITS.sweepPage ? null : (page.at(-1)?.id ?? null);
      } while (after !== null);
    } catch (error) {
      this.#options.logger.warn({ error: String(error) }, 'what jobs have changed could not be looked for');
      isLeft = true;
    }
    if (isLeft) this.#later(LIMITS.sweepMs);
    else if (this.#options.shared) this.#later(LIMITS.homecomingMs);
  }

  /** False: it has to be tried again. */
  async #tellOf(id: string, expected: Expected): Promise<boolean> {
    const { docs, workspaces, tenant, logger } = this.#options;
    try {
      const { session, job } = expected;
      const changes = await changesBy(workspaces, expected.workspaces, effectKey(tenant, session, job));
      const isTold = changes.length === 0 || (await this.#options.record(session, job, changes));
      if (!isTold) logger.warn({ session, job }, 'nobody can be told what a job has changed: its session is gone');
      const found = this.#isOver(expected) ? await docs.get(KIND, id) : null;
      if (found !== null) await docs.put(KIND, id, null, found.revision);
      return true;
    } catch (error) {
      logger.warn({ job: id, error: String(error) }, 'what a job has changed is not told yet');
      return false;
    }
  }

  /** Nothing more comes of it. Of another process that works on the same data only its time says so. */
  #isOver({ process, at }: Expected): boolean {
    const { shared, clock } = this.#options;
    return !shared || process === this.#options.process || clock.now() - at > LIMITS.jobExpectedMs;
  }
}

const idOf = (session: string, job: string): string => `${session}/${job}`;
