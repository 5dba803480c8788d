/** One process of a trial: a real host on the data, that may die at any append or after any tool call. */
import type { AgentDefinition, Host } from '@perdure/runtime';
import { createHost, Redactor, silentLogger } from '@perdure/runtime';
import type {
  Append,
  AppendResult,
  ModelSource,
  Store,
  System,
  TenantStore,
  ToolDefinition,
} from '@perdure/runtime/ports';

export type Life = {
  alive: boolean;
  /** Resolves when it dies. */
  readonly died: Promise<void>;
  die(): void;
};

export function createLife(): Life {
  const { promise, resolve } = Promise.withResolvers<void>();
  const life: Life = {
    alive: true,
    died: promise,
    die() {
      life.alive = false;
      resolve();
    },
  };
  return life;
}

const gone = new Promise<never>(() => {});

export type ProcessOptions = {
  life: Life;
  store: Store;
  agents: readonly AgentDefinition[];
  tools: (tools: readonly ToolDefinition[]) => ToolDefinition[];
  models: ModelSource;
  system: System;
  /** The next append of all: whether its process dies before or after it. */
  appends: (request: Append) => 'before' | 'after' | null;
  committed: (request: Append) => void;
};

export async function startProcess(options: ProcessOptions): Promise<Host> {
  const { life, agents, models, system } = options;
  const host = await createHost({
    store: mortal(options),
    agents: agents.map((agent) => ({ ...agent, tools: options.tools(agent.tools) })),
    models,
    system: {
      ...system,
      timers: { set: (afterMs, run) => system.timers.set(afterMs, () => void (life.alive && run())) },
    },
    logger: silentLogger,
    redactor: new Redactor(),
    engineHash: 'trial',
  });
  await host.start();
  return host;
}

/** The store as a process reaches it: a dead one gets no answer, whatever it asks. */
function mortal({ life, store, appends, committed }: ProcessOptions): Store {
  const append = async (log: TenantStore['log'], request: Append): Promise<AppendResult> => {
    const death = appends(request);
    if (death === 'before') life.die();
    if (!life.alive) return gone;
    const result = await log.append(request);
    if (result.ok) committed(request);
    if (result.ok && death === 'after') life.die();
    return life.alive ? result : gone;
  };
  const port = <T extends object>(inner: T): T =>
    new Proxy(inner, {
      get: (target, member) => {
        const method = (target as Record<string | symbol, unknown>)[member];
        if (typeof method !== 'function') return method;
        if (member === 'append') return async (request: Append) => append(target as TenantStore['log'], request);
        if (member === 'watch') return method.bind(target) as unknown;
        return async (...args: unknown[]) => {
          if (!life.alive) return gone;
          const result: unknown = await (method.apply(target, args) as Promise<unknown>);
          return life.alive ? result : gone;
        };
      },
    });
  return {
    epoch: store.epoch,
    name: 'trial',
    shared: store.shared,
    damage: [],
    unavailable: () => store.unavailable(),
    tenant(name) {
      const { log, snapshots, blobs, docs, leases } = store.tenant(name);
      return { log: port(log), snapshots: port(snapshots), blobs: port(blobs), docs: port(docs), leases: port(leases) };
    },
    tenants: async () => store.tenants(),
    close: async () => store.close(),
  };
}
