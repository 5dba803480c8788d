/**
 * A trial: the user's own agents and tools on the real engine, under a clock of its own, through deaths of the process at
 * chosen points. In the end everything must be at rest, and every promise and every invariant of the user's must hold.
 * Tools run as they are: what waits for the real world, or draws from it, is not repeatable.
 */
import assert from 'node:assert/strict';
import { applyTranscript, emptyTranscript, noBodies, viewTranscript } from '@perdure/contract';
import type { Entry } from '@perdure/engine';
import type { AgentDefinition, Host } from '@perdure/runtime';
import { decodeFrame, wireFrame } from '@perdure/runtime';
import type { Append, ModelSource, Store, System, ToolDefinition } from '@perdure/runtime/ports';
import { Invariants } from '../invariants.ts';
import type { VirtualSystem } from '../virtual-system.ts';
import { createVirtualSystem } from '../virtual-system.ts';
import { answerOf } from './answers.ts';
import type { Life } from './process.ts';
import { createLife, startProcess } from './process.ts';
import type { Simulation, TrialLog, TrialOutcome, TrialPlan } from './simulation.ts';
import type { Called } from './watched-tools.ts';
import { checkCalls, watchedTools } from './watched-tools.ts';

export type TrialOptions = {
  simulation: Simulation;
  agents: readonly AgentDefinition[];
  plan: TrialPlan;
  /** Data that outlives its stores: each opening takes it over from the one before. */
  createDisk: () => { open(clock: System['clock']): Store };
  /** What answers for every model. */
  models: (system: System) => ModelSource;
};

const TENANT = 'default';
const CALLER = { tenant: TENANT, actor: { kind: 'user', id: 'trial' }, requestId: 'trial' } as const;
/** Virtual time in which everything must have come to rest. */
const REST_WITHIN_MS = 400 * 24 * 60 * 60_000;
const STEP_MAX_MS = 24 * 60 * 60_000;
const LIVES_MAX = 50;

export async function runTrial(options: TrialOptions): Promise<TrialOutcome> {
  const trial = new Trial(options);
  const { plan } = options;
  try {
    await trial.run();
    return trial.outcome(plan, null);
  } catch (error) {
    return trial.outcome(plan, error instanceof Error ? error : new Error(String(error)));
  }
}

class Trial {
  readonly #options: TrialOptions;
  readonly #system: VirtualSystem = createVirtualSystem();
  readonly #disk: { open(clock: System['clock']): Store };
  readonly #world: unknown;
  readonly #steps: string[] = [];
  readonly #calls: Called[] = [];
  readonly #sessions = new Map<number, string>();
  readonly #repeated = new Set<number>();
  /** What went wrong where nobody awaits it: inside a tool. */
  #broken: Error | null = null;
  #appends = 0;
  #store: Store;
  #life: Life = createLife();

  constructor(options: TrialOptions) {
    this.#options = options;
    this.#world = options.simulation.world?.();
    this.#disk = options.createDisk();
    this.#store = this.#disk.open(this.#system.clock);
  }

