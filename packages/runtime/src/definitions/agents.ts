/** Definitions: agents, tools, and the manifest that a run is pinned to. */
import type { CompactionConfig, Config, Limits, Pin, Policies, Unfit } from '@perdure/engine';
import { DEFAULT_LIMITS, membersOf } from '@perdure/engine';
import { loopGuardSchema, policyRuleSchema, toolBreakerSchema } from '@perdure/contract';
import { z } from 'zod';
import { canonicalJson, sha256 } from '../log/digest.ts';
import { ConfigError } from '../errors.ts';
import type { Guard } from '../effects/hooks.ts';
import { misfitOfHook } from '../effects/hooks.ts';
import { checked } from './checked.ts';
import { OUTPUT_WORDS_BYTES } from '../effects/output.ts';
import { LIMITS } from '../limits.ts';
import type { BlobStore, JsonSchema, ModelSource, Source, ToolDefinition } from '../ports.ts';
import type { PeriodCaps } from '../budgets/periods.ts';
import { periodCapsSchema } from '../budgets/periods.ts';
import { compactionOf, compactionSchema, isNative } from './compaction.ts';
import { joinPolicies } from '../policy/policy.ts';
import { misfitOfPolicies } from '../policy/rules.ts';
import { deferBeyond, withSearch } from './deferred.ts';
import type { Manner, Route, Tier } from './route.ts';
import { mannerOf, mannerSchema, memberOf, resolveRoute, routeSchema, unfitChoice, unfitOf } from './route.ts';
import type { SourceText } from './sources.ts';
import type { Told } from './mounted-sources.ts';
import { toldNothing } from './mounted-sources.ts';
import { readSources, sourcesSchema } from './sources.ts';
import type { ToolDeclaration } from './tool.ts';
import { checkSchema, checkToolSchema, declarationOf, jsonSchemaOf } from './tool.ts';
import { bindingOf, versionOf } from './version.ts';
import type { Soon } from '../soon.ts';

export type AgentDefinition = {
  name: string;
  model: Route;
  instructions: string;
  description: string;
  tools: readonly ToolDefinition[];
  policies: Policies;
  limits: Partial<Limits>;
  output: JsonSchema | null;
  compaction?: CompactionConfig;
  sources?: readonly Source[];
  /** They see its outcomes behind the hooks of all agents; a run is bound to them by their names. */
  guards?: readonly Guard[];
  /** Which workers work on it; no part of its version, as where something runs changes nothing of what it does. */
  queue: string;
  /** What all its sessions may spend together in a period; no part of its version either. */
  budgets?: PeriodCaps;
} & Manner;

/** What a run is bound to, as stored: whoever has it can say what the model was told, years later. */
export type Manifest = {
  agent: string;
  model: Route;
  instructions: string;
  description: string;
  tools: ToolDeclaration[];
  policies: Policies;
  limits: Partial<Limits>;
  output: JsonSchema | null;
  compaction?: CompactionConfig;
  /** Behind its instructions, as it was when the run started. */
  sources?: SourceText[];
  guards?: string[];
} & Manner;

const caps = { tokens: z.int().positive().optional(), nanoUsd: z.int().positive().optional() };
/** Limits as people write them; the engine's defaults fill the rest. */
export const limitsSchema = z.strictObject({
  turns: z.int().positive().max(10_000).optional(),
  calls: z.int().min(0).max(100_000).optional(),
  deadlineMs: z.int().positive().optional(),
  ...caps,
  session: z.strictObject(caps).optional(),
});
export const policiesSchema = z
  .strictObject({
    mode: z.enum(['ask', 'accept-edits', 'read-only', 'bypass']).optional(),
    rules: z.array(policyRuleSchema).max(1_000).optional(),
    approvalTtlMs: z.int().positive().optional(),
    breaker: toolBreakerSchema.optional(),
    loop: loopGuardSchema.optional(),
  })
  .superRefine((policies, context) => {
    const misfit = misfitOfPolicies(policies as Policies);
    if (misfit !== null) context.addIssue({ code: 'custom', path: misfit.path.split('.'), message: misfit.message });
  });

