/** What a configuration says of models: it goes before the catalog, member by member. */
import type { Effort, ModelInfo } from '@perdure/runtime/ports';
import { ModelConfigError } from '../openai-chat/endpoint.ts';
import { priceOf } from './info.ts';
import type { LongPrompt, UsdPerMillion } from './row.ts';

/** A price by the model's whole id (`endpoint/model`). */
export type PriceRecord = UsdPerMillion & { longPrompt?: LongPrompt; source?: string; date?: string };

/** Facts of a model by its whole id: of one that the catalog does not know, or knows otherwise. */
export type ModelRecord = {
  windowTokens?: number;
  maxOutputTokens?: number;
  /** It takes images, or PDF files; a number: the most tokens that one of them counts. False: it does not. */
  image?: boolean | number;
  file?: boolean | number;
  /** The provider holds it to a JSON Schema. */
  structured?: boolean;
  /** Levels of effort it takes; none of them: []. */
  effort?: readonly Effort[];
};

export type Records = {
  prices: { readonly [model: string]: PriceRecord };
  catalog: { readonly [model: string]: ModelRecord };
};

const USD_KEYS = ['input', 'output', 'cachedInput', 'cacheWrite'] as const;
const EFFORTS: readonly string[] = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] satisfies Effort[];
const MODEL_KEYS = ['windowTokens', 'maxOutputTokens', 'image', 'file', 'structured', 'effort'];

/** The model as the configuration says it is. */
export function recorded(info: ModelInfo, { prices, catalog }: Records): ModelInfo {
  const facts = Object.hasOwn(catalog, info.id) ? catalog[info.id] : undefined;
  const own = Object.hasOwn(prices, info.id) ? prices[info.id] : undefined;
  const known = facts === undefined ? info : { ...info, ...factsOf(info, facts) };
  if (own === undefined) return known;
  const { date = '', source = 'configuration', longPrompt, ...usd } = own;
  const price = priceOf(info.id, date === '' ? 'configured' : date, usd, longPrompt);
  // What another tier costs is not known of a price that the catalog does not have.
  const { tiers: _listed, ...rest } = known;
  return { ...rest, price: { ...price, source, date } };
}

function factsOf(info: ModelInfo, { image, file, ...facts }: ModelRecord): Partial<ModelInfo> {
  if (image === undefined && file === undefined) return facts;
  const modalities = { ...info.modalities };
  for (const [kind, said] of [['image', image] as const, ['file', file] as const]) {
    if (said === undefined) continue;
    if (said === false) delete modalities[kind];
    else modalities[kind] = { maxTokens: typeof said === 'number' ? said : (modalities[kind]?.maxTokens ?? null) };
  }
  return { ...facts, modalities };
}

/** Throws ModelConfigError with the path of what is wrong. */
export function checkRecords({ prices, catalog }: Records): void {
  for (const [model, { longPrompt, ...price }] of Object.entries(prices)) {
    const path = `models.prices['${model}']`;
    checkUsd(price, ['source', 'date'], path);
    if (longPrompt === undefined) continue;
    checkUsd(longPrompt, ['aboveTokens'], `${path}.longPrompt`);
    if (!isCount(longPrompt.aboveTokens)) throw new ModelConfigError(`${path}.longPrompt.aboveTokens`, COUNT);
  }
  for (const [model, record] of Object.entries(catalog)) checkModel(record, `models.catalog['${model}']`);
}

function checkUsd(record: object, more: readonly string[], path: string): void {
  const values = record as { readonly [key: string]: unknown };
  knownKeys(values, [...USD_KEYS, ...more], path);
  for (const key of USD_KEYS) {
    const value = values[key];
    const missing = value === undefined && (key === 'input' || key === 'output');
    if (missing || (value !== undefined && !(Number.isFinite(value) && (value as number) >= 0)))
      throw new ModelConfigError(`${path}.${key}`, 'US dollars for a million tokens, 0 or more');
  }
}

function checkModel(record: ModelRecord, path: string): void {
  knownKeys(record, MODEL_KEYS, path);
  for (const key of ['windowTokens', 'maxOutputTokens'] as const)
    if (record[key] !== undefined && !isCount(record[key])) throw new ModelConfigError(`${path}.${key}`, COUNT);
  for (const key of ['image', 'file'] as const)
    if (record[key] !== undefined && typeof record[key] !== 'boolean' && !isCount(record[key]))
      throw new ModelConfigError(`${path}.${key}`, 'true, false, or the most tokens that one of them counts');
  if (record.structured !== undefined && typeof record.structured !== 'boolean')
    throw new ModelConfigError(`${path}.structured`, 'true or false');
  const unknown = record.effort?.find((level) => !EFFORTS.includes(level));
  if (unknown !== undefined)
    throw new ModelConfigError(`${path}.effort`, `'${unknown}' is none of ${EFFORTS.join(', ')}`);
}

function knownKeys(record: object, known: readonly string[], path: string): void {
  const stray = Object.keys(record).find((key) => !known.includes(key));
  if (stray !== undefined) throw new ModelConfigError(`${path}.${stray}`, 'there is no such setting');
}

const COUNT = 'a whole number of tokens above 0';
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;
