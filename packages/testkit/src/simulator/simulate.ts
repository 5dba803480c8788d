/**
 * One seed: real hosts on a simulated disk, under a virtual clock, with faults; then the world heals, and everything
 * must come to its end. Each promise is held against what was really committed and what really happened.
 */
import assert from 'node:assert/strict';
import type { Entry } from '@perdure/engine';
import { LIMITS } from '@perdure/runtime';
import type { Append, AppendResult, Clock, ToolDefinition } from '@perdure/runtime/ports';
import { checkDisk, checkReads } from './audit.ts';
import type { Bug } from './bugs.ts';
import { subjectOf } from './bugs.ts';
import { Client } from './clients.ts';
import type { Processes } from './cluster.ts';
import { Cluster } from './cluster.ts';
import type { KeepCopy } from './crafts.ts';
import { Coverage, stateOf } from './coverage.ts';
import { Grants, OTHER_TENANT } from './grants.ts';
import { Heads } from './heads.ts';
import { Network } from './network.ts';
import { Nodes } from './nodes.ts';
import { Outside } from './outside.ts';
import { People } from './people.ts';
import type { Act, FaultName, Plan } from './plan.ts';
import { beginOf, planOf } from './plan.ts';
import { Purses } from './purses.ts';
import { push } from './pusher.ts';
import { Prng } from './random.ts';
import { Scheduler } from './scheduler.ts';
import type { Disk, Sim, Weather } from './sim.ts';
import type { Shown } from './subscribers.ts';
import { Subscriber } from './subscribers.ts';
import type { Log, Named } from './truth.ts';
import { Truth } from './truth.ts';

/** How far off a wall clock may be. */
const CLOCK_OFF_MS = 60 * 60_000;
/** After faults are over everything must be at rest within this virtual time: a model call may hang to its end. */
const REST_WITHIN_MS = LIMITS.generateMs + 5 * 60_000;
/** What a store may take, several times over, and less than a sweep. */
const LATE_MAX_MS = 3_000;
const EVENTS_MAX = 60_000;

/** What a simulation stands on. */
export type Ground = {
  createDisk: () => Disk;
  /** Tools that change files in what a session has mounted; without them there are no workspaces. */
  files?: readonly ToolDefinition[];
  /** How jobs keep what they changed there; without it no job changes anything. */
  keep?: KeepCopy;
};
export type SimulateOptions = Ground & {
  seed: number | string;
  bug?: Bug;
  /** Keeps what happened, line by line. */
  trace?: boolean;
  /** Instead of what the seed would plan. */
  plan?: Plan;
};

export type Outcome = {
  seed: string;
  /** Null: every promise was kept. */
  failure: Error | null;
  hash: string;
  events: number;
  /** The completion after which all runs had ended for the first time. */
  restAt: number;
  virtualMs: number;
  coverage: Coverage;
  trace: readonly string[];
};

export async function simulate(options: SimulateOptions): Promise<Outcome> {
  const simulation = new Simulation(options);
  const restore = turn(simulation.plan.knobs);
  const onRejection = (error: unknown): void => simulation.fail(error);
  process.on('unhandledRejection', onRejection);
  try {
    await simulation.run();
  } catch (error) {
    simulation.fail(error);
  } finally {
    restore();
    process.off('unhandledRejection', onRejection);
  }
  return simulation.outcome();
}

/** Draws bounds of the runtime small, for this simulation alone. Returns how they were. */
function turn(knobs: Readonly<Record<string, number>>): () => void {
  const limits = LIMITS as unknown as Record<string, number>;
  const before = Object.fromEntries(Object.keys(knobs).map((name) => [name, limits[name] ?? 0]));
  Object.assign(limits, knobs);
  return () => void Object.assign(limits, before);
}

