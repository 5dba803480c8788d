/**
 * OpenAI's own models, as both of its interfaces know them.
 *
 * Images are counted by the guide "images and vision", section "calculating costs", read 2026-11-20. Models that count
 * tiles of 512 pixels scale to 2,048 pixels and a short side of 768: eight tiles at most. Models that count patches have
 * a budget of them and a factor. What a file counts is published nowhere (its text, and an image of each page).
 */
import type { Catalog, CatalogRow } from './row.ts';

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
  ...more,
});

const GPT_5: Tokens = [400_000, 128_000];
const GPT_4_1: Tokens = [1_047_576, 32_768];
const GPT_4O: Tokens = [128_000, 16_384];
const O: Tokens = [200_000, 100_000];

export const OPENAI_MODELS: Catalog = {
  source: 'https://developers.openai.com/api/docs/pricing',
  date: '2026-11-20',
  models: {
    'gpt-4o': row(GPT_4O, [2.5, 1.25, 10], { image: tiles(85, 170), file: FILE }),
    'gpt-4o-mini': row(GPT_4O, [0.15, 0.075, 0.6], { image: tiles(2_833, 5_667), file: FILE }),
    'gpt-4.1': row(GPT_4_1, [2, 0.5, 8], { image: tiles(85, 170), file: FILE }),
    'gpt-4.1-mini': row(GPT_4_1, [0.4, 0.1, 1.6], { image: patches(PATCHES, 1.62), file: FILE }),
    'gpt-4.1-nano': row(GPT_4_1, [0.1, 0.025, 0.4], { image: patches(PATCHES, 2.46), file: FILE }),
    'gpt-5': row(GPT_5, [1.25, 0.125, 10], { image: tiles(70, 140), file: FILE }),
    'gpt-5-mini': row(GPT_5, [0.25, 0.025, 2], { image: patches(PATCHES, 1.2), file: FILE }),
    'gpt-5-nano': row(GPT_5, [0.05, 0.005, 0.4], { image: patches(PATCHES, 1.5), file: FILE }),
    'gpt-5.1': row(GPT_5, [1.25, 0.125, 10], { image: tiles(70, 140), file: FILE }),
    'gpt-5.2': row(GPT_5, [1.75, 0.175, 14], { image: patches(PATCHES, 1.2), file: FILE }),
    o1: row(O, [15, 7.5, 60], { image: tiles(75, 150), file: FILE }),
    o3: row(O, [2, 0.5, 8], { image: tiles(75, 150), file: FILE }),
    'o3-mini': row(O, [1.1, 0.55, 4.4], {}),
    'o4-mini': row(O, [1.1, 0.275, 4.4], { image: patches(PATCHES, 1.72), file: FILE }),
  },
};
