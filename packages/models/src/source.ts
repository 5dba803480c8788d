import type { Clock, ModelInfo, ModelSource, ResolvedModel, System } from '@perdure/runtime/ports';
import { openAnthropic } from './anthropic/adapter.ts';
import { CATALOG_MODELS, catalogInfo } from './catalog/info.ts';
import { checkRecords, recorded, type Records } from './catalog/records.ts';
import { createDemo, demoInfo } from './demo.ts';
import { problemOfUrl } from './http/url.ts';
import { createOpenAiChat } from './openai-chat/adapter.ts';
import {
  CHAT_URL,
  checkEndpoint,
  ModelConfigError,
  openEndpoint,
  type Endpoint,
  type EndpointRecord,
} from './openai-chat/endpoint.ts';
import { createOpenAiResponses } from './openai-responses/adapter.ts';
import { openPreset, PRESETS } from './presets.ts';
import {
  OPENAI_URL,
  variable,
  type Environment,
  type OpenedProvider,
  type OpenProvider,
  type Provider,
} from './provider.ts';

export type ModelSourceOptions = {
  endpoints?: readonly EndpointRecord[];
  prices?: Records['prices'];
  catalog?: Records['catalog'];
  env: Environment;
  system: System;
};

const OPENAI = 'openai';
const OPENAI_CHAT = 'openai-chat';
/** The providers that need no record in the configuration: a model is `NAME/MODEL`. */
const PROVIDERS: { readonly [name: string]: OpenProvider } = {
  [OPENAI]: (env, clock) => openOpenAi(OPENAI, env, (endpoint) => createOpenAiResponses(OPENAI, endpoint, clock)),
  [OPENAI_CHAT]: (env, clock) => openOpenAi(OPENAI_CHAT, env, (endpoint) => createOpenAiChat(endpoint, clock)),
  anthropic: openAnthropic,
  ...Object.fromEntries(
    Object.entries(PRESETS).map(([name, preset]) => [name, (env, clock) => openPreset(name, preset, env, clock)]),
  ),
};

/**
 * All models: `demo`; `openai/MODEL` by the Responses API and `openai-chat/MODEL` by Chat Completions (OPENAI_API_KEY,
 * OPENAI_BASE_URL as the official client reads them); `anthropic/MODEL` (ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL, the
 * same); those of the presets; and `ENDPOINT/MODEL` for each record, which takes the place of a provider of its name.
 * Connections are opened when a model is first resolved. Throws ModelConfigError (`invalid_config`) for a wrong record;
 * a missing key is told at `resolve`.
 */
export function createModelSource(options: ModelSourceOptions): ModelSource {
  const { endpoints = [], prices = {}, catalog = {}, env, system } = options;
  const records = checkEndpoints(endpoints);
  checkRecords({ prices, catalog });
  for (const [kind, all] of Object.entries({ prices, catalog })) checkNames(kind, Object.keys(all), records);
  const demo = createDemo(system.timers);
  const open = new Map<string, Provider>();

  const infoOf = (id: string): ModelInfo => {
    const [provider, model] = split(id);
    const info = provider === 'demo' ? demoInfo(id) : catalogInfo(id, provider, model);
    // What stands in the configuration under this name is another place: nobody knows what else it offers.
    if (records.has(provider)) delete info.summarizer;
    const known = recorded(info, { prices, catalog });
    if (provider !== OPENAI || records.has(OPENAI)) return known;
    // The Responses API keeps answers and compacts, whichever of its models answers; how much that writes is not for us to say.
    known.background = true;
    if (known.known) known.compacts = { maxOutputTokens: known.maxOutputTokens, opaque: true };
    return known;
  };

  const connect = (name: string): OpenedProvider => {
    const known = open.get(name);
    if (known !== undefined) return { ok: true, provider: known };
    const opened = openNamed(name, records.get(name), env, system.clock);
    if (opened === null) return { ok: false, message: `no endpoint '${name}': ${offer(records)}` };
    if (opened.ok) open.set(name, opened.provider);
    return opened;
  };

  return {
    resolve: (id): ({ ok: true } & ResolvedModel) | { ok: false; message: string } => {
      const [provider, model] = split(id);
      if (provider === 'demo') return { ok: true, info: infoOf(id), adapter: demo };
      if (model === '') return { ok: false, message: `'${id}' names no model: ${offer(records)}` };
      const connected = connect(provider);
      return connected.ok ? { ok: true, info: infoOf(id), adapter: connected.provider.adapter } : connected;
    },
    list: () => {
      const isHere = (id: string): boolean => records.has(split(id)[0]) || Object.hasOwn(PROVIDERS, split(id)[0]);
      const own = [...Object.keys(prices), ...Object.keys(catalog)].filter(isHere);
      const ids = ['demo', ...CATALOG_MODELS, ...own];
      return [...new Set(ids)].map(infoOf);
    },
    close: async () => {
      const all = [...open.values()];
      open.clear();
      await Promise.all(all.map((provider) => provider.close()));
    },
  };
}

