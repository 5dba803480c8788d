/** Programs that use the system: they open a session, send, steer, interrupt, cancel, hold, and retry until answered. */
import assert from 'node:assert/strict';
import type { MountInput, RunView } from '@perdure/contract';
import { stateOf } from './coverage.ts';
import type { Happening } from './coverage.ts';
import { SITE } from './heads.ts';
import type { Network } from './network.ts';
import type { Op, SessionPlan } from './plan.ts';
import type { Sim } from './sim.ts';

export class Client {
  /** Set once the session is acknowledged. */
  session: string | null = null;
  done = false;
  readonly #sim: Sim;
  readonly #network: Network;
  readonly #plan: SessionPlan;
  readonly #name: string;
  readonly #opened: (session: string, subscribers: number) => void;
  readonly #runs: string[] = [];
  #sends = 0;
  #forks = 0;
  #revision = 1;

  constructor(
    sim: Sim,
    network: Network,
    plan: SessionPlan,
    name: string,
    opened: (session: string, subscribers: number) => void,
  ) {
    this.#sim = sim;
    this.#network = network;
    this.#plan = plan;
    this.#name = name;
    this.#opened = opened;
  }

  async run(): Promise<void> {
    const submission = `${this.#name} opens`;
    const { limits } = this.#plan;
    const opened = await this.#network.ask(
      'sessions.create',
      { agent: 'worker', input: `first of ${this.#name}`, submission, config: { limits, ...mountsOf(this.#sim) } },
      ['invalid_request'],
      ({ session, seq }) => this.#checkQueued(session.id, seq, submission),
    );
    if (!opened.ok) return this.#end();
    const { session, run } = opened.result;
    this.session = session.id;
    if (run !== undefined) this.#runs.push(run.id);
    this.#opened(session.id, this.#plan.subscribers);
    for (const op of this.#plan.ops) {
      await this.#sim.scheduler.sleep(this.#name, op.op, op.afterMs);
      await this.perform(op);
    }
    this.#end();
  }

  #end(): void {
    this.done = true;
  }

  /** P1: a receipt names what is in the log. */
  #checkQueued(session: string, seq: number, submission: string): void {
    const log = this.#sim.truth.logs.get(session);
    const entry = log?.entries.findLast(
      (candidate) =>
        (candidate.kind === 'run.queued' || candidate.kind === 'run.steered') &&
        candidate.data.submission === submission,
    );
    assert.equal(entry?.seq, seq, `${submission} was acknowledged at seq ${seq} of ${session} [P1]`);
  }