  outcome(plan: TrialPlan, failure: Error | null): TrialOutcome {
    const steps = failure === null ? this.#steps : [...this.#steps, failure.message.split('\n')[0] ?? ''];
    return { plan, failure, steps, appends: this.#appends, calls: this.#calls.length };
  }

  async run(): Promise<void> {
    for (let lives = 0; ; lives += 1) {
      assert.ok(lives < LIVES_MAX, `everything is at rest after ${LIVES_MAX} lives of the process [P7]`);
      if (await this.#live()) break;
      this.#steps.push('the process is started again');
      this.#store = this.#disk.open(this.#system.clock);
      this.#life = createLife();
    }
    await this.#judge();
  }

  /** One life of the process: true when everything has come to rest in it. */
  async #live(): Promise<boolean> {
    const life = this.#life;
    const { simulation, agents, models } = this.#options;
    const source = models(this.#system);
    const host = await this.#until(
      startProcess({
        life,
        store: this.#store,
        agents,
        tools: (tools) => watchedTools(tools, { begins: this.#begins, ends: this.#ends }),
        models: source,
        system: this.#system,
        appends: () => this.#deathAt(),
        committed: (request) => this.#tell(request),
      }),
    );
    if (host === null || !(await this.#send(host))) return false;
    for (let stepMs = 1_000, passedMs = 0; ; stepMs = Math.min(stepMs * 2, STEP_MAX_MS)) {
      await this.#system.settle();
      if (this.#broken !== null) throw this.#broken;
      if (!life.alive) return false;
      const answered = await this.#answer(host, simulation);
      if (answered === 'died') return false;
      if (answered === 'rest') break;
      if (answered === 'answered') stepMs = 500;
      passedMs += stepMs;
      assert.ok(passedMs < REST_WITHIN_MS, 'everything comes to rest [P7]');
      await this.#system.advance(stepMs);
    }
    await this.#until(host.stop({ drainMs: 0 }));
    return life.alive;
  }

  /** Null: the process died first. */
  async #until<T>(work: Promise<T>): Promise<T | null> {
    const life = this.#life;
    const settled = work.then((value) => ({ value }));
    for (;;) {
      const first = await Promise.race([settled, life.died.then(() => null), this.#system.settle().then(() => 'time')]);
      if (first === null || !life.alive) return null;
      if (first !== 'time') return (first as { value: T }).value;
      await this.#system.advance(50);
    }
  }

  /** Every message until it is acknowledged; one that is delivered again is sent twice. */
  async #send(host: Host): Promise<boolean> {
    const { plan, simulation, agents } = this.#options;
    const agent = simulation.agent ?? agents[0]?.name ?? '';
    for (const [index, input] of plan.messages.entries()) {
      const isAgain = plan.faults.some((fault) => fault.kind === 'again' && fault.message === index);
      const times = this.#sessions.has(index) ? 0 : isAgain && !this.#repeated.has(index) ? 2 : 1;
      for (let time = 0; time < times; time += 1) {
        if (time === 1) this.#repeated.add(index);
        const sent = await this.#until(
          host.call(CALLER, 'sessions.create', { agent, input, submission: `message ${index}` }),
        );
        if (sent === null) return false;
        const { id } = sent.result.session;
        const before = this.#sessions.get(index);
        assert.ok(before === undefined || before === id, 'a message that comes twice opens one session [P1]');
        this.#sessions.set(index, id);
        this.#steps.push(`a person sends${time === 0 ? '' : ' the same again'}: ${input.replaceAll('\n', ' / ')}`);
      }
    }
    return true;
  }

  async #answer(host: Host, { answer }: Simulation): Promise<'died' | 'rest' | 'answered' | 'busy'> {
    let isBusy = false;
    for (const session of this.#sessions.values()) {
      const row = await this.#store.tenant(TENANT).log.get(session);
      if (row === null || row.status === 'idle' || row.status === 'closed') continue;
      assert.notEqual(row.status, 'quarantined', `${session} is not parked as a danger [P7]`);
      const waits = await this.#until(host.call(CALLER, 'waits.list', { session, limit: 1_000 }));
      if (waits === null) return 'died';
      for (const wait of waits.result.waits) {
        const given = answer?.(wait) ?? answerOf(wait, this.#calls);
        if (given === undefined) continue;
        this.#steps.push(`a person answers ${wait.id} (${wait.kind}): ${JSON.stringify(given)}`);
        const done = await this.#until(
          host.call(CALLER, 'waits.resolve', { session, wait: wait.id as WaitId, answer: given }),
        );
        if (done === null) return 'died';
        return 'answered';
      }
      isBusy ||= waits.result.waits.length === 0 || waits.result.waits.some(({ kind }) => kind !== 'callback');
    }
    return isBusy ? 'busy' : 'rest';
  }

  #deathAt(): 'before' | 'after' | null {
    this.#appends += 1;
    const n = this.#appends;
    const kill = this.#options.plan.faults.find(
      (fault) => fault.kind === 'kill' && fault.at !== 'called' && fault.n === n,
    );
    if (kill?.kind !== 'kill' || kill.at === 'called' || !this.#life.alive) return null;
    if (kill.at === 'before') this.#steps.push(`the process dies before append ${n}`);
    return kill.at;
  }

  #tell({ session, frame }: Append): void {
    const n = this.#appends;
    const isLast = this.#options.plan.faults.some(
      (fault) => fault.kind === 'kill' && fault.at === 'after' && fault.n === n,
    );
    for (const entry of decodeFrame(frame)) {
      if (entry.kind !== 'run.ended') continue;
      const { status } = entry.data;
      this.#steps.push(`run ${entry.run} of message ${this.#messageOf(session)} ends: ${status}`);
    }
    if (isLast) this.#steps.push(`the process dies after append ${n}, before anybody was told`);
  }

  #messageOf(session: string): number {
    return ([...this.#sessions].find(([, id]) => id === session)?.[0] ?? this.#sessions.size) + 1;
  }

  readonly #begins = async (called: Called, tool: ToolDefinition): Promise<void> => {
    try {
      const entries = await this.#entries(called.session);
      checkNamed(called, tool, entries);
    } catch (error) {
      this.#broken ??= error instanceof Error ? error : new Error(String(error));
    }
    this.#calls.push(called);
    this.#steps.push(`${called.tool} runs: attempt ${called.attempt} at ${called.call}, key ${called.key.slice(0, 6)}`);
  };

  readonly #ends = (called: Called): boolean => {
    called.ended = true;
    const n = this.#calls.indexOf(called) + 1;
    const isFatal = this.#options.plan.faults.some(
      (fault) => fault.kind === 'kill' && fault.at === 'called' && fault.n === n,
    );
    if (!isFatal || !this.#life.alive) return !this.#life.alive;
    this.#steps.push(`the process dies: ${called.tool} did its work, and its outcome is lost`);
    this.#life.die();
    return true;
  };

