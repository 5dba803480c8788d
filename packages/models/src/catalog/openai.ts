/**
 * OpenAI's own models, as both of its interfaces know them.
 *
 * Images are counted by the guide "images and vision", section "calculating costs", read 2026-11-20. Models that count
 * tiles of 512 pixels scale to 2,048 pixels and a short side of 768: eight tiles at most. Models that count patches have
 * a budget of them and a factor. What a file counts is published nowhere (its text, and an image of each page).
 *
 * Prompts are cached from 1,024 tokens on, in steps of 128, for five minutes after their last use, from GPT-5.6 on for
 * thirty and at a price of their own (guide "prompt caching"). A prompt of more than 272,000 tokens makes its request
 * dearer from GPT-5.4 on. `gpt-5.6-sol` is not here: its price was cut twice, and the pages disagree.
 */
import type { Effort } from '@perdure/runtime/ports';
import type { Catalog, CatalogRow, LongPrompt, TierPrice, UsdPerMillion } from './row.ts';

const tiles = (base: number, each: number) => ({ maxTokens: base + 8 * each });
const patches = (budget: number, factor: number) => ({ maxTokens: Math.ceil(budget * factor) });
/** Of models that the guide's table of budgets no longer names: the largest budget of their kind. */
const PATCHES = 6_144;
const FILE = { maxTokens: null };

type Tokens = [window: number, output: number];
type Usd = [input: number, cachedInput: number, output: number];

const row = (
  [windowTokens, maxOutputTokens]: Tokens,
  [input, cachedInput, output]: Usd,
  more: Partial<CatalogRow>,
): CatalogRow => ({
  windowTokens,
  maxOutputTokens,
  usdPerMillion: { input, cachedInput, output },
  structured: true,
  cache: { minTokens: 1_024, stepTokens: 128, lifetimeMs: 5 * 60_000 },
  ...more,
});

const REASONS: readonly Effort[] = ['minimal', 'low', 'medium', 'high'];
const REASONS_MORE: readonly Effort[] = ['none', 'low', 'medium', 'high', 'xhigh'];
const O_REASONS: readonly Effort[] = ['low', 'medium', 'high'];

/** Twice the input, and half as much again for the output. */
const long = ({ input, cachedInput = input, cacheWrite = input, output }: UsdPerMillion): LongPrompt => ({
  aboveTokens: 272_000,
  input: 2 * input,
  cachedInput: 2 * cachedInput,
  cacheWrite: 2 * cacheWrite,
  output: 1.5 * output,
});

/** From GPT-5.6 on: what is written to the cache costs a quarter more than what is not. */
const written = (tokens: Tokens, [input, cachedInput, output]: Usd, more: Partial<CatalogRow> = {}): CatalogRow => {
  const usdPerMillion = { input, cachedInput, cacheWrite: 1.25 * input, output };
  return {
    ...row(tokens, [input, cachedInput, output], {}),
    usdPerMillion,
    longPrompt: long(usdPerMillion),
    // They count patches at the size an image has, and refuse one of more than 30,000.
    image: patches(30_000, 1.2),
    file: FILE,
    effort: REASONS_MORE,
    cache: { minTokens: 1_024, stepTokens: 128, lifetimeMs: 30 * 60_000 },
    ...more,
  };
};

/** Half the price for whoever can wait. */
const flex = ({ input, cachedInput = input, output }: UsdPerMillion): TierPrice => {
  const half = { input: input / 2, cachedInput: cachedInput / 2, output: output / 2 };
  return { ...half, longPrompt: long(half) };
};
const GPT_5_4 = { input: 2.5, cachedInput: 0.25, output: 15 };
const GPT_5_5 = { input: 5, cachedInput: 0.5, output: 30 };

const GPT_5: Tokens = [400_000, 128_000];
const GPT_4_1: Tokens = [1_047_576, 32_768];
const GPT_4O: Tokens = [128_000, 16_384];
const O: Tokens = [200_000, 100_000];
const MILLION: Tokens = [1_050_000, 128_000];

