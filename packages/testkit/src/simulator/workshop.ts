/**
 * Where jobs run: beside the session, in the process that started them, which they do not outlive. Which of them live is
 * held against what the system says of them (J1).
 */
import assert from 'node:assert/strict';
import type { JobState, Sandbox, SandboxEnd, SandboxProcess, SessionJobs } from '@perdure/runtime/ports';
import type { Outside } from './outside.ts';
import type { Process } from './process.ts';
import type { Sim } from './sim.ts';

const JOB_MAX_MS = 30_000;
/** Where a job is started. */
export type Place = Parameters<SessionJobs['start']>[1];

/** A job that was really started. `end` null: it lives. */
type Work = { process: Process; end: SandboxEnd | null };

export class Workshop {
  /** By the key of the call that started it. */
  readonly #works = new Map<string, Work>();
  readonly #sim: Sim;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** The sandbox of one process. Commands are `work KEY`. */
  of(process: Process, outside: Outside): Sandbox {
    return {
      kind: 'simulated',
      probe: async () => ({ kind: 'simulated', version: null, walls: [] }),
      run: async ([, key = '']) => {
        await process.wait('a job begins', this.#sim.random.between(0, 500));
        return this.#begin(process, outside, key);
      },
      close: async () => {},
    };
  }

  #begin(process: Process, outside: Outside, key: string): SandboxProcess {
    const { crafts } = outside;
    const draw = outside.draw(key, -2);
    const over = Promise.withResolvers<SandboxEnd>();
    const work: Work = { process, end: null };
    this.#works.set(key, work);
    const end = (how: SandboxEnd): void => {
      if (work.end !== null || !process.alive) return;
      work.end = how;
      crafts.ended(key);
      over.resolve(how);
    };
    try {
      outside.happen(outside.deed(key), 'begin', 'unsafe');
    } catch (error) {
      this.#sim.fail(error);
    }
    const forMs = draw.between(0, JOB_MAX_MS);
    const stroke = (isLast: boolean): void => {
      if (work.end === null && process.alive) crafts.stroke(key, isLast);
    };
    this.#sim.scheduler.add(process.name, 'a job is half done', forMs / 2, () => stroke(false));
    this.#sim.scheduler.add(process.name, 'a job ends', forMs, () => {
      stroke(true);
      end({ type: 'exited', code: 0 });
    });
    const said = async function* (text: string): AsyncGenerator<Uint8Array> {
      if (text !== '') yield Buffer.from(text);
      await over.promise;
    };
    return {
      stdout: said('working\n'),
      stderr: said(''),
      write: async () => work.end === null,
      endInput: () => {},
      kill: () => end({ type: 'killed', reason: 'stopped' }),
      ended: over.promise,
    };
  }

  /**
   * What a process says of the job of this call, which the log has as started. A process that was replaced, and does not
   * know, may still run it: of that nobody else can know.
   */
  check(process: Process, key: string, what: string, state: JobState | null): void {
    const work = this.#works.get(key);
    assert.ok(state !== null, `${what} was started, and is found again or named lost [J1]`);
    if (state.type === 'running')
      assert.ok(work !== undefined && work.process === process, `${what} runs where it is said to run [J1]`);
    if (state.type === 'exited') assert.equal(work?.end?.type, 'exited', `${what} ended as it is said to have [J1]`);
    if (state.type === 'lost')
      assert.notEqual(work?.process, process, `${what} is lost by no process that has it [J1]`);
  }
}
