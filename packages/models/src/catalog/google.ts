/**
 * Gemini by Google's compatible endpoint. Images of Gemini 3 count 2,240 tokens at the highest resolution (guide "media
 * resolution"). How long a prompt stays cached is not said, so nothing is predicted of it.
 */
import type { Catalog, CatalogRow, UsdPerMillion } from './row.ts';

const row = (usdPerMillion: UsdPerMillion, more: Partial<CatalogRow> = {}): CatalogRow => ({
  windowTokens: 1_048_576,
  maxOutputTokens: 65_536,
  usdPerMillion,
  image: { maxTokens: 2_240 },
  structured: true,
  effort: ['low', 'medium', 'high'],
  ...more,
});

export const GOOGLE_MODELS: Catalog = {
  source: 'https://ai.google.dev/gemini-api/docs/pricing',
  date: '2026-11-20',
  // The cheapest one that is offered; all read as much.
  summarizer: 'gemini-2.5-flash',
  models: {
    // Until the end of 2026 half of this is billed.
    'gemini-3.8-flash': row({ input: 1.5, cachedInput: 0.15, output: 7.5 }),
    'gemini-3.5-flash': row({ input: 1.5, cachedInput: 0.15, output: 9 }),
    'gemini-3.1-pro-preview': row(
      { input: 2, cachedInput: 0.2, output: 12 },
      { longPrompt: { aboveTokens: 200_000, input: 4, cachedInput: 0.4, output: 18 } },
    ),
    'gemini-2.5-pro': row(
      { input: 1.25, cachedInput: 0.125, output: 10 },
      {
        image: { maxTokens: null },
        longPrompt: { aboveTokens: 200_000, input: 2.5, cachedInput: 0.25, output: 15 },
      },
    ),
    'gemini-2.5-flash': row(
      { input: 0.3, cachedInput: 0.03, output: 2.5 },
      { image: { maxTokens: null }, effort: ['none', 'low', 'medium', 'high'] },
    ),
  },
};
