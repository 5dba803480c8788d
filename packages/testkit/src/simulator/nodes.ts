/**
 * Many processes on one store: some work, some only take requests. Each can die, stand still past its lease and go on, be
 * cut off from the store, be deaf to what the others commit; its clock is its own, and leases go by the store's.
 */
import type { Outside } from './outside.ts';
import type { NodesPlan } from './plan.ts';
import type { World } from './process.ts';
import { Process } from './process.ts';
import type { Sim } from './sim.ts';
import { Shelf } from './snapshots.ts';
import { TOOLS } from './tools.ts';

const RESTART_MAX_MS = 4_000;
/** How far a node's wall clock is off, and how much faster or slower than the store's its monotonic one runs. */
const SKEW_MAX_MS = 20 * 60_000;
const DRIFT = 0.05;

type Place = { kind: 'worker' | 'gateway'; process: Process | null; incomplete: boolean };

export class Nodes {
  readonly #sim: Sim;
  readonly #world: World;
  readonly #plan: NodesPlan;
  readonly #places: Place[];
  #count = 0;
  #isOver = false;

  constructor(sim: Sim, outside: Outside, plan: NodesPlan) {
    this.#sim = sim;
    this.#world = { outside, shelf: new Shelf(sim) };
    this.#plan = plan;
    const of = (kind: Place['kind'], count: number): Place[] =>
      Array.from({ length: count }, () => ({ kind, process: null, incomplete: false }));
    this.#places = [...of('worker', plan.workers), ...of('gateway', plan.gateways)];
  }

  boot(): void {
    for (const place of this.#places) this.#start(place);
  }

  #start(place: Place): void {
    if (place.process !== null || this.#isOver) return;
    const { random, disk, storeClock } = this.#sim;
    this.#count += 1;
    const store = disk.share(storeClock);
    const isOff = this.#sim.fault('clockSkew');
    const process = new Process(this.#sim, `n${this.#count}`, store, this.#world, () => this.#down(place, process), {
      work: place.kind === 'worker' ? {} : false,
      leaseMs: this.#plan.leaseMs,
      skewMs: isOff ? random.between(-SKEW_MAX_MS, SKEW_MAX_MS) : 0,
      rate: isOff ? 1 + (random.next() * 2 - 1) * DRIFT : 1,
    });
    place.process = process;
    const without = place.kind === 'worker' && this.#sim.fault('toolGone') ? random.pick(TOOLS).name : null;
    place.incomplete = without !== null;
    this.#sim.spawn(this.#boot(process, without));
  }

  /** A node that cannot start ends, and is started again. */
  async #boot(process: Process, without: string | null): Promise<void> {
    try {
      await process.boot({ drives: true, without });
    } catch (error) {
      const isTrouble =
        error instanceof Error && 'code' in error && (error.code === 'unavailable' || error.code === 'full');
      if (!isTrouble && !process.stopped) throw error;
      process.crash();
    }
  }

  #down(place: Place, process: Process): void {
    // Nobody hears for it any more.
    void process.store.close();
    place.process = null;
    const delayMs = this.#sim.random.chance(0.5) ? 0 : this.#sim.random.between(0, RESTART_MAX_MS);
    this.#sim.scheduler.add('init', 'restart', delayMs, () => this.#start(place));
  }

  #alive(isReady = false): Process[] {
    return this.#places.flatMap(({ process }) => (process === null || (isReady && !process.ready) ? [] : [process]));
  }

  #any(list: readonly Process[]): Process | null {
    return list.length === 0 ? null : this.#sim.random.pick(list);
  }

  victim(): Process | null {
    return this.#any(this.#alive());
  }

  has(process: Process): boolean {
    return this.#places.some((place) => place.process === process);
  }

  front(): Process | null {
    return this.#any(this.#alive(true));
  }

  ready(): Process | null {
    return this.#alive(true)[0] ?? null;
  }

  /** SIGTERM. */
  drain(): void {
    const process = this.#any(this.#alive(true));
    if (process?.host === null || process === null) return;
    const { host } = process;
    process.ready = false;
    this.#sim.spawn(
      (async (): Promise<void> => {
        await host.stop({ drainMs: 5_000 });
        process.crash();
      })(),
    );
  }

  /** What only befalls nodes. */
  storm(): void {
    const { scheduler, random } = this.#sim;
    const { leaseMs } = this.#plan;
    // SIGSTOP, and SIGCONT when others have long gone on with its sessions.
    if (this.#sim.fault('frozenEachSecond'))
      scheduler.pause(this.victim()?.name ?? '', random.between(leaseMs / 2, 3 * leaseMs));
    if (!this.#sim.fault('partitionEachSecond')) return;
    const process = this.victim();
    if (process === null) return;
    process.cutOff = true;
    scheduler.add('storm', `${process.name} reaches the store again`, random.between(100, 2 * leaseMs), () => {
      process.cutOff = false;
    });
  }

  // A process that was taken for dead, and another writer: with nodes that is every day.
  takeOver(): void {}
  addSecond(): void {}

  /** What it has open of the store fails for good, and whoever looks after the process starts it again. */
  stopStore(): void {
    const process = this.victim();
    if (process === null) return;
    process.stopped = true;
    this.#sim.scheduler.add('init', `end of ${process.name}`, this.#sim.random.between(0, RESTART_MAX_MS), () =>
      process.crash(),
    );
  }

  /** Faults are over: all nodes are there, with all their tools. */
  heal(): void {
    for (const place of this.#places) {
      const { process } = place;
      if (process === null) continue;
      process.cutOff = false;
      this.#sim.scheduler.pause(process.name, 0);
      if (place.incomplete || process.stopped) process.crash();
    }
  }

  end(): void {
    this.#isOver = true;
    for (const process of this.#alive()) process.crash();
  }
}
