/** A process among others that share a store: where they reach it, what it works on, and how it hears them. */
import type { InternalListener } from '@perdure/gateway';
import type { AgentDefinition, Host, HostOptions } from '@perdure/runtime';
import { ConfigError, system } from '@perdure/runtime';
import type { Logger, Store } from '@perdure/runtime/ports';
import { z } from 'zod';
import { StoreNotSharedError } from './errors.ts';
import { LIMITS } from './limits.ts';

/** Of a store that processes share; refused where one process owns the data. */
export type Sharing = {
  /**
   * Where the other processes reach this one, beside what clients see: default 127.0.0.1 and a free port. On `0.0.0.0` the
   * others are told this machine's first address.
   */
  internalHost?: string;
  internalPort?: number;
  /** How long a process that is not heard of is taken for alive (default 10,000): what it held goes on elsewhere then. */
  leaseMs?: number;
};

export const sharingShape = {
  internalHost: z.string().min(1).optional(),
  internalPort: z.int().min(0).max(LIMITS.portMax).optional(),
  leaseMs: z.int().min(LIMITS.leaseMinMs).max(LIMITS.leaseMaxMs).optional(),
};

/** What of an agent's sessions is worked on here; undefined: all. */
export type Work = HostOptions['work'];

export type Joined = {
  options: Pick<HostOptions, 'work' | 'address' | 'reach' | 'leaseMs'>;
  /** Where the others reach this process; null: nobody else has the data. */
  address: string | null;
  /** From now on the others may listen. */
  open(host: Host): void;
  close(): Promise<void>;
};

/**
 * Makes a process reachable for the others that share its store; where nobody shares it, there is nothing to do. Throws
 * StoreNotSharedError for `work`, ConfigError for settings that mean nothing there, and ListenError.
 */
export async function joinOthers(store: Store, given: Sharing & { work: Work }, logger: Logger): Promise<Joined> {
  const { work, leaseMs, internalHost = '127.0.0.1', internalPort = 0 } = given;
  if (!store.shared) {
    checkAlone(store, given);
    return { options: {}, address: null, open: () => {}, close: async () => {} };
  }
  const { timers } = system;
  const { listenInternally, reachNodes } = await import('@perdure/gateway/nodes');
  const listener = await listenInternally({ host: internalHost, port: internalPort, timers, logger });
  return {
    options: {
      address: listener.address,
      reach: (token) => reachNodes({ token, timers, logger }),
      ...(work === undefined ? {} : { work }),
      ...(leaseMs === undefined ? {} : { leaseMs }),
    },
    address: listener.address,
    open: (host) => openTo(listener, host),
    close: async () => listener.close(),
  };
}

function checkAlone(store: Store, given: Sharing & { work: Work }): void {
  if (given.work !== undefined) throw new StoreNotSharedError(store.name);
  for (const name of Object.keys(sharingShape) as (keyof Sharing)[])
    if (given[name] !== undefined)
      throw new ConfigError('invalid_config', name, `means nothing where one process owns the data (${store.name})`);
}

function openTo(listener: InternalListener, host: Host): void {
  const { liveToken: token, streams } = host.parts;
  listener.serve({ token, overhear: (session, ear) => streams.overhear(session, ear), ready: () => host.ready() });
}

/** What a worker chose: names of agents, of queues, or neither. */
export type Choice = { agents: readonly string[] | null; queues: readonly string[] | null };

/**
 * The agents whose sessions a worker takes: those that are named, those of its queues, or what is in both; where neither
 * is named, those of the queue `default`. Throws an Error with what there is for a name that nothing has.
 */
export function chosen(agents: readonly AgentDefinition[], choice: Choice, usual: string): readonly string[] {
  const queues = choice.queues ?? (choice.agents === null ? [usual] : null);
  const known = [...new Set(agents.map(({ queue }) => queue))].toSorted();
  for (const queue of queues ?? [])
    if (!known.includes(queue)) throw new Error(`no agent is in queue ${queue}; there is: ${known.join(', ')}`);
  for (const name of choice.agents ?? [])
    if (!agents.some((agent) => agent.name === name))
      throw new Error(`no agent ${name} is defined; defined: ${agents.map((agent) => agent.name).join(', ')}`);
  const found = agents.filter(
    ({ name, queue }) => (choice.agents?.includes(name) ?? true) && (queues?.includes(queue) ?? true),
  );
  if (found.length === 0) throw new Error('none of these agents is in one of these queues');
  return found.map(({ name }) => name);
}
