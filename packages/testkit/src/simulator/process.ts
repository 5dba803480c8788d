/**
 * A process: a host on a disk, with every port call a completion of the scheduler. It can be crashed at any of them:
 * from then on its ports answer nothing, and the disk keeps exactly what was committed.
 */
import type { State } from '@perdure/engine';
import type { Host } from '@perdure/runtime';
import { createHost, Redactor, silentLogger } from '@perdure/runtime';
import type {
  Append,
  AppendResult,
  Clock,
  CommittedChange,
  LogStore,
  Origin,
  Store,
  System,
  TenantStore,
} from '@perdure/runtime/ports';
import { wrapHost, wrapModels, wrapStore } from './bugs.ts';
import type { Writing } from './documents.ts';
import { documentsOf } from './documents.ts';
import { modelOf } from './model.ts';
import type { Outside } from './outside.ts';
import type { FaultName } from './plan.ts';
import type { Prng } from './random.ts';
import type { Sim } from './sim.ts';
import type { Shelf } from './snapshots.ts';
import { ShelfPort } from './snapshots.ts';
import { agentOf, toolsOf } from './tools.ts';

/** In virtual ms: long enough that what must come in time does not come by a sweep. */
const SWEEP_MS = 10_000;

/** What outlives every process. */
export type World = { outside: Outside; shelf: Shelf };

/** The part of a hot session that the simulation looks at. */
type Peeked = { state: State; head: { seq: number } };

/** What a process is where several share the store. */
export type NodeOf = { work: false | Record<string, never>; leaseMs: number; skewMs: number; rate: number };

export class Process {
  readonly name: string;
  alive = true;
  /** Another process took the data over, and this one does not know. */
  stale = false;
  /** Its store has stopped and accepts nothing any more: it can only be started again. */
  stopped = false;
  /** The store cannot be reached from here. */
  cutOff = false;
  /** Takes requests. */
  ready = false;
  host: Host | null = null;
  store: Store;
  readonly #sim: Sim;
  readonly #random: Prng;
  readonly #epoch: number;
  readonly #node: NodeOf | null;
  readonly #outside: Outside;
  readonly #snapshots: ShelfPort;
  readonly #onDown: (process: Process) => void;
  readonly #connections = new Set<() => void>();
  readonly #inFlight = new Set<() => void>();

  constructor(
    sim: Sim,
    name: string,
    store: Store,
    world: World,
    onDown: (process: Process) => void,
    node: NodeOf | null = null,
  ) {
    this.#node = node;
    this.#sim = sim;
    this.name = name;
    this.store = store;
    this.#epoch = store.epoch;
    this.#random = sim.random.fork(`process ${name}`);
    this.#outside = world.outside;
    this.#snapshots = new ShelfPort(sim, world.shelf);
    this.#onDown = onDown;
  }

