/** Names that end in `latest` move on: they stand for what they were when this was read. */
import type { Catalog, CatalogRow } from './row.ts';

const row = (input: number, output: number, more: Partial<CatalogRow> = {}): CatalogRow => ({
  windowTokens: 262_144,
  // The whole window, the prompt included: an answer is not longer than this.
  maxOutputTokens: 131_072,
  // Cached: a tenth (https://docs.mistral.ai/studio-api/conversations/advanced/prompt-caching).
  usdPerMillion: { input, cachedInput: input / 10, output },
  image: { maxTokens: null },
  structured: true,
  ...more,
});

export const MISTRAL_MODELS: Catalog = {
  source: 'https://mistral.ai/pricing',
  date: '2026-11-20',
  // The cheaper one, in spite of its name; both read as much.
  summarizer: 'mistral-large-latest',
  models: {
    'mistral-large-2512': row(0.5, 1.5),
    'mistral-large-latest': row(0.5, 1.5),
    'mistral-medium-2604': row(1.5, 7.5, { effort: ['none', 'high'] }),
    'mistral-medium-latest': row(1.5, 7.5, { effort: ['none', 'high'] }),
  },
};
