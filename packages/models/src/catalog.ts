/**
 * Models of OpenAI that are spoken to by Chat Completions, with what the provider publishes of them: standard
 * processing, text tokens. Only models with one price for every request stand here: from GPT-5.4 on a long prompt costs
 * more, and a bound at list price would not hold; they are accepted, unpriced, until prices can say that.
 */
import type { ModelInfo, Price } from '@perdure/runtime/ports';
import { LIMITS } from './limits.ts';

const SOURCE = 'https://developers.openai.com/api/docs/pricing';
const DATE = '2026-11-20';

type Row = { windowTokens: number; maxOutputTokens: number; usdPerMillion: UsdPerMillion };

/** US dollars for a million tokens, as providers publish them. Without `cachedInput` or `cacheWrite`: as input. */
export type UsdPerMillion = { input: number; output: number; cachedInput?: number; cacheWrite?: number };

const row = (
  windowTokens: number,
  maxOutputTokens: number,
  input: number,
  cachedInput: number,
  output: number,
): Row => ({
  windowTokens,
  maxOutputTokens,
  usdPerMillion: { input, cachedInput, output },
});

const CATALOG: { readonly [model: string]: Row } = {
  'gpt-4o': row(128_000, 16_384, 2.5, 1.25, 10),
  'gpt-4o-mini': row(128_000, 16_384, 0.15, 0.075, 0.6),
  'gpt-4.1': row(1_047_576, 32_768, 2, 0.5, 8),
  'gpt-4.1-mini': row(1_047_576, 32_768, 0.4, 0.1, 1.6),
  'gpt-4.1-nano': row(1_047_576, 32_768, 0.1, 0.025, 0.4),
  'gpt-5': row(400_000, 128_000, 1.25, 0.125, 10),
  'gpt-5-mini': row(400_000, 128_000, 0.25, 0.025, 2),
  'gpt-5-nano': row(400_000, 128_000, 0.05, 0.005, 0.4),
  'gpt-5.1': row(400_000, 128_000, 1.25, 0.125, 10),
  'gpt-5.2': row(400_000, 128_000, 1.75, 0.175, 14),
  o1: row(200_000, 100_000, 15, 7.5, 60),
  o3: row(200_000, 100_000, 2, 0.5, 8),
  'o3-mini': row(200_000, 100_000, 1.1, 0.55, 4.4),
  'o4-mini': row(200_000, 100_000, 1.1, 0.275, 4.4),
};

export const CATALOG_MODELS: readonly string[] = Object.keys(CATALOG);

/** What is known of a model of `openai-chat`; an unknown one is accepted with no price and the default output. */
export function catalogInfo(id: string, model: string): ModelInfo {
  const found = Object.hasOwn(CATALOG, model) ? CATALOG[model] : undefined;
  if (found === undefined) return unknownInfo(id, 'openai-chat');
  return {
    id,
    provider: 'openai-chat',
    windowTokens: found.windowTokens,
    maxOutputTokens: found.maxOutputTokens,
    price: { ...priceOf(id, DATE, found.usdPerMillion), source: SOURCE, date: DATE },
    known: true,
  };
}

export function unknownInfo(id: string, provider: string): ModelInfo {
  const maxOutputTokens = LIMITS.unknownMaxOutputTokens;
  return { id, provider, windowTokens: null, maxOutputTokens, price: null, known: false };
}

/** Integers of nano-USD per 1,000 tokens: a dollar for a million tokens is 1,000,000 of them. */
export function priceOf(id: string, date: string, usd: UsdPerMillion): Price {
  const nano = (dollars: number): number => Math.round(dollars * 1_000_000);
  return {
    id: `${id}@${date}`,
    input: nano(usd.input),
    cachedInput: nano(usd.cachedInput ?? usd.input),
    cacheWrite: nano(usd.cacheWrite ?? usd.input),
    output: nano(usd.output),
  };
}
