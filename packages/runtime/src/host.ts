/**
 * The runtime of one tenant's agents: what a gateway and the library call. It composes step, perform, driver and
 * streams, and turns every refusal into an `ApiError`.
 */
import type { MethodName, Params, ProviderView, Result } from '@perdure/contract';
import type { AgentDefaults, AgentDefinition } from './definitions/agents.ts';
import { Agents } from './definitions/agents.ts';
import type { Api, Caller } from './api.ts';
import { createBudgets } from './budgets/create.ts';
import type { PeriodCaps } from './budgets/periods.ts';
import { createBodies } from './effects/bodies.ts';
import { Breaker } from './effects/breaker.ts';
import { base32, sessionId } from './log/digest.ts';
import type { Courier, Driver, LocalOptions } from './drive/driver.ts';
import { isQuarantined } from './drive/driver.ts';
import { feed } from './streams/feed.ts';
import { guarded, guardedStream, refused } from './guard.ts';
import { hear, holdingOf } from './drive/sharing.ts';
import { createHomecoming } from './drive/homecoming.ts';
import type { Hook } from './effects/hooks.ts';
import { createJobs } from './jobs/create.ts';
import { LIMITS } from './limits.ts';
import type { Holding } from './drive/holding.ts';
import { createLocalDriver } from './drive/local.ts';
import type { Marks } from './log/marks.ts';
import { noMarks } from './log/marks.ts';
import { createTrial } from './drive/trial.ts';
import { createMethods } from './methods/index.ts';
import { createPerform } from './effects/perform.ts';
import type { Logger, ModelSource, Sandbox, Store, System } from './ports.ts';
import { Quarantine } from './drive/quarantine.ts';
import type { Parts } from './parts.ts';
import { PolicyDocuments } from './policy/documents.ts';
import { withCleanNames } from './secrets/names.ts';
import { createReads, notFound } from './methods/views.ts';
import { actorOf } from './methods/shared.ts';
import { exportLines } from './transfer/export.ts';
import { importSession } from './transfer/import.ts';
import { ownSecret } from './secrets/own.ts';
import { noKeys } from './secrets/keys.ts';
import type { Redactor } from './secrets/redact.ts';
import type { Vault } from './secrets/vault.ts';
import { openVault } from './secrets/vault.ts';
import { Sessions } from './log/sessions.ts';
import { tellingSpace } from './log/space.ts';
import { createStep } from './log/step.ts';
import { tellRuns } from './log/telling.ts';
import { liveOf } from './streams/live.ts';
import type { Reach } from './streams/relay.ts';
import { eventsOf } from './streams/events.ts';
import { Streams } from './streams/stream.ts';
import { createHistory } from './texts/labels.ts';
import { createSearch } from './texts/search.ts';
import { noSandbox } from './effects/sandbox.ts';
import { createResults } from './effects/results.ts';
import { createToolbus } from './effects/toolbus.ts';
import { createWatches } from './streams/watch.ts';
import { Workspaces } from './workspaces/workspaces.ts';
import { upkeep } from './drive/upkeep.ts';

export type HostOptions = {
  store: Store;
  agents: readonly AgentDefinition[];
  models: ModelSource;
  system: System;
  logger: Logger;
  redactor: Redactor;
  /** Hash of the engine's sources: snapshots of another are not believed, quarantines of another are lifted. */
  engineHash: string;
  /** Secrets at rest (`openVault`), with this host's redactor; default: there is nothing to seal them with. */
  vault?: Vault;
  /** How this process comes to the keys of providers, for people. */
  providers?: () => readonly ProviderView[];
  hooks?: readonly Hook[];
  defaults?: AgentDefaults;
  /** What all sessions of the tenant may spend together in a period; a document goes before it. */
  budgets?: PeriodCaps;
  /** Where tools run commands; default: nowhere. Closed by whoever made it. */
  sandbox?: Sandbox;
  tenant?: string;
  /** Effects under way at once. */
  effects?: number;
  sweepMs?: number;
  /** Finds a session that kills its process (see marks.ts). Closed by whoever made it. */
  marks?: Marks;
  /**
   * What this process works on, of a store that processes share: the sessions of some agents, or none (a gateway: it
   * takes requests, and others do the work). Missing: all sessions. Refused where one process owns the data.
   */
  work?: false | { agents?: readonly string[] };
  /** Where other processes reach this one. */
  address?: string;
  /**
   * How this one reaches others, to hear what models say there; `token` is what their listeners ask for. Without it only
   * what is said in this process is streamed live.
   */
  reach?: (token: string) => Reach;
  /** How long this process is taken for alive when nothing is heard of it, of a shared store (default 10 s). */
  leaseMs?: number;
  /** Who delivers inputs and effects; default: the local driver. */
  driver?: (options: LocalOptions) => Driver;
};