/** What is said of a model that no name can lead to would never count. */
function checkNames(kind: string, ids: readonly string[], records: ReadonlyMap<string, EndpointRecord>): void {
  for (const id of ids) {
    const [provider, model] = split(id);
    const isHere =
      provider === 'demo' || (model !== '' && (records.has(provider) || Object.hasOwn(PROVIDERS, provider)));
    if (!isHere)
      throw new ModelConfigError(`models.${kind}['${id}']`, `is no model that can be named: ${offer(records)}`);
  }
}

function split(id: string): [provider: string, model: string] {
  const slash = id.indexOf('/');
  return slash === -1 ? [id, ''] : [id.slice(0, slash), id.slice(slash + 1)];
}

function offer(records: ReadonlyMap<string, EndpointRecord>): string {
  const names = new Set([...Object.keys(PROVIDERS), ...records.keys()]);
  return ['there are demo', ...[...names].map((name) => `${name}/MODEL`)].join(', ');
}

/** A record of the configuration goes before the provider of that name; null: there is neither. */
function openNamed(
  name: string,
  record: EndpointRecord | undefined,
  env: Environment,
  clock: Clock,
): OpenedProvider | null {
  if (record !== undefined) return openRecord(record, env, clock);
  return (Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name]?.(env, clock) : undefined) ?? null;
}

function openRecord(record: EndpointRecord, env: Environment, clock: Clock): OpenedProvider {
  const opened = openEndpoint(record, env);
  return opened.ok ? { ok: true, provider: createOpenAiChat(opened.endpoint, clock) } : opened;
}

/** OpenAI itself, or what OPENAI_BASE_URL puts in its place. */
function openOpenAi(name: string, env: Environment, create: (endpoint: Endpoint) => Provider): OpenedProvider {
  const given = variable(env, 'OPENAI_BASE_URL');
  const baseUrl = given ?? OPENAI_URL;
  const problem = problemOfUrl(baseUrl, CHAT_URL);
  if (problem !== null) return { ok: false, message: `OPENAI_BASE_URL: ${problem}` };
  // Parameters that only OpenAI documents are kept from others.
  const quirks = given === undefined ? { cacheKey: true } : {};
  const opened = openEndpoint({ name, baseUrl, apiKeyEnv: 'OPENAI_API_KEY', quirks }, env);
  return opened.ok ? { ok: true, provider: create(opened.endpoint) } : opened;
}

function checkEndpoints(endpoints: readonly EndpointRecord[]): Map<string, EndpointRecord> {
  const records = new Map<string, EndpointRecord>();
  for (const [n, record] of endpoints.entries()) {
    const path = `models.endpoints[${n}]`;
    checkEndpoint(record, path);
    if (records.has(record.name)) throw new ModelConfigError(`${path}.name`, `'${record.name}' is there twice`);
    records.set(record.name, record);
  }
  return records;
}