class Simulation implements Sim {
  readonly plan: Plan;
  readonly random: Prng;
  readonly scheduler: Scheduler;
  readonly truth: Truth;
  readonly coverage = new Coverage();
  readonly clock: Clock;
  readonly storeClock: Clock;
  readonly disk: Disk;
  readonly purses: Purses;
  readonly heads: Heads;
  readonly grants = new Grants();
  readonly files: readonly ToolDefinition[];
  readonly keep: KeepCopy | null;
  readonly bug: Bug | null;
  readonly weather: Weather;
  readonly #seed: string;
  /** Wall ms. */
  readonly #beginsAt: number;
  readonly #outside: Outside;
  readonly #cluster: Processes;
  readonly #network: Network;
  readonly #people: People;
  readonly #clients: Client[] = [];
  readonly #subscribers: Subscriber[] = [];
  readonly #shown: Shown = new Map();
  #failure: Error | null = null;
  #healed = false;
  /** Wall ms. */
  #healedAt = 0;
  #jumped = false;
  #restAt = 0;
  #wallOffsetMs = 0;

  constructor({ seed, plan, bug, trace, createDisk, files = [], keep }: SimulateOptions) {
    this.#seed = String(seed);
    this.random = new Prng(this.#seed);
    const planned = plan ?? planOf(this.random.fork('plan'), subjectOf(bug));
    this.files = files;
    this.keep = keep ?? null;
    this.plan = files.length === 0 ? { ...planned, workspaces: null } : planned;
    this.purses = new Purses(this.plan.budgets);
    this.scheduler = new Scheduler(this.random.fork('order'), this.plan.order);
    if (trace === true) this.scheduler.trace = [];
    this.bug = bug ?? null;
    this.#beginsAt = beginOf(this.plan);
    this.clock = {
      now: () => this.#beginsAt + this.scheduler.nowMs + this.#wallOffsetMs,
      monotonicMs: () => this.scheduler.nowMs,
    };
    this.storeClock = { now: () => this.#beginsAt + this.scheduler.nowMs, monotonicMs: () => this.scheduler.nowMs };
    this.weather = { full: false, short: false, refuses: (request) => refusalOf(this.weather, request) };
    this.#outside = new Outside(this);
    this.heads = new Heads(this, this.#outside);
    this.truth = new Truth((log, entry, named) => this.#seen(log, entry, named));
    this.disk = createDisk();
    const { nodes, faults } = this.plan;
    this.#jumped = nodes !== null && faults.clockSkew > 0;
    this.#cluster = nodes === null ? new Cluster(this, this.#outside) : new Nodes(this, this.#outside, nodes);
    this.#network = new Network(this, this.#cluster);
    this.#people = new People(this, this.#network, this.#outside);
  }

  #seen(log: Log, entry: Entry, named: Named | undefined): void {
    if (this.plan.workspaces !== null) this.heads.seen(entry, named);
    if (this.plan.grants !== null) this.grants.seen(log, entry, !this.#jumped, this.scheduler.events);
    if (named?.settled?.seq === entry.seq) this.#outside.settled(named);
    if (named !== undefined && entry.kind === 'turn.attempted' && entry.data.charged !== undefined)
      this.#outside.answers.charged(named);
    if (entry.kind === 'turn.settled') this.#checkAnswer(entry, named);
    if (entry.kind !== 'wait.resolved') return;
    if (named?.approvedBy === entry.data.wait)
      assert.ok(this.#people.approved(named.key, named.digest), `${named.effect} runs with what was signed [P14]`);
    if (entry.data.how === 'expired') this.#checkPunctual(log, entry, entry.data.wait);
  }

  #checkAnswer({ data }: Extract<Entry, { kind: 'turn.settled' }>, named: Named | undefined): void {
    assert.ok(!('built' in data), 'a request is what was sealed');
    const isWhole = !this.#outside.failed.has(`${named?.key}#${data.attempt}`);
    assert.ok(data.outcome !== 'done' || isWhole, 'an answer that broke off is never taken for a whole one [P6]');
  }

  /** With no fault since it was opened, a wait ends when it is due, and not only when somebody sweeps. */
  #checkPunctual(log: Log, { at }: Entry, wait: string): void {
    const opened = log.entries.find((entry) => entry.kind === 'wait.opened' && entry.data.wait === wait);
    if (!this.#healed || this.#jumped || opened?.kind !== 'wait.opened' || opened.at < this.#healedAt) return;
    const lateMs = at - (opened.data.expiresAt ?? at);
    assert.ok(lateMs <= LATE_MAX_MS, `${wait} of ${log.id} ended ${lateMs} ms after it was due [P7]`);
  }

  faulty(): boolean {
    return !this.#healed;
  }

  fault(name: FaultName, session?: string): boolean {
    const rate = this.plan.faults[name];
    if (rate === 0 || this.#healed || !this.random.chance(rate)) return false;
    this.#met(name, session);
    return true;
  }

  befalls(name: FaultName, draw: Prng, session: string): boolean {
    if (!draw.chance(this.plan.faults[name]) || this.#healed) return false;
    this.#met(name, session);
    return true;
  }

  #met(name: FaultName, session?: string): void {
    this.scheduler.note(`fault ${name}`);
    for (const log of this.truth.logs.values())
      if (session === undefined || session === log.id) this.coverage.hit(name, stateOf(log.state));
  }

  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  spawn(work: Promise<void>): void {
    work.catch((error: unknown) => this.fail(error));
  }

  async run(): Promise<void> {
    const { workspaces, grants } = this.plan;
    if (grants !== null) await this.grants.foreign(this.disk.open(this.clock).tenant(OTHER_TENANT).docs);
    if (workspaces !== null) await this.heads.found(this.disk.open(this.clock).tenant('default'));
    this.#cluster.boot();
    for (const [n, session] of this.plan.sessions.entries()) {
      const client = new Client(this, this.#network, session, `c${n}`, (id, count) => this.#subscribe(id, count));
      this.#clients.push(client);
      this.spawn(client.run());
    }
    this.spawn(this.#people.watch());
    this.spawn(this.#people.report());
    if (grants !== null && grants.revokeEachMs !== null) this.spawn(this.#people.revoke(grants.revokeEachMs));
    if (workspaces !== null && workspaces.pushEachMs !== null)
      this.spawn(push(this, this.#network, workspaces.pushEachMs));
    this.spawn(this.#storms());
    await this.#until(() => this.scheduler.nowMs >= this.plan.healAtMs && this.#heal());
    if (this.#failure !== null) return;
    // What is due by a clock that was ahead is due only then.
    const restBy = this.scheduler.nowMs + REST_WITHIN_MS + (this.#jumped ? 2 * CLOCK_OFF_MS : 0);
    await this.#until(() => this.#isOver() || this.scheduler.nowMs > restBy);
    if (this.#failure !== null) return;
    assert.ok(this.#isOver(), `everything ends after faults are over [P7]: ${this.#unfinished()}`);
    await this.#checkEnd();
  }

  async #until(condition: () => boolean): Promise<void> {
    while (this.#failure === null && !condition()) {
      if (this.scheduler.events > EVENTS_MAX)
        throw new Error(`no rest after ${EVENTS_MAX} events [P7]: ${this.#unfinished()}`);
      if (!(await this.scheduler.turn())) throw new Error('nothing is left to happen');
      if (this.#restAt === 0 && this.truth.logs.size > 0 && this.truth.isAtRest()) this.#restAt = this.scheduler.events;
      if (this.#restAt === 0 || !this.#healed)
        for (const { event, act } of this.plan.script?.interventions ?? [])
          if (event === this.scheduler.events) this.#intervene(act);
    }
  }

  #subscribe(session: string, count: number): void {
    for (let n = 0; n < count; n += 1) {
      const subscriber = new Subscriber(this, this.#cluster, this.#shown, session, `s${this.#subscribers.length}`);
      this.#subscribers.push(subscriber);
      this.spawn(subscriber.run());
    }
  }

  #intervene(act: Act): void {
    this.scheduler.note(`now ${act}`);
    const client = this.#clients[0];
    if (act === 'crash') this.#cluster.victim()?.crash();
    else if (act === 'drain') this.#cluster.drain();
    else if (act === 'approve-twice') this.spawn(this.#people.approveTwice());
    else if (act === 'cancel' || act === 'fork' || act === 'compact')
      this.spawn(client?.perform({ op: act, afterMs: 0 }) ?? Promise.resolve());
    else this.spawn(client?.send(act) ?? Promise.resolve());
  }

  /** What befalls processes, clocks and storage, second by second. */
  async #storms(): Promise<void> {
    const { scheduler, random } = this;
    while (!this.#healed) {
      await scheduler.sleep('storm', 'second', random.between(200, 1_800));
      this.#cluster.storm();
      if (this.fault('crashEachSecond')) this.#cluster.victim()?.crash();
      if (this.fault('drainEachSecond')) this.#cluster.drain();
      if (this.fault('takeoverEachSecond')) this.#cluster.takeOver();
      if (this.fault('secondWriterEachSecond')) this.#cluster.addSecond();
      if (this.fault('storeStopsEachSecond')) this.#cluster.stopStore();
      if (this.fault('pauseEachSecond'))
        scheduler.pause(this.#cluster.victim()?.name ?? '', random.pick([50, 1_000, 10_000]));
      if (this.fault('clockEachSecond')) this.#jump(random.pick([-CLOCK_OFF_MS, -5_000, -1, 1, 5_000, CLOCK_OFF_MS]));
      if (this.fault('fullEachSecond')) this.#while('full');
      if (this.fault('refusalEachSecond')) this.#while('short');
    }
  }

  #jump(byMs: number): void {
    this.#jumped = true;
    this.#wallOffsetMs = Math.max(-CLOCK_OFF_MS, Math.min(CLOCK_OFF_MS, this.#wallOffsetMs + byMs));
  }

  #while(what: 'full' | 'short'): void {
    this.weather[what] = true;
    this.scheduler.add('storm', `end of ${what}`, this.random.between(100, 8_000), () => {
      this.weather[what] = false;
    });
  }

  #heal(): true {
    this.#healed = true;
    this.scheduler.note('the world heals');
    this.scheduler.drop('storm');
    this.weather.full = false;
    this.weather.short = false;
    this.#wallOffsetMs = 0;
    this.#healedAt = this.clock.now();
    this.#cluster.heal();
    this.spawn(this.#release());
    return true;
  }

  /** Nothing stays held for ever. */
  async #release(): Promise<void> {
    for (;;) {
      for (const client of this.#clients) await client.release();
      await this.scheduler.sleep('people', 'release', 10_000);
    }
  }

  #isOver(): boolean {
    return (
      this.#clients.every(({ done }) => done) &&
      this.truth.isAtRest() &&
      this.#outside.crafts.areTold() &&
      this.#subscribers.every(({ isCaughtUp }) => isCaughtUp)
    );
  }

  #unfinished(): string {
    const logs = [...this.truth.logs.values()].map(({ id, state }) => {
      const waits = [...state.waits.values()].map(({ id: wait, kind }) => `${wait} ${kind}`);
      return `${id} is ${state.runs.size === 0 ? 'at rest' : stateOf(state)} at ${state.head} [${waits.join(', ')}]`;
    });
    const clients = this.#clients.filter(({ done }) => !done).length;
    const behind = this.#subscribers.filter(({ isCaughtUp }) => !isCaughtUp).length;
    return `${this.#outside.crafts.untold()}${logs.join('; ')}; ${clients} clients wait, ${behind} readers are behind`;
  }

  async #checkEnd(): Promise<void> {
    const host = this.#cluster.ready()?.host ?? null;
    if (host !== null) {
      assert.deepEqual(host.parts.quarantine.list(), [], 'no session was parked');
      if (this.random.chance(0.3)) await this.#finish(checkReads(this, this.#outside, host));
    }
    this.#cluster.end();
    await checkDisk(this, this.#outside);
  }

  /** Lets something come to its end while time goes on. */
  async #finish(work: Promise<void>): Promise<void> {
    let done = false;
    this.spawn(
      work.finally(() => {
        done = true;
      }),
    );
    await this.#until(() => done);
  }

  outcome(): Outcome {
    const { events, nowMs, hash, trace } = this.scheduler;
    return {
      seed: this.#seed,
      failure: this.#failure,
      hash,
      events,
      restAt: this.#restAt,
      virtualMs: nowMs,
      coverage: this.coverage,
      trace: trace ?? [],
    };
  }
}

function refusalOf(weather: Weather, { ledger }: Append): AppendResult | null {
  if (weather.full) return { ok: false, code: 'full' };
  const reserve = ledger.find(({ op }) => op === 'reserve');
  if (!weather.short || reserve?.op !== 'reserve') return null;
  const shortage = { account: 'tenant/default', limit: 'tokens' as const, needed: reserve.amount.tokens, free: 0 };
  return { ok: false, code: 'refused', shortage };
}