export const OPENAI_MODELS: Catalog = {
  source: 'https://developers.openai.com/api/docs/pricing',
  date: '2026-11-20',
  // The cheapest of its newest models; it reads as much as the largest of them.
  summarizer: 'gpt-6-luna',
  models: {
    'gpt-4o': row(GPT_4O, [2.5, 1.25, 10], { image: tiles(85, 170), file: FILE }),
    'gpt-4o-mini': row(GPT_4O, [0.15, 0.075, 0.6], { image: tiles(2_833, 5_667), file: FILE }),
    'gpt-4.1': row(GPT_4_1, [2, 0.5, 8], { image: tiles(85, 170), file: FILE }),
    'gpt-4.1-mini': row(GPT_4_1, [0.4, 0.1, 1.6], { image: patches(PATCHES, 1.62), file: FILE }),
    'gpt-4.1-nano': row(GPT_4_1, [0.1, 0.025, 0.4], { image: patches(PATCHES, 2.46), file: FILE }),
    'gpt-5': row(GPT_5, [1.25, 0.125, 10], { image: tiles(70, 140), file: FILE, effort: REASONS }),
    'gpt-5-mini': row(GPT_5, [0.25, 0.025, 2], { image: patches(PATCHES, 1.2), file: FILE, effort: REASONS }),
    'gpt-5-nano': row(GPT_5, [0.05, 0.005, 0.4], { image: patches(PATCHES, 1.5), file: FILE, effort: REASONS }),
    'gpt-5.1': row(GPT_5, [1.25, 0.125, 10], { image: tiles(70, 140), file: FILE, effort: ['none', ...O_REASONS] }),
    'gpt-5.2': row(GPT_5, [1.75, 0.175, 14], { image: patches(PATCHES, 1.2), file: FILE, effort: REASONS_MORE }),
    o1: row(O, [15, 7.5, 60], { image: tiles(75, 150), file: FILE, effort: O_REASONS }),
    o3: row(O, [2, 0.5, 8], { image: tiles(75, 150), file: FILE, effort: O_REASONS }),
    'o3-mini': row(O, [1.1, 0.55, 4.4], { effort: O_REASONS }),
    'gpt-5.4': row(MILLION, [2.5, 0.25, 15], {
      longPrompt: long(GPT_5_4),
      tiers: { flex: flex(GPT_5_4), priority: { input: 5, cachedInput: 0.5, output: 30 } },
      image: patches(2_500, 1.2),
      file: FILE,
      effort: REASONS_MORE,
    }),
    'gpt-5.4-mini': row(GPT_5, [0.75, 0.075, 4.5], { image: patches(2_500, 1.2), file: FILE, effort: REASONS_MORE }),
    'gpt-5.4-nano': row(GPT_5, [0.2, 0.02, 1.25], { image: patches(2_500, 1.2), file: FILE, effort: REASONS_MORE }),
    'gpt-5.5': row(MILLION, [5, 0.5, 30], {
      longPrompt: long(GPT_5_5),
      tiers: { flex: flex(GPT_5_5), priority: { input: 12.5, cachedInput: 1.25, output: 75 } },
      image: patches(10_000, 1.2),
      file: FILE,
      effort: REASONS_MORE,
    }),
    'gpt-5.6-terra': written(MILLION, [2, 0.2, 12]),
    'gpt-5.6-luna': written(MILLION, [0.2, 0.02, 1.2]),
    'gpt-6-astra': written(MILLION, [10, 1, 50], {
      tiers: { priority: { input: 20, cachedInput: 2, cacheWrite: 25, output: 100 } },
      effort: ['low', 'medium', 'high', 'xhigh', 'max'],
    }),
    'gpt-6-sol': written(MILLION, [2, 0.2, 10]),
    'gpt-6-luna': written(MILLION, [0.1, 0.01, 0.5]),
    'o4-mini': row(O, [1.1, 0.275, 4.4], { image: patches(PATCHES, 1.72), file: FILE, effort: O_REASONS }),
  },
};
