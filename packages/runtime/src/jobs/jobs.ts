/**
 * Long commands of sessions.
 *
 * J1 A job is recorded as running, in a document, before it begins, and as ended, with what it said as a blob, after.
 *    One that is recorded as running by a process that is no more is lost: its sandbox died with that process.
 *    What follows from its end (`atEnd`) is done, and what that changed in workspaces is in the log of its session (see
 *    changes.ts), before that is recorded: whoever hears that it ended finds it done.
 * J2 A job that ends by itself is told to its session, in the context slot `jobs`: no run is begun by it.
 * J3 How many run, of a session and of the process, how long, and what is kept of what they say, is bounded.
 * J4 What was looked for and not found does not begin later: whoever says that a job was never started records that, and an
 *    attempt that is late finds it.
 */
import { LIMITS } from '../limits.ts';
import type {
  BlobStore,
  DocStore,
  JobState,
  JobView,
  Logger,
  Sandbox,
  SandboxProcess,
  SessionJobs,
  Timers,
} from '../ports.ts';
import type { JobChanges } from './changes.ts';
import { JobOutput, sliced } from './output.ts';

export type JobsOptions = {
  sandbox: Sandbox;
  docs: DocStore;
  blobs: BlobStore;
  timers: Timers;
  logger: Logger;
  /** Names this process. */
  process: string;
  /** Other processes work on the same data. */
  shared: boolean;
  clean: (text: string) => string;
  changes: Pick<JobChanges, 'start' | 'stop' | 'expect' | 'ended'>;
  /** Tells a session what stands in its slot from now on. */
  tell(session: string, content: string): Promise<void>;
};

type Live = { process: SandboxProcess; output: JobOutput; over: Promise<JobState>; stopped: boolean };
type Wanted = {
  command: readonly [string, ...string[]];
  options: Parameters<SessionJobs['start']>[1];
  atEnd: Parameters<SessionJobs['start']>[2];
  /** Which it may change at its end. */
  workspaces: readonly string[];
  attempt: number;
};
/** What the document says. `output`: all that was kept, with where it begins. */
type Recorded = {
  state: JobState;
  process: string;
  output: { digest: string; from: number } | null;
  /** It was never started: attempts up to this one do not start it any more. */
  givenUp?: number;
};
/** Of the call that it belongs to. `workspaces`: those that the call may change. */
type OfCall = { attempt?: number; workspaces?: readonly string[] };

const KIND = 'job';
const idOf = (session: string, job: string): string => `${session}/${job}`;

export class Jobs {
  readonly #options: JobsOptions;
  /** By session and job; `null`: it is being started. */
  readonly #live = new Map<string, Map<string, Live | null>>();
  /** What ended by itself, by session: the lines of its slot. */
  readonly #told = new Map<string, string[]>();

  constructor(options: JobsOptions) {
    this.#options = options;
  }

  /** As a tool reaches them in one of its calls. */
  of(session: string, call: string, { attempt = 1, workspaces = [] }: OfCall = {}): SessionJobs {
    return {
      start: async (command, options, atEnd) =>
        this.#start(session, call, { command, options, atEnd, workspaces, attempt }),
      read: async (job, reading) => this.#read(session, job, reading),
      write: async (job, text, end) => {
        const live = this.#find(session, job);
        if (live === null) return false;
        const taken = text === '' || (await live.process.write(Buffer.from(text)));
        if (end) live.process.endInput();
        return taken;
      },
      stop: async (job) => {
        const live = this.#find(session, job);
        if (live === null) return this.#state(session, job);
        live.stopped = true;
        live.process.kill();
        return live.over;
      },
      state: async (job) => this.#state(session, job),
      // Asked as an attempt of its own, behind those that are lost.
      begun: async () => this.#begun(session, call, attempt - 1),
    };
  }

  /** Ends all jobs of a session, which hears no more of them. */
  async end(session: string): Promise<void> {
    const all = this.#live.get(session) ?? new Map<string, Live | null>();
    const jobs = [...all.values()].filter((live) => live !== null);
    // One that is being started finds itself gone.
    for (const [job, live] of all) if (live === null) all.delete(job);
    for (const live of jobs) {
      live.stopped = true;
      live.process.kill();
    }
    await Promise.all(jobs.map(async ({ over }) => over));
    this.#told.delete(session);
  }