/** Of an agent that names none. */
export const DEFAULT_QUEUE = 'default';
const NAME = /^[a-z][a-z0-9_-]{0,63}$/;
export const AGENT_NAME = NAME;
const guardSchema = z.custom<Guard>((given) => misfitOfHook(given, 'guard') === null, {
  error: ({ input }) => misfitOfHook(input, 'guard') ?? '',
});
const agentShape = z.strictObject({
  name: z.string().regex(AGENT_NAME, 'an agent name has lower-case letters, digits, _ and -, at most 64'),
  model: routeSchema,
  instructions: z.string().optional(),
  description: z.string().optional(),
  tools: z
    .array(
      z.custom<ToolDefinition>(
        (value) => typeof value === 'object' && value !== null && 'run' in value,
        'a tool made by tool()',
      ),
    )
    .optional(),
  policies: policiesSchema.optional(),
  limits: limitsSchema.optional(),
  budgets: periodCapsSchema.optional(),
  compaction: compactionSchema.optional(),
  output: z
    .custom<JsonSchema | z.ZodType>(
      (value) => typeof value === 'object' && value !== null,
      'a zod schema or a JSON Schema object',
    )
    .optional(),
  sources: sourcesSchema.optional(),
  deferTools: z.int().min(0).optional(),
  guards: z.array(guardSchema).max(LIMITS.guards).optional(),
  queue: z.string().regex(NAME, 'a queue name has lower-case letters, digits, _ and -, at most 64').optional(),
  ...mannerSchema,
});

export type AgentOptions = {
  name: string;
  /** `provider/model`, or several in the order in which they are tried: what one fails at goes to the next. */
  model: Route;
  instructions?: string;
  description?: string;
  tools?: readonly (ToolDefinition | readonly ToolDefinition[])[];
  policies?: Policies;
  limits?: Partial<Limits>;
  /** What all its sessions may spend together in a day, in a month (UTC), and in all. */
  budgets?: PeriodCaps;
  /** How a conversation that has grown long is compacted: by whom, and whether by itself before its window is full. */
  compaction?: CompactionConfig;
  /** The final answer is JSON that fits this schema, or the run fails with `invalid_output`. */
  output?: z.ZodType | JsonSchema;
  /** So many of its tools are told to the model; the others are deferred, and found by `tool_search`. Default: all are told. */
  deferTools?: number;
  /** Texts behind its instructions that may change: each run has them as they are when it starts. */
  sources?: readonly Source[];
  /** What looks at each of its outcomes before it is written and before a model reads it, in their order; one that fails blocks. */
  guards?: readonly Guard[];
  /** Its sessions are worked on by workers of this queue (`perdure worker --queue`); default `default`. */
  queue?: string;
  /** The provider's processing tier (default: as the provider has it); a model that is not sold so is refused. */
  tier?: Tier;
  /** The provider goes on with an answer when nobody listens: a crash asks for it again instead of paying twice. */
  background?: boolean;
};

/** Defines an agent. Throws ConfigError `invalid_config` with the path of what is wrong. */
export function agent(options: AgentOptions): AgentDefinition {
  const { tools } = options;
  const flat = Array.isArray(tools) ? { ...options, tools: tools.flat() } : options;
  const shape = checked(agentShape, flat, 'invalid_config', `agent ${String(options.name)}`);
  const seen = new Set<string>();
  for (const { name } of shape.tools ?? []) {
    if (seen.has(name)) throw new ConfigError('invalid_config', `agent ${shape.name}`, `two tools are called ${name}`);
    seen.add(name);
  }
  return {
    name: shape.name,
    model: shape.model,
    instructions: planted(shape.name, shape.instructions ?? '', shape.guards ?? []),
    description: shape.description ?? '',
    tools: deferBeyond(shape.tools ?? [], shape.deferTools ?? Number.POSITIVE_INFINITY),
    policies: (shape.policies ?? {}) as Policies,
    limits: (shape.limits ?? {}) as Partial<Limits>,
    ...(shape.compaction === undefined ? {} : { compaction: shape.compaction as CompactionConfig }),
    ...(shape.budgets === undefined ? {} : { budgets: shape.budgets as PeriodCaps }),
    output: shape.output === undefined ? null : outputOf(shape.output, `agent ${shape.name}`),
    ...(shape.sources === undefined ? {} : { sources: shape.sources }),
    ...(shape.guards === undefined ? {} : { guards: shape.guards }),
    queue: shape.queue ?? DEFAULT_QUEUE,
    ...mannerOf(shape),
  };
}

/** Each guard may leave something behind the instructions that it looks for later. */
const planted = (agent: string, instructions: string, guards: readonly Guard[]): string =>
  guards.reduce((text, guard) => text + (guard.plant?.(agent, instructions) ?? ''), instructions);