export type Host = Api & {
  readonly parts: Parts;
  start(): Promise<void>;
  /** Drains: no admission, streams end with a hint, what is unsafe gets `drainMs`. Does not close the store. */
  stop(options?: { drainMs?: number }): Promise<void>;
};

/** Builds a host; nothing runs before `start`. */
export async function createHost(options: HostOptions): Promise<Host> {
  const stopping = new AbortController();
  const parts = await compose(options, stopping.signal);
  const methods = createMethods(parts);
  const homecoming = createHomecoming(parts);
  let stopped: Promise<void> | null = null;
  const drain = async (options: { drainMs?: number } | undefined): Promise<void> => {
    for (const each of [homecoming, parts.trial, parts.parked, parts.budgets]) each.stop();
    stopping.abort();
    parts.relay?.stop();
    parts.streams.end({ type: 'end', reason: 'drain', retryMs: LIMITS.retryMs });
    // First, while a log can still be told what they have changed; then what was started meanwhile.
    await parts.jobs.close();
    await parts.driver.stop(options);
    await parts.jobs.close();
    await parts.holding.stop();
    await parts.sessions.settleAll();
  };
  return {
    parts,
    async start() {
      await parts.quarantine.load();
      await hear(parts, stopping.signal);
      for (const { text } of parts.agents.list()) await parts.store.blobs.put(Buffer.from(text));
      for (const each of [parts.budgets, parts.trial, parts.driver, homecoming, parts.jobs, parts.parked])
        await each.start();
    },
    stop: async (options) => (stopped ??= drain(options)),
    async call(caller, method, params) {
      checkTenant(parts, caller);
      return guarded(parts, caller, async () => dispatch(parts, methods, caller, method, params));
    },
    events(caller, session, streaming) {
      checkTenant(parts, caller);
      return guardedStream(parts, caller, eventsOf(parts, session, streaming));
    },
    feed(caller, feeding) {
      checkTenant(parts, caller);
      return guardedStream(parts, caller, feed(parts.store.log, feeding, parts.stopping));
    },
    async putBlob(caller, bytes) {
      checkTenant(parts, caller);
      return guarded(parts, caller, async () => parts.store.blobs.put(bytes));
    },
    async getBlob(caller, digest) {
      checkTenant(parts, caller);
      return guarded(parts, caller, async () => parts.store.blobs.get(digest));
    },
    async exportSession(caller, session) {
      checkTenant(parts, caller);
      const { store, tenant } = parts;
      const row = await guarded(parts, caller, async () => store.log.get(session));
      if (row === null) throw notFound(`session ${session}`);
      const from = { log: store.log, blobs: store.blobs, tenant, now: parts.system.clock.now() };
      return guardedStream(parts, caller, exportLines(from, row));
    },
    async importSession(caller, open) {
      checkTenant(parts, caller);
      return guarded(parts, caller, async () => {
        const { session, seq } = await importSession(parts, actorOf(caller), open);
        return { session: await parts.reads.session(session), seq };
      });
    },
    ready() {
      const reason = stopped === null ? troubleOf(options.store) : 'shutting down';
      return reason === null ? { ready: true } : { ready: false, reason };
    },
  };
}

/** Where a store is that does not answer, whoever asks for this need not be told. */
function troubleOf(store: Store): string | null {
  const isAway = (store.away?.() ?? null) !== null;
  return store.unavailable() ?? (isAway ? 'the storage does not answer' : null);
}

async function compose(options: HostOptions, stopping: AbortSignal): Promise<Parts> {
  const { system, logger, models, engineHash, marks = noMarks, sandbox = noSandbox } = options;
  const tenant = options.tenant ?? 'default';
  const store = options.store.tenant(tenant);
  const secrets = await secretsOf(options, tenant);
  const agents = new Agents(options.agents, models, options.defaults, (text) => options.redactor.text(text));
  const live = await liveOf(options, store, (told) => streams.told(told));
  const streams: Streams = new Streams(live.relay);
  const sessions = new Sessions({
    store,
    clock: system.clock,
    engineHash,
    logger,
    marks,
    isShared: options.store.shared,
    loaded: (session, head) => streams.moved(session, head),
  });
  const newId = (): string => base32(system.random.bytes(16));
  const holding = holdingOf(options, store, newId);
  const watches = createWatches(store.log);
  const quarantine = new Quarantine(store.docs, engineHash, (session) => watches.stir(session));
  const callbackSecret = await ownSecret(store, system, 'callback');
  const search = createSearch({ store, timers: system.timers, logger, stopping });
  const submit: Parts['submit'] = async (session, input) => {
    if (quarantine.has(session)) throw isQuarantined(session);
    const result = await driver.submit(session, input);
    if (!result.ok) throw refused(result.rejection);
    return result;
  };
  const workspaces = new Workspaces({ ...store, clock: system.clock });
  const jobs = createJobs(options, { ...secrets, sandbox, store, workspaces, tenant, newId, submit });
  const core = {
    ...secrets,
    policies: new PolicyDocuments(store.docs, options.store.shared, system.clock),
    store,
    agents,
    sessions,
    streams,
    quarantine,
    callbackSecret,
    search,
    holding,
    sandbox,
    jobs,
    workspaces,
    ...createBudgets(options, { store, sessions, holding, newId, submit }),
  };
  // Another process tried a session again that this one has parked.
  const courier = courierOf(options, core, (session) => driver.readmit(session));
  const driver: Driver = driverOf(options, courier, holding);
  const reads = createReads({ ...core, models, quarantined: (id) => quarantine.has(id) });
  return {
    ...core,
    tenant,
    ...live,
    models,
    reads,
    watches,
    driver,
    system,
    logger,
    step: courier.step,
    reading: { log: store.log, alone: (session, work) => sessions.alone(session, work) },
    submit,
    trial: createTrial({ marks, courier, holding, quarantine, system, logger, passed: () => driver.hint(null) }),
    stopping,
    newId,
    newSession: () => sessionId(system.random, system.clock.now()),
  };
}