  /** What jobs of processes that are gone have changed is told, where they could not. */
  async start(): Promise<void> {
    await this.#options.changes.start();
  }

  /** Ends all jobs, and records that. */
  async close(): Promise<void> {
    await Promise.all([...this.#live.keys()].map(async (session) => this.end(session)));
    this.#options.changes.stop();
  }

  #find(session: string, job: string): Live | null {
    return this.#live.get(session)?.get(job) ?? null;
  }

  async #start(session: string, job: string, { command, options, atEnd, workspaces, attempt }: Wanted): Promise<void> {
    const jobs = this.#live.get(session) ?? new Map<string, Live | null>();
    const all = [...this.#live.values()].reduce((sum, { size }) => sum + size, 0);
    if (jobs.size >= LIMITS.sessionJobs || all >= LIMITS.jobs)
      throw Object.assign(new Error(`${jobs.size} jobs of this session run, and ${all} in all: stop one first`), {
        code: 'too_many_jobs',
      });
    this.#live.set(session, jobs.set(job, null));
    try {
      await this.#begin(session, job, attempt);
    } catch (error) {
      this.#forget(session, job);
      throw error;
    }
    try {
      if (atEnd !== undefined) await this.#options.changes.expect(session, job, workspaces);
      const started = await this.#options.sandbox.run(command, { ...options, input: true });
      const isGone = this.#live.get(session)?.has(job) !== true;
      if (isGone) started.kill();
      const output = new JobOutput(this.#options.clean);
      const over = this.#follow(session, job, started, output, atEnd ?? (async () => ''));
      // Its session has ended meanwhile. It did begin, and is not called failed for that (P6).
      if (isGone) await over;
      else jobs.set(job, { process: started, output, over, stopped: false });
    } catch (error) {
      this.#forget(session, job);
      await this.#options.changes.ended(session, job);
      await this.#record(session, job, { type: 'killed', reason: 'stopped' }, null);
      throw error;
    }
  }

  /** To its end, and what follows from that. Never rejects. */
  async #follow(
    session: string,
    job: string,
    { stdout, stderr, ended }: SandboxProcess,
    output: JobOutput,
    atEnd: () => Promise<string>,
  ): Promise<JobState> {
    await Promise.all([output.take(stdout), output.take(stderr)]);
    const state = await ended;
    output.add(await atEnd().catch((error: unknown) => this.#unkept(session, job, error)));
    await this.#options.changes.ended(session, job);
    const stopped = this.#find(session, job)?.stopped ?? true;
    try {
      await this.#record(session, job, state, output);
      this.#forget(session, job);
      if (!stopped) await this.#tell(session, job, state).catch((error: unknown) => this.#untold(session, job, error));
    } catch (error) {
      this.#options.logger.error({ session, job, error: String(error) }, 'the end of a job could not be recorded');
    } finally {
      this.#forget(session, job);
      output.wake();
    }
    return state;
  }

  /** It is on record all the same: a session that was closed hears no more, nor does one whose process is shutting down. */
  #untold(session: string, job: string, error: unknown): void {
    this.#options.logger.warn({ session, job, error: String(error) }, 'a session was not told that its job has ended');
  }

  #unkept(session: string, job: string, error: unknown): string {
    this.#options.logger.error({ session, job, error: String(error) }, 'what follows the end of a job has failed');
    return '\n[what it changed may not be kept]';
  }

  #forget(session: string, job: string): void {
    const jobs = this.#live.get(session);
    jobs?.delete(job);
    if (jobs?.size === 0) this.#live.delete(session);
  }

