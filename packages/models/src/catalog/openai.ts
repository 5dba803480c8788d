/** OpenAI's own models, as both of its interfaces know them. */
import type { Catalog, CatalogRow } from './row.ts';

const row = (
  windowTokens: number,
  maxOutputTokens: number,
  input: number,
  cachedInput: number,
  output: number,
): CatalogRow => ({ windowTokens, maxOutputTokens, usdPerMillion: { input, cachedInput, output }, structured: true });

export const OPENAI_MODELS: Catalog = {
  source: 'https://developers.openai.com/api/docs/pricing',
  date: '2026-11-20',
  models: {
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
  },
};
