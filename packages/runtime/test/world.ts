/** A host on a memory disk, with virtual time and a scripted model: all that a law of the runtime needs. */
import type { MethodName, Params, Result } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { MemoryDisk } from '@perdure/stores/memory';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import type {
  ScriptedCall,
  ScriptedModel,
  ScriptedOptions,
  ScriptedReply,
  ScriptStep,
  VirtualSystem,
} from '@perdure/testkit';
import { createScriptedModel, createVirtualSystem } from '@perdure/testkit';
import type { Freezer } from './freezer.ts';
import type { AgentOptions, Caller, Host, HostOptions, SecretKeys, StreamEvent } from '../src/index.ts';
import { agent, createHost, openVault, Redactor } from '../src/index.ts';
import { silentLogger } from '../src/logger.ts';
import type { Append, AppendResult, LogStore, Store, ToolDefinition } from '../src/ports.ts';

export type Line = { level: string; message: string; fields: { [key: string]: unknown } };

export type WorldOptions = {
  script?: readonly ScriptStep[] | ((call: ScriptedCall) => ScriptedReply | Promise<ScriptedReply>);
  model?: ScriptedModel;
  scripted?: ScriptedOptions;
  tools?: readonly ToolDefinition[];
  agent?: Partial<AgentOptions>;
  secrets?: Record<string, string>;
  /** Seal secrets that are set. */
  keys?: SecretKeys;
  host?: Partial<HostOptions>;
  disk?: MemoryDisk;
  /** A second host in the same process, on the same store. */
  beside?: World;
  system?: VirtualSystem;
  /** Its store is one that processes share. */
  shared?: boolean;
  /** Stops this process and lets it go on. */
  freezer?: Freezer;
  /** Not started yet. */
  idle?: boolean;
};

/** What the store is made to do: the next appends answer as it says, or not at all. */
export type Weather = {
  /** Answers instead of the store; undefined lets the append through. */
  append: ((request: Append) => AppendResult | Promise<AppendResult | undefined> | undefined) | null;
  /** Called after the store has taken it, before the answer. */
  appended: ((request: Append, result: AppendResult) => AppendResult | Promise<AppendResult>) | null;
  reads: (() => void) | null;
};

export class World {
  readonly system: VirtualSystem;
  readonly disk: MemoryDisk;
  readonly model: ScriptedModel;
  readonly store: Store;
  readonly weather: Weather = { append: null, appended: null, reads: null };
  readonly appends: Append[] = [];
  readonly lines: Line[] = [];
  readonly redactor: Redactor;
  readonly #options: WorldOptions;
  host: Host;

  private constructor(options: WorldOptions) {
    this.#options = options;
    this.system = options.beside?.system ?? options.system ?? createVirtualSystem();
    this.disk = options.disk ?? createMemoryDisk();
    this.model = options.model ?? createScriptedModel(options.script ?? [], options.scripted ?? {});
    this.redactor = new Redactor(options.secrets ?? {});
    const { clock } = this.system;
    this.store =
      options.beside?.store ??
      this.#watched(openMemoryStore({ clock, disk: this.disk, shared: options.shared ?? false }));
    this.host = undefined as unknown as Host;
  }

  static async create(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    const log =
      (level: string) =>
      (fields: { [key: string]: unknown }, message: string): void =>
        void world.lines.push({ level, message, fields });
    world.host = await createHost({
      store: options.freezer?.store(world.store) ?? world.store,
      agents: [agent({ name: 'assistant', model: 'scripted', tools: options.tools ?? [], ...options.agent })],
      models: world.model.source,
      system: options.freezer?.system(world.system) ?? world.system,
      logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
      redactor: world.redactor,
      ...(await world.#vault(options.keys)),
      engineHash: 'test',
      ...options.host,
    });
    if (options.idle !== true) await world.host.start();
    return world;
  }

  async #vault(keys: SecretKeys | undefined): Promise<Pick<HostOptions, 'vault'>> {
    if (keys === undefined) return {};
    const { store, redactor, system } = this;
    return { vault: await openVault({ store, tenant: 'default', keys, redactor, system, logger: silentLogger }) };
  }

  /** Another process on the same data: this one is gone without a word. */
  async crash(options: WorldOptions = {}): Promise<World> {
    const { model, disk, system } = this;
    return World.create({ ...this.#options, model, disk, system, ...options });
  }

  get log(): LogStore {
    return this.host.parts.store.log;
  }

  caller(requestId = 'q'): Caller {
    return { tenant: 'default', actor: { kind: 'user', id: 'u' }, requestId };
  }

  async call<K extends MethodName>(method: K, params: Params<K>): Promise<Result<K>> {
    return (await this.host.call(this.caller(), method, params)).result;
  }

  async status<K extends MethodName>(method: K, params: Params<K>): Promise<number> {
    return (await this.host.call(this.caller(), method, params)).status;
  }

  /** The code a call is refused with. */
  async refused<K extends MethodName>(method: K, params: Params<K>): Promise<ApiError> {
    try {
      await this.host.call(this.caller(), method, params);
    } catch (error) {
      if (error instanceof ApiError) return error;
      throw error;
    }
    throw new Error(`${method} was not refused`);
  }

  async code<K extends MethodName>(method: K, params: Params<K>): Promise<string> {
    return (await this.refused(method, params)).code;
  }

  /** Opens a session with a message; its ids. */
  async open(
    input = 'go',
    more: Partial<Params<'sessions.create'>> = {},
  ): Promise<{ session: string; run: `r${number}` }> {
    const { session, run } = await this.call('sessions.create', { input, ...more });
    return { session: session.id, run: (run?.id ?? '') as `r${number}` };
  }

  /** Lets everything run that waits for no time, then looks at the run. */
  async run(session: string, run: string): Promise<Result<'runs.get'>> {
    await this.system.settle();
    return this.call('runs.get', { session, run: run as `r${number}` });
  }

  async kinds(session: string): Promise<string[]> {
    const { events } = await this.call('events.list', { session, after: 0, limit: 1_000, waitMs: 0 });
    return events.map(({ kind }) => kind);
  }

  /** A reader that keeps what it was given. */
  follow(
    session: string,
    options: { after?: number; deltas?: boolean } = {},
  ): { seen: StreamEvent[]; stop(): void; done: Promise<void> } {
    const controller = new AbortController();
    const seen: StreamEvent[] = [];
    const { after = 0, deltas = true } = options;
    const read = async (): Promise<void> => {
      const stream = this.host.events(this.caller(), session, { after, deltas, signal: controller.signal });
      for await (const event of stream) seen.push(event);
    };
    return { seen, stop: () => controller.abort(), done: read() };
  }

  #watched(store: Store): Store {
    const { weather, appends } = this;
    const tenant = store.tenant('default');
    const commit = async (request: Append, write: () => Promise<AppendResult>): Promise<AppendResult> => {
      const instead = await weather.append?.(request);
      if (instead !== undefined) return instead;
      const result = await write();
      if (result.ok) appends.push(request);
      return weather.appended === null ? result : weather.appended(request, result);
    };
    const append: LogStore['append'] = async (request) => commit(request, async () => tenant.log.append(request));
    const fork: LogStore['fork'] = async (origin, request) =>
      commit(request, async () => tenant.log.fork(origin, request));
    const read: LogStore['read'] = async (session, options) => {
      weather.reads?.();
      return tenant.log.read(session, options);
    };
    const own = { append, fork, read };
    const log = new Proxy(tenant.log, { get: (target, name) => Reflect.get(own, name) ?? Reflect.get(target, name) });
    return { ...store, tenant: () => ({ ...tenant, log }) };
  }
}
