/**
 * The world that effects happen in: what tools do, what a model answers, and a ledger of what really happened.
 * The ledger is what the log is held against (P5, P6, P10, P14).
 */
import assert from 'node:assert/strict';
import { argumentsDigest } from '@perdure/runtime';
import type { JobState } from '@perdure/runtime/ports';
import { Answers } from './answers.ts';
import { CRAFT, Crafts } from './crafts.ts';
import type { Named } from './truth.ts';
import { isHeld } from './truth.ts';
import type { Process } from './process.ts';
import type { Prng } from './random.ts';
import type { Sim } from './sim.ts';
import { Workshop } from './workshop.ts';

/** What the world knows of one key. */
export type Deed = {
  key: string;
  /** Dispatches of a call, or requests to a model, that were seen to leave a process. */
  dispatches: { attempt: number; process: string }[];
  /** How often it really happened; a server that knows keys lets it happen once. */
  happened: number;
  underWay: Set<Request>;
};

/** A request on its way through the world. */
export type Request = { process: Process; deed: Deed; happen(): void };

/** Nothing that is injected leads to these: what the runtime had written, it did not find again or not believe. */
const OWN_FAULTS: ReadonlySet<string> = new Set([
  'digest_mismatch',
  'blob_missing',
  'manifest_missing',
  'model_unavailable',
  'adapter_error',
  'unreadable',
  'invalid_result',
  'internal',
]);

export class Outside {
  readonly deeds = new Map<string, Deed>();
  readonly answers: Answers;
  readonly workshop: Workshop;
  readonly crafts: Crafts;
  /** Calls whose job will be reported through a callback, by key. */
  readonly jobs = new Map<string, { token: string; payload: unknown }>();
  /** Attempts at a model call that failed, whatever had been streamed: `key#attempt`. */
  readonly failed = new Set<string>();
  /** The rendered context of each turn, as the model was sent it. */
  readonly sent = new Map<string, string>();
  readonly #sim: Sim;

  constructor(sim: Sim) {
    this.#sim = sim;
    this.answers = new Answers(sim);
    this.workshop = new Workshop(sim);
    this.crafts = new Crafts(sim);
  }

  deed(key: string): Deed {
    const known = this.deeds.get(key);
    if (known !== undefined) return known;
    const deed: Deed = { key, dispatches: [], happened: 0, underWay: new Set() };
    this.deeds.set(key, deed);
    return deed;
  }

  /** What is drawn for one attempt depends on nothing but the seed and the attempt. */
  draw(key: string, attempt: number): Prng {
    return this.#sim.random.fork(`${key}#${attempt}`);
  }

  /** A call or a model request leaves a process: everything that must hold at that moment is checked here. */
  dispatched(process: Process, key: string, attempt: number, args: { tool: string; value: unknown } | null): Deed {
    const { truth } = this.#sim;
    const named = truth.effects.get(key);
    assert.ok(named, `no entry names the effect that leaves with key ${key} [P5]`);
    const what = `${named.session} ${named.effect}#${attempt}`;
    assert.ok(named.attempts.has(attempt), `${what} leaves before an entry names this attempt [P5]`);
    this.#checkStanding(process, named, what);
    const { plan, disk, storeClock } = this.#sim;
    if (plan.nodes !== null)
      assert.ok(
        isHeld(disk, named.session, named.epoch, storeClock.now()),
        `${what} leaves under a live lease [P6, lease]`,
      );
    if (args !== null) {
      const digest = argumentsDigest(args.tool, args.value);
      assert.equal(args.tool, named.tool, `${what} is of the tool that was named [P5]`);
      assert.equal(digest, named.digest, `${what} runs with what was asked or approved [P5, P14]`);
      this.#sim.grants.dispatched(named, args.value);
      if (named.asks) assert.ok(named.approvedBy, `${what} runs without its approval [P14]`);
    }
    const deed = this.deed(key);
    for (const before of deed.dispatches)
      assert.notEqual(before.attempt, attempt, `${what} leaves twice: in ${before.process} and ${process.name} [P6]`);
    deed.dispatches.push({ attempt, process: process.name });
    return deed;
  }

