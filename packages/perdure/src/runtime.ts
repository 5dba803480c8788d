/** The one place where the parts meet: store, models, secrets and logs around a host. */
import { ApiError } from '@perdure/contract';
import type { ConfigPatch, InputPart } from '@perdure/contract';
import type { EndpointRecord } from '@perdure/models';
import { keysFound } from '@perdure/models';
import type { ExportOptions, Host, LogFormat, LogLevel, Marks, Session } from '@perdure/runtime';
import {
  createFileMarks,
  createHost,
  createLogger,
  environment,
  attach,
  exportSession,
  importSession,
  findSession,
  openSession,
  openVault,
  Redactor,
  system,
} from '@perdure/runtime';
import type { Logger, ModelSource, Sandbox, Store } from '@perdure/runtime/ports';
import { join } from 'node:path';
import { z } from 'zod';
import { settled } from './assistant.ts';
import type { Config } from './config.ts';
import { checkConfig, configShape, has, postgresUrl } from './config.ts';
import { folderOf, openStore, secretsOfStore } from './data.ts';
import type { OpenedEngine } from './engine.ts';
import { openEngine, secretsOfEngine } from './engine.ts';
import { engineHash } from './engine-hash.ts';
import { logSink } from './logs.ts';
import { LIMITS } from './limits.ts';
import { providersOf, secretKeysOf, withStoredKeys } from './keys.ts';
import type { KeyedModels } from './models.ts';
import { keyedModels } from './models.ts';
import type { Joined, Sharing, Work } from './node.ts';
import { joinOthers } from './node.ts';
import { sandboxOf } from './sandbox.ts';
import type { Scrub } from './scrub.ts';
import { startScrub } from './scrub.ts';
import type { Environment, Settings } from './settings.ts';
import { isPostgres, readSettings, SETTINGS } from './settings.ts';

export type RuntimeOptions = Omit<Config, 'store' | 'sandbox'> & {
  /** As in a configuration, or a store of your own (`perdure/ports`), which takes no `data` and is closed with the runtime. */
  store?: Config['store'] | Store;
  /** As in a configuration, or one of your own (`perdure/ports`), which is closed with the runtime. */
  sandbox?: Config['sandbox'] | Sandbox;
  /** What goes to standard error. Default: PERDURE_LOG_LEVEL or `warn`, PERDURE_LOG_FORMAT or by the terminal. */
  log?: { level?: LogLevel; format?: LogFormat };
};

/** Until tenants have credentials there is one. */
const TENANT = 'default';

/** Beside the data: which session is being stepped at this moment. */
const MARKS_FILE = 'step.mark';

/** A running host with its data. */
export type Runtime = {
  /**
   * A session with an agent: the one with this key, or a new one, durable with its first send. `config` is a new
   * session's own; where the key finds one, it is that of the first message alone. Throws ApiError: `not_found` for an
   * agent that is not defined, `invalid_state` for a key whose session is with another one.
   */
  open(agent: string, options?: { key?: string; config?: ConfigPatch }): Promise<Session>;
  /** A session that is there. Throws ApiError `not_found`. */
  session(id: string): Promise<Session>;
  /**
   * Stores an image or a file and gives the part of a message that names it, its type told by the content. Idempotent.
   * Throws ApiError `invalid_request` for content that no model takes.
   */
  attach(bytes: Uint8Array, name?: string): Promise<InputPart>;
  /**
   * A session as a file, in chunks, up to where its log stands now: JSON lines that end with a sum over all of them.
   * `moveTo` seals it first, when nothing of it is under way: here it takes and does nothing more, and it goes on where
   * the file is imported; asked for again it is the same. Throws ApiError: `not_found`, `invalid_state`.
   */
  exportSession(id: string, options?: ExportOptions): AsyncGenerator<Uint8Array>;
  /**
   * Brings an exported session: one that was moved goes on here, any other becomes a fork. `open` gives the file from its
   * beginning and is called more than once: nothing is written before all of it has been checked. Throws ApiError:
   * `invalid_request` for a file that is no export, damaged or cut, `invalid_state` for a moved session that is here.
   */
  importSession(open: () => AsyncIterable<Uint8Array>): Promise<Session>;
  /** Lets unsafe calls end (`drainMs`, default 30,000), aborts what may run again, flushes, lets go. Idempotent. */
  close(options?: { drainMs?: number }): Promise<void>;
  /** Why the storage accepts nothing any more: close, and create the runtime anew. Null while it works. */
  storage(): string | null;
  readonly host: Host;
  /** Where other processes that share the store reach this one; null: nobody shares it. */
  readonly address: string | null;
  /** The data folder; null: there is none. */
  readonly data: string | null;
};

const isStore = (value: unknown): boolean => has(value, 'tenant', 'tenants', 'unavailable', 'close');

const isSandbox = (value: unknown): boolean => has(value, 'probe', 'run', 'close');