  /** Recorded before it begins (J1). */
  async #begin(session: string, job: string, attempt: number): Promise<void> {
    const { docs, process } = this.#options;
    const recorded: Recorded = { state: { type: 'running' }, process, output: null };
    for (;;) {
      const known = await docs.get(KIND, idOf(session, job));
      if (((known?.doc as Recorded | undefined)?.givenUp ?? 0) >= attempt)
        throw Object.assign(new Error('it was taken for never started'), { code: 'given_up' });
      if ((await docs.put(KIND, idOf(session, job), recorded, known?.revision ?? 0)).ok) return;
    }
  }

  /** J4 */
  async #begun(session: string, job: string, attempt: number): Promise<JobState | null> {
    const { docs, process } = this.#options;
    const never: Recorded = { state: { type: 'lost' }, process, output: null, givenUp: attempt };
    for (;;) {
      const known = await docs.get(KIND, idOf(session, job));
      const { givenUp = 0 } = (known?.doc ?? {}) as Partial<Recorded>;
      if (known !== null && (givenUp === 0 || givenUp >= attempt)) return this.#state(session, job);
      if ((await docs.put(KIND, idOf(session, job), never, known?.revision ?? 0)).ok) return null;
    }
  }

  async #record(session: string, job: string, state: JobState, output: JobOutput | null): Promise<void> {
    const { docs, blobs, process } = this.#options;
    const id = idOf(session, job);
    const known = await docs.get(KIND, id);
    const said = output?.read(0);
    const kept = said === undefined ? null : { digest: await blobs.put(Buffer.from(said.text)), from: said.from };
    const recorded: Recorded = { state, process, output: kept };
    await docs.put(KIND, id, recorded, known?.revision ?? 0);
  }

  async #tell(session: string, job: string, state: JobState): Promise<void> {
    const lines = [...(this.#told.get(session) ?? []), `${job} ${shownState(state)}`].slice(-LIMITS.toldJobs);
    this.#told.set(session, lines);
    await this.#options.tell(session, `Jobs that have ended; job_read shows what they said.\n${lines.join('\n')}`);
  }

  async #state(session: string, job: string): Promise<JobState | null> {
    return (await this.#recorded(session, job))?.state ?? null;
  }

  /** As it stands now: what a process that is gone left as running is not. */
  async #recorded(session: string, job: string): Promise<Recorded | null> {
    const found = await this.#options.docs.get(KIND, idOf(session, job));
    if (found === null) return null;
    const recorded = found.doc as Recorded;
    if (recorded.givenUp !== undefined) return null;
    if (recorded.state.type !== 'running' || recorded.process === this.#options.process) return recorded;
    return { ...recorded, state: { type: this.#options.shared ? 'away' : 'lost' } };
  }

  async #read(session: string, job: string, reading: Parameters<SessionJobs['read']>[1]): Promise<JobView | null> {
    const live = this.#find(session, job);
    if (live === null) return this.#readRecorded(session, job, reading.after);
    const first = live.output.read(reading.after);
    if (first.text !== '' || reading.waitMs === 0) return { state: { type: 'running' }, ...first };
    await this.#change(live, reading.waitMs, reading.signal);
    if (this.#find(session, job) === null) return this.#readRecorded(session, job, reading.after);
    return { state: { type: 'running' }, ...live.output.read(reading.after) };
  }

  /** Something new, its end, or `waitMs`. */
  async #change({ output }: Live, waitMs: number, signal: AbortSignal): Promise<void> {
    const over = Promise.withResolvers<void>();
    const timer = this.#options.timers.set(waitMs, () => over.resolve());
    signal.addEventListener('abort', () => over.resolve(), { once: true });
    await Promise.race([output.changed, over.promise]);
    timer.cancel();
  }

  async #readRecorded(session: string, job: string, after: number): Promise<JobView | null> {
    const recorded = await this.#recorded(session, job);
    if (recorded === null) return null;
    const { state, output } = recorded;
    const bytes = output === null ? null : await this.#options.blobs.get(output.digest);
    const text = bytes === null ? '' : Buffer.from(bytes).toString();
    return { state, ...sliced(text, output?.from ?? 0, after) };
  }
}

function shownState(state: JobState): string {
  if (state.type === 'exited') return `ended with exit code ${state.code}`;
  return state.type === 'killed' && state.reason === 'timeout' ? 'was killed: its time was over' : 'ended';
}
