/** From a row of the catalog to what the runtime is told of a model. */
import type { ListPrice, ModelInfo, Price, Rates } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import type { Catalog, CatalogRow, LongPrompt, UsdPerMillion } from './row.ts';
import { CATALOGS } from './table.ts';

/** The ids of all rows: `provider/model`. */
export const CATALOG_MODELS: readonly string[] = Object.entries(CATALOGS).flatMap(([provider, catalog]) =>
  Object.keys(catalog?.models ?? {}).map((model) => `${provider}/${model}`),
);

/** What is known of a model; an unknown one is accepted with no price and the default output. */
export function catalogInfo(id: string, provider: string, model: string): ModelInfo {
  const catalog = Object.hasOwn(CATALOGS, provider) ? CATALOGS[provider] : undefined;
  const row = catalog !== undefined && Object.hasOwn(catalog.models, model) ? catalog.models[model] : undefined;
  if (catalog === undefined) return unknownInfo(id, provider);
  const info = row === undefined ? unknownInfo(id, provider) : infoOfRow(id, provider, row, catalog);
  const { summarizer } = catalog;
  return summarizer === undefined ? info : { ...info, summarizer: `${provider}/${summarizer}` };
}

function infoOfRow(id: string, provider: string, row: CatalogRow, { source, date }: Catalog): ModelInfo {
  const { windowTokens, maxOutputTokens, usdPerMillion, image, file, tiers, cache, compacts } = row;
  const listed = (usd: UsdPerMillion, long?: LongPrompt): ListPrice => ({
    ...priceOf(id, date, usd, long),
    source,
    date,
  });
  const info: ModelInfo = {
    id,
    provider,
    windowTokens,
    maxOutputTokens,
    price: usdPerMillion === null ? null : listed(usdPerMillion, row.longPrompt),
    known: true,
    modalities: { ...(image === undefined ? {} : { image }), ...(file === undefined ? {} : { file }) },
    structured: row.structured === true,
    effort: row.effort ?? [],
    tiers: {},
  };
  if (cache !== undefined) info.cache = cache;
  if (compacts !== undefined) info.compacts = compacts;
  for (const tier of ['flex', 'priority'] as const) {
    const usd = tiers?.[tier];
    if (usd === undefined) continue;
    const price = listed(usd, usd.longPrompt);
    info.tiers = { ...info.tiers, [tier]: { ...price, id: `${price.id}/${tier}` } };
  }
  return info;
}

export function unknownInfo(id: string, provider: string): ModelInfo {
  const maxOutputTokens = LIMITS.unknownMaxOutputTokens;
  return { id, provider, windowTokens: null, maxOutputTokens, price: null, known: false };
}

export function priceOf(id: string, date: string, usd: UsdPerMillion, long?: LongPrompt): Price {
  const price: Price = { id: `${id}@${date}`, ...ratesOf(usd) };
  return long === undefined ? price : { ...price, above: { tokens: long.aboveTokens, ...ratesOf(long) } };
}

/** Integers of nano-USD per 1,000 tokens: a dollar for a million tokens is 1,000,000 of them. */
function ratesOf(usd: UsdPerMillion): Rates {
  const nano = (dollars: number): number => Math.round(dollars * 1_000_000);
  return {
    input: nano(usd.input),
    cachedInput: nano(usd.cachedInput ?? usd.input),
    cacheWrite: nano(usd.cacheWrite ?? usd.input),
    output: nano(usd.output),
  };
}