  async perform(op: Op): Promise<void> {
    const { session } = this;
    if (session === null) return;
    this.#count(op.op === 'send' ? op.mode : op.op, session);
    switch (op.op) {
      case 'send':
        return this.send(op.mode);
      case 'configure':
        return this.#configure(session);
      case 'fork':
        return this.#fork(session);
      case 'undo':
        return this.#undo(session);
      case 'compact':
        await this.#network.ask('context.compact', { session }, ['session_closed', 'invalid_state'], ({ seq }) => {
          const entry = this.#sim.truth.entry(session, seq);
          const isOne = entry?.kind === 'compaction.asked' || entry?.kind === 'compaction.requested';
          assert.ok(isOne, `a compaction of ${session} was acknowledged at seq ${seq} [P1]`);
        });
        return;
      case 'close':
        await this.#network.ask('sessions.close', { session }, [], () => {
          const phase = this.#sim.truth.logs.get(session)?.state.phase;
          assert.ok(phase === 'closing' || phase === 'closed', `the close of ${session} was acknowledged [P1]`);
        });
        return;
      default:
        return this.#onRun(op.op, session);
    }
  }

  #count(what: string, session: string): void {
    const log = this.#sim.truth.logs.get(session);
    if (log !== undefined && what !== 'unqueue' && what !== 'configure')
      this.#sim.coverage.hit(what as Happening, stateOf(log.state));
  }

  async send(mode: 'queue' | 'steer' | 'interrupt'): Promise<void> {
    const { session } = this;
    if (session === null) return;
    this.#sends += 1;
    const submission = `${this.#name} ${this.#sends}`;
    const sent = await this.#network.ask(
      'runs.start',
      { session, input: `message ${submission}`, mode, submission, priority: 0 },
      ['session_closed', 'invalid_request'],
      ({ seq }) => this.#checkQueued(session, seq, submission),
    );
    if (sent.ok) this.#runs.push(sent.result.run.id);
  }

  /** There and back: what the one model's provider has made for it the other one cannot read. */
  async #configure(session: string): Promise<void> {
    const revision = this.#revision;
    const model = revision % 2 === 1 ? 'scripted/third' : [...this.#sim.plan.route];
    const configured = await this.#network.ask(
      'sessions.configure',
      { session, ifRevision: revision, instructions: `Work more, ${revision}.`, model },
      ['session_closed', 'revision_conflict'],
    );
    if (configured.ok) this.#revision = configured.result.config.revision;
  }

  /** From here, or from some place before; then something is said there. */
  async #fork(session: string): Promise<void> {
    const { random, truth } = this.#sim;
    this.#forks += 1;
    const submission = `${this.#name} forks ${this.#forks}`;
    const at = random.chance(0.5) ? random.between(1, truth.head(session)) : undefined;
    const asked = { session, submission, ...(at === undefined ? {} : { at }) };
    const forked = await this.#network.ask('sessions.fork', asked, ['invalid_request'], ({ session: fork, seq }) => {
      const entry = truth.entry(fork.id, seq);
      assert.ok(entry?.kind === 'session.forked', `the fork of ${session} was acknowledged at seq ${seq} [P1]`);
      assert.equal(entry.data.seq, at ?? entry.data.seq, `${fork.id} was forked where it was asked to be`);
    });
    if (!forked.ok) {
      assert.ok(at !== undefined && !truth.isBoundary(session, at), `a fork of ${session} at ${at} was refused`);
      return;
    }
    const { id } = forked.result.session;
    this.#opened(id, 1);
    // The same words under the same submission as the prefix may have: they are new here.
    const said = `${this.#name} 1`;
    const message = { session: id, input: `message ${said}`, mode: 'queue', submission: said, priority: 0 } as const;
    await this.#network.ask('runs.start', message, ['invalid_request'], ({ seq }) => this.#checkQueued(id, seq, said));
  }

  /** A run that has ended; what others have changed since is theirs. */
  async #undo(session: string): Promise<void> {
    const run = this.#sim.random.pick(this.#runs) as `r${number}`;
    await this.#network.ask('runs.undo', { session, run }, ['invalid_state', 'revision_conflict', 'not_found']);
  }

  async #onRun(op: 'cancel' | 'hold' | 'release' | 'unqueue', session: string): Promise<void> {
    const run = this.#runs.at(-1) as `r${number}` | undefined;
    if (run === undefined) return;
    const acked = (view: RunView): void => {
      const log = this.#sim.truth.logs.get(session);
      if (op === 'cancel')
        assert.ok(
          log?.cancels.has(run) === true || log?.ends.has(run) === true,
          `the cancel of ${run} was acknowledged as ${view.status} [P1]`,
        );
    };
    await this.#network.ask(`runs.${op}`, { session, run }, ['invalid_state'], acked);
  }

  /** Faults are over: nothing stays held for ever. */
  async release(): Promise<void> {
    const { session } = this;
    if (session === null) return;
    for (const run of this.#sim.truth.logs.get(session)?.state.runs.values() ?? []) {
      if (run.held) await this.#network.ask('runs.release', { session, run: run.id }, ['invalid_state']);
    }
  }
}

const mountsOf = ({ plan: { workspaces } }: Sim): { mounts?: MountInput[] } =>
  workspaces === null ? {} : { mounts: [{ path: '/', workspace: SITE, mode: workspaces.mode }] };