async function secretsOf(
  options: HostOptions,
  tenant: string,
): Promise<Pick<Parts, 'vault' | 'redactor' | 'providers' | 'newBodies'>> {
  const { redactor, providers = () => [] } = options;
  const keys = noKeys('this host was given no keys to seal secrets with');
  const newBodies: Parts['newBodies'] = () => createBodies({ random: options.system.random, redactor });
  return { vault: options.vault ?? (await openVault({ ...options, tenant, keys })), redactor, providers, newBodies };
}

function driverOf(options: HostOptions, courier: Courier, holding: Holding): Driver {
  const { system, logger, agents, effects, sweepMs } = options;
  return (options.driver ?? createLocalDriver)({
    courier,
    system,
    logger,
    holding,
    agents: agents.map(({ name }) => name).filter((name) => holding.serves(name)),
    ...(effects === undefined ? {} : { effects }),
    ...(sweepMs === undefined ? {} : { sweepMs }),
  });
}

type Core = Pick<
  Parts,
  | 'vault'
  | 'policies'
  | 'store'
  | 'agents'
  | 'sessions'
  | 'streams'
  | 'quarantine'
  | 'callbackSecret'
  | 'search'
  | 'holding'
  | 'sandbox'
  | 'jobs'
  | 'workspaces'
  | 'budgets'
  | 'parked'
>;

/** Step and perform, as the driver is given them. */
function courierOf(options: HostOptions, core: Core, lifted: (session: string) => void): Courier {
  const { system, logger, redactor, models } = options;
  const { store, agents, sessions, streams, callbackSecret, search, holding, sandbox, jobs, workspaces } = core;
  const { budgets, parked, vault } = core;
  const hooks = options.hooks ?? [];
  const { clock, timers, random } = system;
  const breaker = new Breaker(clock, logger);
  const stepping = createStep({
    store,
    sessions,
    agents,
    breaker,
    clock,
    budgets,
    holding,
    space: tellingSpace(logger),
    workspaces,
    redact: (text) => redactor.text(text),
    committed: (session, entries, hash, bodies) => {
      streams.committed(session, entries, hash, bodies);
      parked.committed(session, entries);
      tellRuns(logger, session, entries);
    },
  });
  const step = withCleanNames(stepping, redactor);
  const toolbus = createToolbus({
    store,
    clock,
    timers,
    logger,
    redactor,
    hooks,
    callbackSecret,
    history: createHistory({ search, sessions, log: store.log, quarantine: core.quarantine }),
    sandbox,
    jobs,
    workspaces,
    results: createResults(sessions),
    progress: (session, run, call, text) => logger.debug({ session, run, call, progress: text }, 'progress'),
  });
  const perform = createPerform({
    policies: core.policies,
    store,
    sessions,
    agents,
    models,
    toolbus,
    breaker,
    clock,
    timers,
    random,
    logger,
    redactor,
    hooks,
    held: (session) => holding.held(session),
    known: () => vault.fresh(),
    record: async (session, input) => {
      await step(session, input);
    },
    delta: (session, effect, delta) => streams.delta(session, effect, delta),
  });
  return { step, perform, ...upkeep(options, core, lifted) };
}

type Methods = ReturnType<typeof createMethods>;
async function dispatch<K extends MethodName>(
  parts: Parts,
  methods: Methods,
  caller: Caller,
  method: K,
  params: Params<K>,
): Promise<{ status: number; result: Result<K> }> {
  // What is asked with may hold what another process has set meanwhile.
  await parts.vault.fresh();
  return methods[method](caller, params);
}

function checkTenant(parts: Parts, caller: Caller): void {
  if (caller.tenant !== parts.tenant) throw notFound('such thing');
}
