import type { ModelInfo, ModelSource, ResolvedModel, System } from '@perdure/runtime/ports';
import { CATALOG_MODELS, catalogInfo, priceOf } from './catalog/info.ts';
import type { UsdPerMillion } from './catalog/row.ts';
import { createDemo, demoInfo } from './demo.ts';
import { createOpenAiChat } from './openai-chat/adapter.ts';
import {
  checkEndpoint,
  ModelConfigError,
  openEndpoint,
  problemOfUrl,
  type EndpointRecord,
} from './openai-chat/endpoint.ts';
import type { Provider } from './provider.ts';

/** A price from the configuration, by the model's whole id (`endpoint/model`); it goes before the catalog's. */
export type PriceRecord = UsdPerMillion & { source?: string; date?: string };

export type ModelSourceOptions = {
  endpoints?: readonly EndpointRecord[];
  prices?: { readonly [model: string]: PriceRecord };
  env: { readonly [name: string]: string | undefined };
  system: System;
};

const OPENAI = 'openai-chat';
const OPENAI_URL = 'https://api.openai.com/v1';
const PRICE_KEYS = ['input', 'output', 'cachedInput', 'cacheWrite'] as const;

/**
 * All models: `demo`, `openai-chat/MODEL` (OPENAI_API_KEY, OPENAI_BASE_URL as the official client reads them) and
 * `ENDPOINT/MODEL` for each record; a record named `openai-chat` takes its place. Connections are opened when a model
 * is first resolved. Throws ModelConfigError (`invalid_config`) for a wrong record; a missing key is told at `resolve`.
 */
export function createModelSource(options: ModelSourceOptions): ModelSource {
  const { endpoints = [], prices = {}, env, system } = options;
  const records = checkRecords(endpoints);
  checkPrices(prices);
  const demo = createDemo(system.timers);
  const open = new Map<string, Provider>();

  const infoOf = (id: string): ModelInfo => {
    const [provider, model] = split(id);
    const info = provider === 'demo' ? demoInfo(id) : catalogInfo(id, provider, model);
    const own = Object.hasOwn(prices, id) ? prices[id] : undefined;
    if (own === undefined) return info;
    const { date = '', source = 'configuration' } = own;
    return { ...info, price: { ...priceOf(id, date === '' ? 'configured' : date, own), source, date } };
  };

  const connect = (name: string): { ok: true; chat: Provider } | { ok: false; message: string } => {
    const known = open.get(name);
    if (known !== undefined) return { ok: true, chat: known };
    const record = records.get(name) ?? (name === OPENAI ? openAiRecord(env) : undefined);
    if (record === undefined) return { ok: false, message: `no endpoint '${name}': ${offer(records)}` };
    const problem = problemOfUrl(record.baseUrl);
    if (problem !== null) return { ok: false, message: `OPENAI_BASE_URL: ${problem}` };
    const opened = openEndpoint(record, env);
    if (!opened.ok) return opened;
    const chat = createOpenAiChat(opened.endpoint, system.clock);
    open.set(name, chat);
    return { ok: true, chat };
  };

  return {
    resolve: (id): ({ ok: true } & ResolvedModel) | { ok: false; message: string } => {
      const [provider, model] = split(id);
      if (provider === 'demo') return { ok: true, info: infoOf(id), adapter: demo };
      if (model === '') return { ok: false, message: `'${id}' names no model: ${offer(records)}` };
      const connected = connect(provider);
      return connected.ok ? { ok: true, info: infoOf(id), adapter: connected.chat.adapter } : connected;
    },
    list: () => {
      const priced = Object.keys(prices).filter((id) => records.has(split(id)[0]));
      const ids = ['demo', ...CATALOG_MODELS, ...priced];
      return [...new Set(ids)].map(infoOf);
    },
    close: async () => {
      const all = [...open.values()];
      open.clear();
      await Promise.all(all.map((chat) => chat.close()));
    },
  };
}

function split(id: string): [provider: string, model: string] {
  const slash = id.indexOf('/');
  return slash === -1 ? [id, ''] : [id.slice(0, slash), id.slice(slash + 1)];
}

function offer(records: ReadonlyMap<string, EndpointRecord>): string {
  return ['there are demo', `${OPENAI}/MODEL`, ...[...records.keys()].map((name) => `${name}/MODEL`)].join(', ');
}

function openAiRecord(env: ModelSourceOptions['env']): EndpointRecord {
  const baseUrl = env['OPENAI_BASE_URL']?.trim();
  return {
    name: OPENAI,
    baseUrl: baseUrl === undefined || baseUrl === '' ? OPENAI_URL : baseUrl,
    apiKeyEnv: 'OPENAI_API_KEY',
  };
}

function checkRecords(endpoints: readonly EndpointRecord[]): Map<string, EndpointRecord> {
  const records = new Map<string, EndpointRecord>();
  for (const [n, record] of endpoints.entries()) {
    const path = `models.endpoints[${n}]`;
    checkEndpoint(record, path);
    if (records.has(record.name)) throw new ModelConfigError(`${path}.name`, `'${record.name}' is there twice`);
    records.set(record.name, record);
  }
  return records;
}

function checkPrices(prices: { readonly [model: string]: PriceRecord }): void {
  for (const [model, record] of Object.entries(prices)) {
    const path = `models.prices['${model}']`;
    for (const key of Object.keys(record)) {
      if (![...PRICE_KEYS, 'source', 'date'].includes(key)) {
        throw new ModelConfigError(`${path}.${key}`, 'there is no such setting');
      }
    }
    for (const key of PRICE_KEYS) {
      const value = record[key];
      const missing = value === undefined && (key === 'input' || key === 'output');
      if (missing || (value !== undefined && !(Number.isFinite(value) && value >= 0))) {
        throw new ModelConfigError(`${path}.${key}`, 'US dollars for a million tokens, 0 or more');
      }
    }
  }
}