function outputOf(output: unknown, at: string): JsonSchema {
  const schema = output instanceof z.ZodType ? jsonSchemaOf(output, 'output', at) : (output as JsonSchema);
  checkSchema(schema, 'invalid_config', `${at}.output`, 'the schema');
  return schema;
}

type Version = {
  manifest: Manifest;
  text: string;
  digest: string;
  /** Over what binds a run: its version. */
  hash: string;
};

export type Registered = Version & {
  definition: AgentDefinition;
  tools: ReadonlyMap<string, ToolDefinition>;
  /** Its own, and those of its tools. */
  sources: readonly Source[];
};

/** For every agent that does not say otherwise. */
export type AgentDefaults = { policies?: Policies; limits?: Partial<Limits>; compaction?: CompactionConfig };

/** The agents of this process, by name, and what runs of them are pinned to. */
export class Agents {
  readonly #byName = new Map<string, Registered>();
  readonly #byDigest = new Map<string, Manifest>();
  readonly #models: ModelSource;
  readonly #defaults: { policies: Policies; limits: Partial<Limits>; compaction: CompactionConfig };
  readonly #pins = new Map<string, Pin>();
  /** What agents are with what workspaces say. */
  readonly #mounted = new Map<string, Version>();
  readonly #redact: (text: string) => string;
  /** Manifests that came up after the start, until they are stored. */
  readonly #unsaved = new Map<string, string>();

  /** `redact`: what sources say goes through it. */
  constructor(
    definitions: readonly AgentDefinition[],
    models: ModelSource,
    defaults: AgentDefaults = {},
    redact: (text: string) => string = String,
  ) {
    this.#models = models;
    this.#redact = redact;
    const { policies = {}, limits = {}, compaction = {} } = defaults;
    this.#defaults = { policies, limits, compaction };
    for (const definition of definitions) this.#add(definition);
  }