  async #entries(session: string): Promise<Entry[]> {
    const frames = await this.#store.tenant(TENANT).log.read(session, { after: 0, limit: 1_000_000 });
    return frames.flatMap((frame) => decodeFrame(frame));
  }

  /** Everything is at rest: what is written down, what happened outside, and what the user says must be. */
  async #judge(): Promise<void> {
    const { simulation, agents, plan } = this.#options;
    const { log } = this.#store.tenant(TENANT);
    const damage = await log.verify();
    assert.deepEqual(damage, [], 'every log is a chain without a gap [P2]');
    let retries: Entry[] = [];
    for (const [index, session] of this.#sessions) {
      const frames = await log.read(session, { after: 0, limit: 1_000_000 });
      const invariants = new Invariants();
      for (const frame of frames) invariants.observe(decodeFrame(frame), null);
      const told = frames.flatMap((frame) => decodeFrame(frame));
      retries = [...retries, ...told.filter(isRetry)];
      const entries = frames.flatMap((frame) => wireFrame(frame));
      const transcript = emptyTranscript(noBodies);
      for (const entry of entries) applyTranscript(transcript, entry);
      const { items } = await log.runs({ session, limit: 1_000 });
      const runs = items.map(({ run, status, reason }) => ({ id: run, status, reason }));
      const own: TrialLog = {
        session,
        message: plan.messages[index] ?? '',
        entries,
        messages: viewTranscript(transcript),
        runs,
      };
      for (const { name, check } of simulation.invariants ?? []) await holds(name, async () => check(own, this.#world));
    }
    const tools = agents.flatMap((agent) => agent.tools);
    checkCalls(this.#calls, tools, () => retries.length);
  }
}

type WaitId = `w${number}`;

const isRetry = (entry: Entry): boolean =>
  entry.kind === 'wait.resolved' && entry.data.answer?.kind === 'outcome' && entry.data.answer.outcome === 'retry';

async function holds(name: string, check: () => Promise<unknown>): Promise<void> {
  let said: unknown;
  try {
    said = await check();
  } catch (error) {
    throw new Error(`invariant '${name}' does not hold: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  if (said === false) throw new Error(`invariant '${name}' does not hold`);
}

/** No effect leaves before a durable entry names it, and none that asks before it was approved as it is. */
function checkNamed(called: Called, tool: ToolDefinition, entries: readonly Entry[]): void {
  const mine = entries.filter(({ effect }) => effect === called.call);
  const requested = mine.find((entry) => entry.kind === 'call.requested');
  const attempted = mine.some((entry) => entry.kind === 'call.attempted' && entry.data.n === called.attempt);
  const isNamed = attempted || (called.attempt === 1 && tool.effect !== 'unsafe' && requested !== undefined);
  assert.ok(isNamed, `${called.tool} ${called.call} is named by the log before it runs [P5]`);
  if (requested?.kind !== 'call.requested' || requested.data.decision !== 'ask') return;
  const waits = entries.filter((entry) => entry.kind === 'wait.opened' && entry.data.call === called.call);
  const signed = entries.some((entry) => {
    if (entry.kind !== 'wait.resolved' || entry.data.answer?.kind !== 'approval') return false;
    const { decision, digest, edited } = entry.data.answer;
    const isOfCall = waits.some((wait) => wait.kind === 'wait.opened' && wait.data.wait === entry.data.wait);
    return isOfCall && decision === 'approve' && (edited?.digest ?? digest) === called.digest;
  });
  assert.ok(signed, `${called.tool} ${called.call} runs with what was approved [P14]`);
}