const optionsSchema = z.strictObject({
  ...configShape,
  store: z
    .union(
      [z.enum(['sqlite', 'memory']), postgresUrl, z.custom<Store>(isStore)],
      "is 'sqlite', 'memory', postgres://USER@HOST/DATABASE or a store: see perdure/ports",
    )
    .optional(),
  sandbox: z
    .union(
      [z.enum(['bubblewrap', 'none']), z.custom<Sandbox>(isSandbox)],
      "is 'bubblewrap', 'none' or a sandbox: see perdure/ports",
    )
    .optional(),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).optional(),
      format: z.enum(['json', 'compact', 'pretty']).optional(),
    })
    .optional(),
});

/**
 * Opens the data, starts what was unfinished, and is ready for messages. A start that fails leaves nothing open. Throws
 * ConfigError or ModelConfigError (a wrong option, with its path), DataInUseError (`data_in_use`, with the address of a
 * server that has it), StoreError (`data_too_new`, `data_too_old`, `damaged`, `full`, `unavailable`).
 */
export async function createRuntime(options: RuntimeOptions): Promise<Runtime> {
  return startRuntime(options, environment());
}

/** `models` stand in for those of the environment; `work`: what a process does that shares its store (default: all). */
export type Within = { models?: ModelSource; work?: Work };

/** `env` is what the process sees, `.env` included. Throws StoreNotSharedError (`store_not_shared`) besides. */
export async function startRuntime(options: RuntimeOptions, env: Environment, within: Within = {}): Promise<Runtime> {
  checkConfig(options, optionsSchema);
  const opened = await openHost(options, env, within);
  const { host, logger } = opened;
  let scrub: Scrub | undefined;
  const letGo: LetGo = async (drain) => {
    scrub?.stop();
    await opened.letGo(drain);
  };
  try {
    await host.start();
    opened.joined?.open(host);
    const { scrubFirstMs: firstMs, scrubEveryMs: everyMs } = LIMITS;
    if (opened.store.name === 'sqlite')
      scrub = startScrub(host.parts.store.log, { timers: system.timers, logger, firstMs, everyMs });
  } catch (error) {
    await letGo({ drainMs: 0 });
    throw error;
  }
  return runtimeOf(opened, letGo);
}

/**
 * The data with nobody to drive it: sessions can be read, copied and brought, and nothing of them goes on. No agent is
 * defined, so that nothing can start.
 */
export async function openIdle(options: Omit<RuntimeOptions, 'agents'>, env: Environment): Promise<Runtime> {
  const opened = await openHost({ ...options, engine: 'local', agents: [] }, env, 'idle');
  await opened.host.parts.quarantine.load();
  return runtimeOf(opened, opened.letGo);
}

type LetGo = (drain: { drainMs?: number }) => Promise<void>;
type Opened = {
  host: Host;
  data: string | null;
  store: Store;
  joined: Joined | undefined;
  logger: Logger;
  letGo: LetGo;
};

async function openHost(options: RuntimeOptions, env: Environment, within: Within | 'idle'): Promise<Opened> {
  const { settings } = readSettings({ flags: {}, env, dotenv: {} });
  const redactor = new Redactor(options.secrets, credentialsOf(options, env));
  const logger = await loggerOf(options, settings, redactor, env);
  const setting = options.store ?? SETTINGS.store.initial;
  const data = typeof setting === 'object' ? null : folderOf(setting, options.data);
  const store = typeof setting === 'object' ? setting : await openStore(setting, data);
  const { models: given, work } = within === 'idle' ? {} : within;
  const { endpoints = [] } = options.models ?? {};
  const models = given ?? keyedModels(options.models, env);
  const sandbox = sandboxOf(options.sandbox, data);
  let marks: Marks | undefined;
  let engine: OpenedEngine | undefined;
  let joined: Joined | undefined;
  let host: Host | undefined;
  const letGo: LetGo = async (drain) => {
    await host?.stop(drain);
    await joined?.close();
    await engine?.stop();
    await sandbox.close();
    await models.close();
    await store.close();
    marks?.close();
  };
  try {
    if (data !== null) marks = createFileMarks(join(data, MARKS_FILE));
    for (const report of store.damage) logger.error({ ...report }, 'a session is damaged; the others go on');
    engine = await openEngine(options.engine ?? SETTINGS.engine.initial, { data, logger, isPart: work !== undefined });
    if (within !== 'idle') joined = await joinOthers(store, { ...sharingOf(options, settings), work }, logger);
    const kind = store.shared ? 'shared' : data === null && setting === 'memory' ? 'memory' : 'owned';
    const keys = secretKeysOf(settings, kind, data);
    const vault = await openVault({ store, tenant: TENANT, keys, redactor, system, logger });
    const rekeyed = rekeying(models, env, () => withStoredKeys(env, vault, endpoints));
    vault.changed = rekeyed;
    host = await createHost({
      ...joined?.options,
      store,
      tenant: TENANT,
      vault,
      providers: () => providersOf(env, vault, endpoints),
      agents: settled(options.agents, rekeyed()),
      models,
      system,
      logger,
      redactor,
      engineHash: engineHash(),
      hooks: options.hooks ?? [],
      ...(engine.driver === undefined ? {} : { driver: engine.driver }),
      sandbox,
      ...(options.budgets === undefined ? {} : { budgets: options.budgets }),
      ...(marks === undefined ? {} : { marks }),
      defaults: {
        ...(options.policies === undefined ? {} : { policies: options.policies }),
        ...(options.limits === undefined ? {} : { limits: options.limits }),
        ...(options.compaction === undefined ? {} : { compaction: options.compaction }),
      },
    });
    return { host, data, store, joined, logger, letGo };
  } catch (error) {
    await letGo({ drainMs: 0 });
    throw error;
  }
}

