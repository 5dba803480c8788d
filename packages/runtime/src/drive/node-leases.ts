/**
 * Holding where leases decide. A process has one lease that it renews, its node's; those of its sessions live by that one.
 *  N1 Whatever it believes to hold, it believes by its own monotonic clock, from before the renewal was sent, less a
 *     margin: it stops dispatching before anybody else can begin.
 *  N2 A node that lost its lease comes back under another name: what it held is lost for it, and held under a new epoch.
 *  N3 What it knows of others is a cache: a wrong fence is refused by the store, and asked for anew.
 */
import type { Holding } from './holding.ts';
import { sha256 } from '../log/digest.ts';
import { LIMITS } from '../limits.ts';
import { StorageUnavailable } from '../log/storage.ts';
import type { Fence, LeaseStore, Logger, System, Timer } from '../ports.ts';
import { sessionLease } from '../ports.ts';

export type LeasedOptions = {
  leases: LeaseStore;
  system: System;
  logger: Logger;
  newId: () => string;
  /** The agents whose sessions it works on; missing: all. False: it steps, and dispatches nothing. */
  work: false | { agents?: readonly string[] };
  /** Where others reach this process. */
  address?: string;
  /** How long a node's lease lives without being renewed. */
  leaseMs?: number;
  /** How often a node looks which others there are, at most. */
  nodesMs?: number;
};

/** Names of live nodes begin so; those that work on some agents only say which behind a colon. */
export const NODES = 'node/';
/** Processes that dispatch nothing, and hear what the nodes commit. */
export const GATEWAYS = 'gateway/';

/** The agents that the node of this name works on; null: all. */
export const agentsOf = (name: string): string[] | null => (name.includes(':') ? groupOf(name).split(',') : null);

export function leasedHolding(options: LeasedOptions): Holding {
  return new NodeLeases(options);
}

type Node = { name: string; epoch: number; until: number };

class NodeLeases implements Holding {
  readonly isShared = true;
  readonly #options: LeasedOptions;
  readonly #agents: ReadonlySet<string> | null;
  readonly #leaseMs: number;
  readonly #tickMs: number;
  readonly #held = new Map<string, Fence>();
  /** Who else may dispatch, as the store said last. */
  readonly #others = new Map<string, Fence>();
  /** Claims and releases of one session follow each other. */
  readonly #busy = new Map<string, Promise<unknown>>();
  #node: Node | null = null;
  #nodes: ReadonlySet<string> = new Set();
  #phase: 'new' | 'running' | 'stopped' = 'new';
  #changed: () => void = () => {};
  /** A session was left to whoever is known to have it, by a cache that may be wrong. */
  #isUnsure = false;
  #timer: Timer | null = null;
  #renewedAt = 0;
  #joining = false;
  #listing = false;

  constructor(options: LeasedOptions) {
    const { work, leaseMs = LIMITS.leaseMs, nodesMs = LIMITS.nodesMs } = options;
    this.#options = options;
    this.#agents = work === false ? new Set() : work.agents === undefined ? null : new Set(work.agents);
    this.#leaseMs = leaseMs;
    this.#tickMs = Math.min(nodesMs, leaseMs / RENEWALS);
  }

  fence(session: string, bornFor: string | null): Fence | Promise<Fence> {
    const node = this.#live();
    const held = node === null ? undefined : this.#held.get(session);
    if (held !== undefined) return held;
    if (bornFor !== null) return { holder: node !== null && this.serves(bornFor) ? node.name : '', epoch: 1 };
    return this.#others.get(session) ?? this.#ask(session);
  }

