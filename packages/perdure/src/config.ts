/** What a program or a `perdure.config.ts` says of its agents. Checked whole: a key that is not known is refused. */
import type { EndpointRecord, ModelRecord, PriceRecord } from '@perdure/models';
import type { AgentDefinition, AgentOptions, Hook } from '@perdure/runtime';
import {
  checked,
  compactionSchema,
  ConfigError,
  limitsSchema,
  misfitOfHook,
  periodCapsSchema,
  policiesSchema,
} from '@perdure/runtime';
import type { ModelSource } from '@perdure/runtime/ports';
import { z } from 'zod';
import type { Engine } from './engine.ts';
import { engineSchema } from './engine.ts';
import { modelsOf } from './models.ts';
import type { Sharing } from './node.ts';
import { sharingShape } from './node.ts';
import type { StoreSetting } from './settings.ts';
import { isPostgres } from './settings.ts';

export type Policies = NonNullable<AgentOptions['policies']>;
export type Limits = NonNullable<AgentOptions['limits']>;

export type Config = {
  /** Made by `agent()`. The first is the one that a message without an agent goes to. */
  agents: readonly AgentDefinition[];
  models?: {
    /** Servers that speak Chat Completions; their models are `NAME/MODEL`. */
    endpoints?: readonly EndpointRecord[];
    /** In US dollars for a million tokens, by `provider/model`; they go before the catalog's. */
    prices?: { readonly [model: string]: PriceRecord };
    /** Facts of models that the catalog does not have, or has otherwise, by `provider/model`. */
    catalog?: { readonly [model: string]: ModelRecord };
    /** Providers of your own (`perdure/ports`): their models are `NAME/…`, before any other of that name. Closed with the runtime. */
    providers?: { readonly [name: string]: ModelSource };
  };
  /** For every agent that does not say otherwise. */
  policies?: Policies;
  limits?: Limits;
  /** What all sessions may spend together in a day, in a month (UTC), and in all; an agent may have budgets of its own. */
  budgets?: NonNullable<AgentOptions['budgets']>;
  /** Who summarises conversations that have grown long, and whether by itself. */
  compaction?: NonNullable<AgentOptions['compaction']>;
  /** The folder that holds everything (default `.perdure`), from the working directory. */
  data?: string;
  /**
   * `memory` keeps sessions until the process ends, and takes no `data`; `postgres://USER@HOST/DATABASE` (with the package
   * `pg` installed) keeps them where other processes have them, too. Default `sqlite`, in the data folder.
   */
  store?: StoreSetting;
  /**
   * Who drives sessions: this process (`local`, the default), or Restate. `restate` starts a server from its npm package
   * in the data folder; `{ restate: { ingress, admin } }` uses one that runs.
   */
  engine?: Engine;
  /** What commands of tools run in. `none` gives them all rights of this process. Default `bubblewrap`. */
  sandbox?: 'bubblewrap' | 'none';
  /** They see each outcome before it is written, in their order; one that throws blocks. */
  hooks?: readonly Hook[];
  /** Values of at least eight characters that must appear nowhere, by name; tools get them by `ctx.secret(name)`. */
  secrets?: { readonly [name: string]: string };
} & Sharing;

/** What stands in a `perdure.config.ts`: agents may be folders beside it instead. */
export type ConfigFile = Omit<Config, 'agents'> & Partial<Pick<Config, 'agents'>>;

const SECRET_CHARS_MIN = 8;

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
const isAgent = (value: unknown): boolean =>
  isObject(value) &&
  ['name', 'model', 'instructions', 'tools', 'policies', 'limits', 'output'].every((key) => key in value);
const hookSchema = z.custom<Hook>((given) => misfitOfHook(given, 'hook') === null, {
  error: ({ input }) => misfitOfHook(input, 'hook') ?? '',
});

export const has = (value: unknown, ...methods: string[]): boolean =>
  isObject(value) && methods.every((name) => typeof (value as { [name: string]: unknown })[name] === 'function');
const isProvider = (value: unknown): boolean => has(value, 'resolve', 'list', 'close');

export const postgresUrl = z.custom<StoreSetting>(isPostgres);
const STORES = "is 'sqlite', 'memory' or postgres://USER@HOST/DATABASE";

export const configShape = {
  agents: z
    .array(z.custom<AgentDefinition>(isAgent, 'is not an agent: make it with agent({ name, model, ... })'))
    .min(1, 'holds no agent: define at least one with agent({ name, model })'),
  models: z
    .strictObject({
      endpoints: z.array(z.custom<EndpointRecord>(isObject, 'is not an endpoint record')).optional(),
      providers: z
        .record(z.string().regex(/^[^/]+$/), z.custom<ModelSource>(isProvider, 'is no provider: see perdure/ports'))
        .optional(),
      prices: z.record(z.string(), z.custom<PriceRecord>(isObject, 'is not a price record')).optional(),
      catalog: z.record(z.string(), z.custom<ModelRecord>(isObject, 'is not a record of a model')).optional(),
    })
    .optional(),
  policies: policiesSchema.optional(),
  limits: limitsSchema.optional(),
  budgets: periodCapsSchema.optional(),
  compaction: compactionSchema.optional(),
  data: z.string().min(1).optional(),
  store: z.union([z.enum(['sqlite', 'memory']), postgresUrl], STORES).optional(),
  engine: engineSchema.optional(),
  sandbox: z.enum(['bubblewrap', 'none']).optional(),
  ...sharingShape,
  hooks: z.array(hookSchema).optional(),
  secrets: z
    .record(z.string(), z.string().min(SECRET_CHARS_MIN, `a secret has at least ${SECRET_CHARS_MIN} characters`))
    .optional(),
};
const configSchema = z.strictObject({ ...configShape, agents: configShape.agents.optional() });

/**
 * Checks a configuration and gives it back as it is. Throws ConfigError (`invalid_config`, `duplicate_agent`) or
 * ModelConfigError, each with the `path` of what is wrong.
 */
export function defineConfig<const C extends ConfigFile>(config: C): C {
  checkConfig(config, configSchema);
  return config;
}

/** `store` and `sandbox` may be one's own where a program says so. */
export function checkConfig(
  config: Omit<ConfigFile, 'store' | 'sandbox'> & { store?: unknown; sandbox?: unknown },
  schema: z.ZodType,
): void {
  checked(schema, config, 'invalid_config', '');
  const names = new Set<string>();
  for (const [index, { name }] of (config.agents ?? []).entries()) {
    if (names.has(name)) throw new ConfigError('duplicate_agent', `agents.${index}`, `two agents are called ${name}`);
    names.add(name);
  }
  const takesData = config.store === undefined || config.store === 'sqlite' || isPostgres(config.store);
  if (!takesData && config.data !== undefined)
    throw new ConfigError('invalid_config', 'data', 'means nothing with this store; leave one of the two out');
  // The records are checked by the package that reads them: built once and let go, it opens nothing.
  modelsOf(config.models, {});
}