/** Gives the models the keys that are stored, where these are others than before. */
function rekeying(models: ModelSource | KeyedModels, before: Environment, keyed: () => Environment): () => Environment {
  let known = JSON.stringify(before);
  return () => {
    const env = keyed();
    const now = JSON.stringify(env);
    if (now !== known && 'rekey' in models) models.rekey(env);
    known = now;
    return env;
  };
}

/** What a program says goes before what its environment says. */
function sharingOf(options: RuntimeOptions, settings: Settings): Sharing {
  const sharing: Sharing = {};
  const shared = typeof options.store === 'object' ? options.store.shared : isPostgres(options.store);
  const host = options.internalHost ?? (shared ? settings.internalHost : null);
  const port = options.internalPort ?? (shared ? settings.internalPort : null);
  const leaseMs = options.leaseMs ?? (shared ? settings.leaseMs : null);
  if (host !== null) sharing.internalHost = host;
  if (port !== null) sharing.internalPort = port;
  if (leaseMs !== null) sharing.leaseMs = leaseMs;
  return sharing;
}

function runtimeOf({ host, data, store, joined }: Opened, letGo: LetGo): Runtime {
  let closing: Promise<void> | undefined;
  return {
    host,
    data,
    address: joined?.address ?? null,
    storage: () => store.unavailable(),
    async open(agent, options = {}) {
      if (host.parts.agents.get(agent) === undefined) {
        const known = host.parts.agents.list().map(({ definition }) => definition.name);
        throw new ApiError('not_found', `no agent ${agent} is defined here; defined: ${known.join(', ')}`);
      }
      const { key, config } = options;
      const found = key === undefined ? null : await host.parts.store.log.find(key);
      if (found !== null && found.agent !== agent)
        throw new ApiError('invalid_state', `the session with key ${key} is with agent ${found.agent}`);
      return found !== null && config === undefined
        ? findSession(host, found.id, key)
        : openSession(host, agent, options);
    },
    session: async (id) => findSession(host, id),
    attach: async (bytes, name) => attach(host, bytes, name),
    exportSession: (id, options) => exportSession(host, id, options),
    importSession: async (open) => importSession(host, open),
    close: (options = {}) => (closing ??= letGo(options)),
  };
}

async function loggerOf(
  options: RuntimeOptions,
  settings: Settings,
  redactor: Redactor,
  env: Environment,
): Promise<Logger> {
  const level = options.log?.level ?? settings.logLevel ?? 'warn';
  const format = options.log?.format ?? settings.logFormat ?? (process.stderr.isTTY ? 'pretty' : 'json');
  return createLogger({ level, redactor, destination: await logSink(format, process.stderr, env) });
}

/** What must appear nowhere beside the configuration's own secrets (P13), and is for no tool: what this process was given for itself. */
function credentialsOf(options: RuntimeOptions, env: Environment): { [name: string]: string } {
  const secrets: { [name: string]: string } = {};
  const add = (name: string, value: string | undefined): void => {
    const trimmed = value?.trim() ?? '';
    if (trimmed !== '') secrets[name] = trimmed;
  };
  for (const { secret, env: name } of Object.values(SETTINGS)) if (secret && name !== null) add(name, env[name]);
  for (const [n, key] of (env['PERDURE_SECRET_KEY'] ?? '').split(/[\s,]+/).entries())
    add(`PERDURE_SECRET_KEY.${n}`, key);
  for (const { found } of keysFound(env)) if (found !== null) add(found, env[found]);
  Object.assign(secrets, secretsOfStore(options.store), secretsOfEngine(options.engine));
  for (const endpoint of options.models?.endpoints ?? []) addEndpoint(endpoint, env, add);
  return secrets;
}

const CREDENTIAL_HEADER = /auth|key|token|secret|cookie/i;

function addEndpoint(
  { name, apiKey, apiKeyEnv, headers }: EndpointRecord,
  env: Environment,
  add: (name: string, value: string | undefined) => void,
): void {
  if (apiKeyEnv !== undefined) add(apiKeyEnv, env[apiKeyEnv]);
  add(`${name}.apiKey`, apiKey);
  for (const [header, value] of Object.entries(headers ?? {}))
    if (CREDENTIAL_HEADER.test(header)) add(`${name}.${header}`, value);
}