  async #ask(session: string): Promise<Fence> {
    const fence = await this.#options.leases.offer(sessionLease(session));
    this.#remember(session, fence);
    return fence;
  }

  #remember(session: string, fence: Fence): void {
    this.#others.delete(session);
    this.#others.set(session, fence);
    if (this.#others.size <= LIMITS.knownFences) return;
    const [oldest = ''] = this.#others.keys();
    this.#others.delete(oldest);
  }

  born(session: string, fence: Fence): void {
    if (fence.holder !== '' && fence.holder === this.#node?.name) this.#held.set(session, fence);
    else this.#remember(session, fence);
  }

  refused(session: string): boolean {
    this.#held.delete(session);
    this.#others.delete(session);
    return true;
  }

  held(session: string): number | null {
    return this.#live() === null ? null : (this.#held.get(session)?.epoch ?? null);
  }

  /** The node, while its lease is certain to live (N1). */
  #live(): Node | null {
    const node = this.#node;
    return node !== null && this.#options.system.clock.monotonicMs() < node.until ? node : null;
  }

  hold(session: string): number | null | Promise<number | null> {
    if (this.#options.work === false || this.#phase !== 'running') return null;
    const held = this.held(session);
    if (held !== null) return held;
    const known = this.#others.get(session);
    if (known !== undefined && this.#nodes.has(known.holder) && known.holder !== this.#node?.name) {
      this.#isUnsure = true;
      return null;
    }
    return this.#alone(session, async () => this.#claim(session));
  }

  async #claim(session: string): Promise<number | null> {
    if (this.#phase !== 'running') return null;
    const node = this.#live();
    if (node === null)
      throw new StorageUnavailable('unavailable', 'this process cannot tell whether it still has its lease');
    const held = this.held(session);
    if (held !== null) return held;
    const claim = await this.#options.leases.claim(sessionLease(session), node.name, null);
    if (this.#node?.name !== node.name) return null;
    if (claim.ok) {
      this.#others.delete(session);
      this.#held.set(session, { holder: node.name, epoch: claim.epoch });
    } else if (claim.holder !== '') {
      await this.#ask(session);
    }
    return this.held(session);
  }

  async #alone<T>(session: string, work: () => Promise<T>): Promise<T> {
    const before = this.#busy.get(session) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.#busy.set(session, mine);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(session) === mine) this.#busy.delete(session);
    }
  }

  filter(free: boolean): { holder: string; agents?: readonly string[] } {
    const holder = free ? '' : (this.#node?.name ?? '');
    return this.#agents === null ? { holder } : { holder, agents: [...this.#agents] };
  }

  serves(agent: string): boolean {
    return this.#agents === null || this.#agents.has(agent);
  }

  isAlone(): boolean {
    const mine = this.#node?.name;
    for (const name of this.#nodes) if (name !== mine) return false;
    return true;
  }

  /** Rendezvous among the nodes that work on the same agents: each session has one that is first, whoever comes and goes. */
  prefers(session: string): boolean {
    const mine = this.#node?.name;
    if (mine === undefined || this.#options.work === false) return false;
    const weight = weightOf(mine, session);
    for (const name of this.#nodes)
      if (name !== mine && groupOf(name) === groupOf(mine) && weightOf(name, session) > weight) return false;
    return true;
  }

  async release(session: string, unused: boolean): Promise<void> {
    const { leases, logger } = this.#options;
    await this.#alone(session, async () => {
      const fence = this.#held.get(session);
      if (fence === undefined) return;
      this.#held.delete(session);
      try {
        if (unused) this.#remember(session, await leases.offer(sessionLease(session), fence));
        else await leases.release(sessionLease(session), fence.holder, fence.epoch);
      } catch (error) {
        if (fence.holder === this.#node?.name) this.#held.set(session, fence);
        logger.warn({ session, error: String(error) }, 'a session could not be let go');
      }
    });
  }

  async start(changed: () => void): Promise<void> {
    if (this.#phase !== 'new') return;
    this.#changed = changed;
    this.#phase = 'running';
    await this.#join();
    await this.#look();
    this.#arm();
  }

  async stop(): Promise<void> {
    if (this.#phase === 'stopped') return;
    this.#phase = 'stopped';
    this.#timer?.cancel();
    const node = this.#node;
    this.#node = null;
    this.#held.clear();
    try {
      if (node !== null) await this.#options.leases.release(node.name, node.name, node.epoch);
    } catch (error) {
      this.#options.logger.warn(
        { error: String(error) },
        'the lease of this process could not be given back: it runs out',
      );
    }
  }

  #arm(): void {
    if (this.#phase !== 'running') return;
    this.#timer = this.#options.system.timers.set(this.#tickMs, () => this.#tick());
  }

  /** Never waits for the store: what hangs there must not keep the next try from being made. */
  #tick(): void {
    this.#arm();
    const now = this.#options.system.clock.monotonicMs();
    if (this.#node === null) void this.#again(async () => this.#join());
    else if (now - this.#renewedAt >= this.#leaseMs / RENEWALS) void this.#again(async () => this.#renew());
    if (!this.#listing) void this.#again(async () => this.#look());
    if (!this.#isUnsure) return;
    this.#isUnsure = false;
    this.#changed();
  }

  async #again(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#options.logger.warn({ error: String(error) }, 'the leases could not be reached');
    }
  }

  /** Under a name that was never used: whatever an earlier one held is not this one's (N2). */
  async #join(): Promise<void> {
    if (this.#joining) return;
    this.#joining = true;
    try {
      const { leases, system, newId, work, address } = this.#options;
      const group = work !== false && work.agents !== undefined ? `:${[...work.agents].toSorted().join(',')}` : '';
      const name = `${work === false ? GATEWAYS : NODES}${newId()}${group}`;
      const since = system.clock.monotonicMs();
      const claim = await leases.claim(name, name, this.#leaseMs, address);
      if (!claim.ok || this.#phase !== 'running') return;
      this.#renewedAt = since;
      this.#node = { name, epoch: claim.epoch, until: since + this.#leaseMs * CERTAIN };
    } finally {
      this.#joining = false;
    }
  }

  async #renew(): Promise<void> {
    const node = this.#node;
    if (node === null) return;
    const { leases, system, logger } = this.#options;
    const since = system.clock.monotonicMs();
    this.#renewedAt = since;
    const wasLive = this.#live() !== null;
    let isKept: boolean;
    try {
      isKept = await leases.renew(node.name, node.name, node.epoch, this.#leaseMs);
    } catch (error) {
      // The next tick tries again.
      if (this.#renewedAt === since) this.#renewedAt = Number.NEGATIVE_INFINITY;
      throw error;
    }
    if (this.#node !== node || this.#phase !== 'running') return;
    if (isKept) {
      node.until = Math.max(node.until, since + this.#leaseMs * CERTAIN);
      if (!wasLive) this.#changed();
      return;
    }
    logger.warn({ node: node.name }, 'the lease of this process ran out: it goes on under another name');
    this.#node = null;
    this.#held.clear();
    this.#others.clear();
    await this.#join();
    this.#changed();
  }

  /** Which nodes live. Where one is gone, what it held is free. */
  async #look(): Promise<void> {
    this.#listing = true;
    try {
      const nodes = new Set((await this.#options.leases.list(NODES)).map(({ name }) => name));
      const gone = [...this.#nodes].filter((name) => !nodes.has(name));
      this.#nodes = nodes;
      if (gone.length === 0) return;
      for (const [session, { holder }] of this.#others) if (gone.includes(holder)) this.#others.delete(session);
      this.#changed();
    } finally {
      this.#listing = false;
    }
  }
}

/** How often a lease is renewed while it lives. */
const RENEWALS = 3;
/** The part of a lease's time in which its holder is certain of it: clocks do not run equally fast. */
const CERTAIN = 0.9;

const groupOf = (name: string): string => name.slice(name.indexOf(':') + 1 || name.length);
const weightOf = (name: string, session: string): string => sha256(`${name}\n${session}`);
