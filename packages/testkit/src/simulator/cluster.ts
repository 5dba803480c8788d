/** Which processes there are: one that drives, perhaps one that was replaced and lives on, perhaps a second writer. */
import type { Outside } from './outside.ts';
import type { World } from './process.ts';
import { Process } from './process.ts';
import type { Sim } from './sim.ts';
import { Shelf } from './snapshots.ts';
import { TOOLS } from './tools.ts';

const RESTART_MAX_MS = 4_000;
const ZOMBIE_MAX_MS = 15_000;

const isTrouble = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'full' || error.code === 'unavailable');

/** What a simulation does with the processes it has, however many. */
export type Processes = Pick<
  Cluster,
  | 'boot'
  | 'drain'
  | 'takeOver'
  | 'addSecond'
  | 'stopStore'
  | 'front'
  | 'heal'
  | 'victim'
  | 'has'
  | 'ready'
  | 'storm'
  | 'end'
>;

export class Cluster {
  current: Process | null = null;
  /** Appends to the same logs with a memory of its own, and performs nothing. */
  second: Process | null = null;
  readonly zombies = new Set<Process>();
  /** The current process came up without one of its tools. */
  incomplete = false;
  #count = 0;
  readonly #sim: Sim;
  readonly #world: World;

  constructor(sim: Sim, outside: Outside) {
    this.#sim = sim;
    this.#world = { outside, shelf: new Shelf(sim) };
  }

  #process(store: Process['store']): Process {
    this.#count += 1;
    return new Process(this.#sim, `p${this.#count}`, store, this.#world, (process) => this.#down(process));
  }

  /** Opens the data anew: whoever had it is replaced. */
  boot(): void {
    this.second?.crash();
    const store = this.#sim.disk.open(this.#sim.clock);
    for (const zombie of this.zombies) zombie.store = store;
    const process = this.#process(store);
    this.current = process;
    const without = this.#sim.fault('toolGone') ? this.#sim.random.pick(TOOLS).name : null;
    this.incomplete = without !== null;
    this.#sim.spawn(this.#start(process, { drives: true, without }));
  }

  /** A process that cannot start ends, and is started again. */
  async #start(process: Process, options: { drives: boolean; without: string | null }): Promise<void> {
    try {
      await process.boot(options);
    } catch (error) {
      if (!process.stopped && !isTrouble(error)) throw error;
      process.crash();
    }
  }

  #down(process: Process): void {
    this.zombies.delete(process);
    if (process === this.second) this.second = null;
    if (process !== this.current) return;
    this.current = null;
    this.second?.crash();
    const delayMs = this.#sim.random.chance(0.5) ? 0 : this.#sim.random.between(0, RESTART_MAX_MS);
    this.#sim.scheduler.add('init', 'restart', delayMs, () => this.boot());
  }

  /** The current process is taken for dead and replaced, and goes on for a while. */
  takeOver(): void {
    const old = this.current;
    if (old?.ready !== true) return;
    old.stale = true;
    old.hangUp();
    old.ready = false;
    this.zombies.add(old);
    this.current = null;
    const forMs = this.#sim.random.between(100, ZOMBIE_MAX_MS);
    this.#sim.scheduler.add('init', `end of ${old.name}`, forMs, () => old.crash());
    if (this.#sim.random.chance(0.5)) this.#sim.scheduler.pause(old.name, this.#sim.random.between(10, forMs));
    this.boot();
  }

  addSecond(): void {
    const { current } = this;
    if (current?.ready !== true || this.second !== null) return;
    const second = this.#process(current.store);
    this.second = second;
    this.#sim.spawn(this.#start(second, { drives: false, without: null }));
    this.#sim.scheduler.add('init', `end of ${second.name}`, this.#sim.random.between(500, ZOMBIE_MAX_MS), () =>
      second.crash(),
    );
  }

  /** A flush fails: the store stops, and whoever looks after the process starts it again. */
  stopStore(): void {
    const { current } = this;
    if (current === null) return;
    this.second?.crash();
    current.stopped = true;
    this.#sim.scheduler.add('init', `end of ${current.name}`, this.#sim.random.between(0, RESTART_MAX_MS), () =>
      current.crash(),
    );
  }

  /** SIGTERM. */
  drain(): void {
    const { current } = this;
    if (current?.ready !== true || current.host === null) return;
    const { host } = current;
    current.ready = false;
    this.#sim.spawn(
      (async (): Promise<void> => {
        await host.stop({ drainMs: 5_000 });
        current.crash();
      })(),
    );
  }

  /** Whom it befalls. */
  victim(): Process | null {
    return this.current;
  }

  has(process: Process): boolean {
    return process === this.current || process === this.second;
  }

  /** One that can be asked how all ended. */
  ready(): Process | null {
    return this.current?.ready === true ? this.current : null;
  }

  storm(): void {}

  end(): void {
    this.current?.crash();
  }

  /** Who answers the next request; null: nobody listens. */
  front(): Process | null {
    if (this.second?.ready === true && this.#sim.random.chance(0.5)) return this.second;
    return this.current?.ready === true ? this.current : null;
  }

  /** Faults are over: one process with all its tools is left. */
  heal(): void {
    for (const zombie of this.zombies) zombie.crash();
    this.second?.crash();
    if (this.incomplete || this.current?.stopped === true) this.current?.crash();
  }
}