  /**
   * Nothing leaves for what is settled, cancelled or at its end. A call that is not pure leaves on the newest head,
   * whoever wrote it; a read and a model call on one that the process saw lately.
   */
  #checkStanding(process: Process, named: Named, what: string): void {
    const log = this.#sim.truth.logs.get(named.session);
    const ended = named.run === null ? undefined : log?.ends.get(named.run)?.seq;
    const cancelled = named.run === null ? undefined : log?.cancels.get(named.run)?.seq;
    const bound = (seq: number): boolean => named.class !== 'pure' || process.knows(named.session, seq);
    const { settled } = named;
    if (settled !== null) assert.ok(!bound(settled.seq), `${what} leaves after its outcome was recorded [P4]`);
    if (cancelled !== undefined) assert.ok(!bound(cancelled), `${what} leaves after the cancel at ${cancelled} [P10]`);
    if (ended !== undefined) assert.ok(!bound(ended), `${what} leaves after the end of its run [P10]`);
  }

  /** It really happens. What the log has said of it by then must leave room for it. */
  happen(deed: Deed, tool: string, cls: 'pure' | 'keyed' | 'unsafe'): void {
    if (cls === 'keyed' && deed.happened > 0) return;
    deed.happened += 1;
    const named = this.#sim.truth.effects.get(deed.key);
    if (cls === 'pure' || named === undefined) return;
    if (cls === 'unsafe') {
      const most = 1 + named.retriesByPerson;
      assert.ok(deed.happened <= most, `unsafe ${tool} ${named.effect} happened ${deed.happened} times [P6]`);
    }
    checkHonest(named, deed);
  }

  /** What is said of a call that is not pure when it settles must not deny what happened (P6). */
  settled(named: Named): void {
    const code = named.settled?.code ?? '';
    assert.ok(!OWN_FAULTS.has(code), `${named.session} ${named.effect} failed by a fault of our own: ${code}`);
    if (named.tool === '') return;
    const deed = this.deeds.get(named.key);
    if (deed !== undefined && named.class !== 'pure') checkHonest(named, deed);
  }

  /** What a process says of all jobs of a session that the log has as started. */
  async look(process: Process, session: string, ask: (job: string) => Promise<JobState | null>): Promise<string> {
    const said: string[] = [];
    for (const named of this.#sim.truth.effects.values()) {
      if (named.session !== session || (named.tool !== 'begin' && named.tool !== CRAFT)) continue;
      // What a person says of it is the person's word.
      if (named.settled?.outcome !== 'done' || named.settled.code === 'by_person') continue;
      const state = await ask(named.effect);
      if (!process.alive || process.stale) break;
      try {
        this.workshop.check(process, named.key, `${session} ${named.effect}`, state);
      } catch (error) {
        this.#sim.fail(error);
      }
      said.push(`${named.effect} ${state?.type ?? 'is unknown'}`);
    }
    return said.join('; ') || 'no job was started';
  }

  /** The process is gone: each of its requests that was on its way arrives now, or never does. */
  crashed(process: Process): void {
    for (const deed of this.deeds.values()) {
      for (const request of deed.underWay) {
        if (request.process !== process) continue;
        deed.underWay.delete(request);
        if (this.#sim.random.chance(0.5)) request.happen();
      }
    }
  }
}

function checkHonest(named: Named, deed: Deed): void {
  const { settled } = named;
  if (settled === null || deed.happened === 0 || settled.code === 'by_person') return;
  const denied = ['failed', 'denied', 'cancelled'].includes(settled.outcome);
  assert.ok(!denied, `${named.session} ${named.effect} happened, and is recorded as ${settled.outcome} [P6]`);
}