  /** Builds the host; `drives: false` makes one that takes requests and appends, and performs nothing. */
  async boot(options: { drives: boolean; without: string | null }): Promise<void> {
    const sim = this.#sim;
    const agent = agentOf(toolsOf(sim, this.#outside, this, options.without), sim.plan);
    const host = await createHost({
      store: wrapStore(sim, this, this.#ported()),
      agents: [agent],
      models: wrapModels(sim, modelOf(sim, this.#outside, this), agent.tools),
      system: this.#system(),
      logger: { ...silentLogger, error: (fields, message) => this.#complain(fields, message) },
      redactor: new Redactor(),
      engineHash: 'simulated',
      sweepMs: SWEEP_MS,
      effects: sim.plan.effects,
      sandbox: this.#outside.workshop.of(this, this.#outside),
      ...(sim.plan.budgets === null ? {} : { budgets: sim.plan.budgets.tenant }),
      ...(this.#node === null ? {} : { work: this.#node.work, leaseMs: this.#node.leaseMs }),
    });
    this.host = wrapHost(sim, host);
    if (options.drives) await host.start();
    // What runs are pinned to must be stored before one is accepted, by whoever accepts it.
    else for (const { text } of host.parts.agents.list()) await host.parts.store.blobs.put(Buffer.from(text));
    if (this.alive) this.ready = true;
  }

  #system(): System {
    const { scheduler } = this.#sim;
    return {
      clock: this.#clock(),
      timers: {
        set: (afterMs, run) => (this.alive ? scheduler.add(this.name, 'timer', afterMs, run) : { cancel: () => {} }),
      },
      random: { bytes: (count) => this.#random.bytes(count) },
    };
  }

  /** Its own: off while faults last, and never as fast as another one. */
  #clock(): Clock {
    const { clock } = this.#sim;
    if (this.#node === null) return clock;
    const { skewMs, rate } = this.#node;
    return {
      now: () => clock.now() + (this.#sim.faulty() ? Math.round(skewMs) : 0),
      monotonicMs: () => clock.monotonicMs() * rate,
    };
  }

  /** Of others it hears late, or not at all. */
  #hears(change: CommittedChange, changed: (change: CommittedChange) => void): void {
    if (change.own) return changed(change);
    if (!this.alive || this.cutOff || this.#sim.fault('lostWakeup', change.session)) return;
    this.#sim.scheduler.add(this.name, 'hears', this.#latency(), () => changed(change));
  }

  /** The runtime calls it an error: nothing that is injected here is one, and what it is must be seen. */
  #complain(fields: { [key: string]: unknown }, message: string): void {
    const said = JSON.stringify(fields);
    if (!this.alive || this.stale || this.stopped || said.includes(INJECTED)) return;
    this.#sim.fail(new Error(`${this.name} says: ${message} ${said}`));
  }

  /** Dies here: whatever it was doing never comes back. An append in flight was durable, or was not. */
  crash(): void {
    if (!this.alive) return;
    this.alive = false;
    this.ready = false;
    this.#sim.scheduler.note(`${this.name} dies`);
    for (const commit of this.#inFlight) if (!this.stale && this.#sim.random.chance(0.5)) commit();
    this.#inFlight.clear();
    this.#sim.scheduler.drop(this.name);
    this.#outside.crashed(this);
    this.hangUp();
    this.#onDown(this);
  }

  /** Every connection to it breaks. */
  hangUp(): void {
    const lost = [...this.#connections];
    this.#connections.clear();
    for (const each of lost) each();
  }

  /** `lost` is called when the process dies first. Returns the orderly end of the connection. */
  connect(lost: () => void): () => void {
    this.#connections.add(lost);
    return () => void this.#connections.delete(lost);
  }

  /** Crashes at this point, when the seed says so. */
  fault(name: FaultName, session?: string): boolean {
    if (!this.alive) return true;
    if (!this.#sim.fault(name, session)) return false;
    this.crash();
    return true;
  }

  /** What a dead process waits for. */
  async gone(): Promise<never> {
    return new Promise<never>(() => {});
  }

  /** Waits as a completion of this process; never comes back once it is dead. */
  async wait(label: string, ms: number): Promise<void> {
    if (!this.alive) return this.gone();
    return this.#sim.scheduler.sleep(this.name, label, ms);
  }

  /** The hot session, where it is in memory. */
  peek(session: string): Peeked | undefined {
    return this.host?.parts.sessions.peek(session) as Peeked | undefined;
  }

  /** Whether the entry at this seq is in what the process has in memory. */
  knows(session: string, seq: number): boolean {
    return (this.peek(session)?.head.seq ?? 0) >= seq;
  }

  async #call<T>(label: string, work: () => Promise<T>): Promise<T> {
    await this.wait(label, this.#latency());
    if (this.stopped || this.cutOff) throw trouble('unavailable');
    if (this.#sim.fault('readFails')) throw trouble('unavailable');
    if (this.#sim.weather.full && label.endsWith('put')) throw trouble('full');
    return work();
  }

  #latency(): number {
    if (this.#sim.fault('slowStore')) return this.#random.between(100, 3_000);
    if (this.#sim.plan.script !== undefined) return this.#sim.plan.storeMs;
    return this.#random.chance(0.5) ? 0 : this.#random.between(0, this.#sim.plan.storeMs);
  }

  /** The store as this process reaches it: through completions, and only while it lives. */
  #ported(): Store {
    const writing: Writing = {
      call: async (label, work) => this.#call(label, work),
      commit: async (label, work) => this.#write(label, work),
    };
    const tenant = (name: string): TenantStore => {
      const of = (): TenantStore => this.store.tenant(name);
      const append = async (request: Append): Promise<AppendResult> => this.#append(request, of, null);
      const watch: LogStore['watch'] = (changed) => of().log.watch((change) => this.#hears(change, changed));
      const fork: LogStore['fork'] = async (origin, request) => this.#append(request, of, origin);
      return {
        log: this.#port('log', () => of().log, { append, fork, watch }),
        snapshots: this.#snapshots.port(
          () => of().snapshots,
          async (label, work) => this.#call(label, work),
        ),
        blobs: this.#port('blobs', () => of().blobs, {}),
        docs: this.#port('docs', () => of().docs, documentsOf(this.#sim, of, writing)),
        leases: this.#port('leases', () => of().leases, {}),
      };
    };
    return {
      epoch: this.#epoch,
      name: 'simulated',
      shared: this.store.shared,
      damage: [],
      unavailable: () => (this.stopped ? 'a flush failed' : this.store.unavailable()),
      tenant,
      tenants: async () => this.#call('tenants', async () => this.store.tenants()),
      close: async () => this.store.close(),
    };
  }

  #port<T extends object>(name: string, inner: () => T, own: Partial<T>): T {
    return new Proxy(inner(), {
      get: (_target, member) => {
        const mine = (own as Record<string | symbol, unknown>)[member];
        if (mine !== undefined) return mine;
        return async (...args: unknown[]) =>
          this.#call(`${name}.${String(member)}`, async () => {
            const target = inner() as Record<string | symbol, (...rest: unknown[]) => Promise<unknown>>;
            return target[member]?.(...args);
          });
      },
    });
  }

  /** Two completions: the commit, and its acknowledgement. Between them the process can die, and the data is durable. */
  async #append(request: Append, of: () => TenantStore, origin: Origin | null): Promise<AppendResult> {
    if (!this.alive || this.fault('crashBeforeAppend', request.session)) return this.gone();
    const sim = this.#sim;
    this.#snapshots.checkDropped(request.session);
    if (this.stopped || this.cutOff) return { ok: false, code: 'unavailable', detail: 'the store is not reached' };
    // A fork that meets nobody finds nothing there.
    const head = origin === null ? request.expectedHead : { seq: 0, hash: '' };
    if (sim.fault('conflict', request.session)) return { ok: false, code: 'conflict', head };
    const refused = sim.weather.refuses(request);
    if (refused !== null) return refused;
    return new Promise((resolve, reject) => {
      const commit = async (): Promise<AppendResult> => this.#commit(request, of, origin);
      const late = (): void => void commit().catch((error: unknown) => sim.fail(error));
      this.#inFlight.add(late);
      sim.scheduler.add(this.name, `append ${request.frame.first}`, this.#latency(), () => {
        this.#inFlight.delete(late);
        void this.#settle(request, commit()).then(resolve, reject);
      });
    });
  }

  /** The memory store commits before it returns its promise. */
  async #commit(request: Append, of: () => TenantStore, origin: Origin | null): Promise<AppendResult> {
    const { bug, disk, purses, scheduler, truth } = this.#sim;
    const hot = this.alive && bug !== 'early-ack' ? (this.peek(request.session)?.state ?? null) : null;
    const { log } = of();
    const result = await (origin === null ? log.append(request) : log.fork(origin, request));
    if (!result.ok) return result;
    scheduler.note(`${this.name} committed ${request.session} ${request.frame.first} ${request.frame.hash}`);
    const epoch = this.store.shared ? null : this.store.epoch;
    truth.commit(request, hot, { epoch, now: this.#sim.storeClock.now(), disk, origin, purses });
    return result;
  }

  /** A document, in two completions as well. One who was replaced writes none of what its successor remembers. */
  async #write<T>(label: string, work: () => Promise<T>): Promise<T> {
    if (!this.alive || this.fault('crashBeforeAppend')) return this.gone();
    const sim = this.#sim;
    if (this.stopped || this.cutOff || (this.stale && !this.store.shared)) throw trouble('unavailable');
    if (sim.weather.full) throw trouble('full');
    const wrote = await new Promise<T>((resolve, reject) => {
      const late = (): void => void work().catch((error: unknown) => sim.fail(error));
      this.#inFlight.add(late);
      sim.scheduler.add(this.name, label, this.#latency(), () => {
        this.#inFlight.delete(late);
        work().then(resolve, reject);
      });
    });
    if (!this.alive || this.fault('crashAfterAppend')) return this.gone();
    await this.wait(`${label} is durable`, this.#latency());
    if (this.cutOff || sim.fault('ambiguous')) throw trouble('unavailable');
    return wrote;
  }

  async #settle(request: Append, committed: Promise<AppendResult>): Promise<AppendResult> {
    let result: AppendResult;
    try {
      result = await committed;
    } catch (error) {
      this.#sim.fail(error);
      return this.gone();
    }
    if (!this.alive) return this.gone();
    if (!result.ok) return result;
    if (this.fault('crashAfterAppend', request.session)) return this.gone();
    await this.wait(`append ${request.frame.first} is durable`, this.#latency());
    if (this.cutOff || this.#sim.fault('ambiguous', request.session))
      return { ok: false, code: 'unavailable', detail: 'the connection broke before the answer' };
    return result;
  }
}

const INJECTED = 'trouble that is injected';

/** As stores fail: with a code. */
function trouble(code: 'full' | 'unavailable'): Error {
  return Object.assign(new Error(`${INJECTED}: the storage is ${code}`), { code });
}