  #add(definition: AgentDefinition): void {
    if (this.#byName.has(definition.name))
      throw new ConfigError('duplicate_agent', `agent ${definition.name}`, 'is defined twice');
    for (const toolDefinition of definition.tools) checkToolSchema(toolDefinition);
    const own = definition.sources ?? [];
    const sources = [...own, ...definition.tools.flatMap(({ source }) => (source === undefined ? [] : [source]))];
    const { manifest, text } = this.#register(definition, sources, readSources(sources, this.#redact));
    const route = resolveRoute(this.#models, manifest.model);
    const unfit = route.ok ? unfitOf(route.infos, mannerOf(definition)) : null;
    if (unfit !== null) throw new ConfigError('invalid_config', `agent ${definition.name}.${unfit.path}`, unfit.unfit);
    this.#unsaved.delete(sha256(text));
  }

  #register(definition: AgentDefinition, sources: readonly Source[], texts: SourceText[]): Registered {
    const all = withSearch(definition.tools, definition.name);
    const manifest: Manifest = {
      agent: definition.name,
      model: definition.model,
      instructions: definition.instructions,
      description: definition.description,
      tools: all.map(declarationOf),
      policies: joinPolicies(this.#defaults.policies, definition.policies),
      limits: { ...this.#defaults.limits, ...definition.limits },
      output: definition.output,
      ...mannerOf(definition),
    };
    const compaction = { ...this.#defaults.compaction, ...definition.compaction };
    if (Object.keys(compaction).length > 0) manifest.compaction = compaction;
    if (texts.length > 0) manifest.sources = texts;
    if (definition.guards !== undefined) manifest.guards = definition.guards.map(({ name }) => name);
    const tools = new Map(all.map((each) => [each.name, each]));
    const registered = { definition, ...this.#version(manifest), tools, sources };
    this.#byName.set(definition.name, registered);
    return registered;
  }

  #version(manifest: Manifest): Version {
    // In the author's order: what a process reads back is what the first one sent, byte for byte.
    const text = JSON.stringify(manifest);
    const digest = sha256(text);
    // How people are told of an agent binds no run.
    const hash = sha256(canonicalJson({ ...manifest, description: '' }));
    this.#byDigest.set(digest, manifest);
    this.#unsaved.set(digest, text);
    // An older one is read back from where it was stored.
    const [oldest] = this.#byDigest.keys();
    if (this.#byDigest.size > LIMITS.manifests && oldest !== undefined && !this.#isCurrent(oldest))
      this.#byDigest.delete(oldest);
    return { manifest, text, digest, hash };
  }

  /** As it is for a session whose workspaces say this. */
  #told(registered: Registered, texts: readonly SourceText[]): Version {
    if (texts.length === 0) return registered;
    const key = `${registered.digest}\n${JSON.stringify(texts)}`;
    const known = this.#mounted.get(key);
    if (known !== undefined) return known;
    if (this.#mounted.size >= LIMITS.manifests) this.#mounted.clear();
    const { manifest } = registered;
    const version = this.#version({ ...manifest, sources: [...(manifest.sources ?? []), ...texts] });
    this.#mounted.set(key, version);
    return version;
  }

  #isCurrent(digest: string): boolean {
    return this.list().some((registered) => registered.digest === digest);
  }

  /** As it is now: what its sources say may have changed since the last run began. */
  #current(name: string): Registered | undefined {
    const registered = this.#byName.get(name);
    if (registered === undefined || registered.sources.length === 0) return registered;
    const { definition, manifest, sources } = registered;
    const texts = readSources(sources, this.#redact);
    const isSame = JSON.stringify(texts) === JSON.stringify(manifest.sources ?? []);
    return isSame ? registered : this.#register(definition, sources, texts);
  }

  /** Stores a manifest that came up after the start, before a log names it. Rejects as the store does. */
  save(digest: string, blobs: Pick<BlobStore, 'put'>): Soon<void> {
    const text = this.#unsaved.get(digest);
    if (text !== undefined) return this.#saveNow(digest, text, blobs);
  }

  async #saveNow(digest: string, text: string, blobs: Pick<BlobStore, 'put'>): Promise<void> {
    await blobs.put(Buffer.from(text));
    this.#unsaved.delete(digest);
  }

  get(name: string): Registered | undefined {
    return this.#byName.get(name);
  }

  /** What runs of this process's agents are pinned to, by its digest. */
  manifest(digest: string): Manifest | undefined {
    return this.#byDigest.get(digest);
  }

  list(): Registered[] {
    return [...this.#byName.values()];
  }

  /**
   * What a run of this agent with this configuration is bound to; null where the agent or its model is not to be had
   * here; `told`: what stands in its mounts; `unfit` where the configuration asks for what they do not give.
   */
  pin(name: string, config: Config, told: Told = toldNothing): Pin | Unfit | null {
    const current = this.#current(name);
    if (current === undefined) return null;
    const registered = this.#told(current, told(config));
    const key = `${registered.digest}\n${bindingOf(config)}`;
    const known = this.#pins.get(key);
    if (known !== undefined) return known;
    const { manifest, digest, text } = registered;
    const route = resolveRoute(this.#models, config.model ?? manifest.model);
    if (!route.ok) return null;
    const asked = { ...mannerOf(manifest), ...config };
    const long = { ...manifest.compaction, ...config.compaction };
    const compaction = compactionOf(this.#models, route.infos[0], long);
    if ('unfit' in compaction) return compaction;
    const unfit = unfitOf(route.infos, asked) ?? unfitChoice(manifest, config);
    if (unfit !== null) return unfit;
    const wanted = {
      maxOutputTokens: config.maxOutputTokens,
      output: manifest.output !== null,
      tier: asked.tier,
      native: isNative(long),
    };
    const [first, ...fallbacks] = route.infos;
    const limits = { ...DEFAULT_LIMITS, ...manifest.limits, ...config.limits };
    const pin: Pin = {
      agent: name,
      hash: versionOf(registered.hash, config),
      manifest: digest,
      manifestBytes: Buffer.byteLength(text) - deferredBytes(manifest) + (config.instructions?.bytes ?? 0),
      ...memberOf(first, wanted),
      limits,
      ...compaction,
    };
    if (manifest.sources?.some(({ untrusted, tainting }) => untrusted ?? tainting) === true) pin.taint = ['file'];
    if (fallbacks.length > 0) pin.fallbacks = fallbacks.map((info) => memberOf(info, wanted));
    if (membersOf(pin).some(({ instructed }) => instructed)) pin.manifestBytes += OUTPUT_WORDS_BYTES;
    if (this.#pins.size >= LIMITS.pins) this.#pins.clear();
    this.#pins.set(key, pin);
    return pin;
  }
}

/** What the manifest says of tools that no request declares. */
const deferredBytes = ({ tools }: Manifest): number =>
  tools.reduce((bytes, each) => bytes + (each.defer === true ? Buffer.byteLength(JSON.stringify(each)) : 0), 0);
