/** Cached prompts are kept for two hours after their last use; from 128 to 1,024 tokens on, by model (guide "prompt caching"). */
import type { Catalog, CatalogRow } from './row.ts';

const cache = { minTokens: 1_024, stepTokens: 128, lifetimeMs: 2 * 60 * 60_000 };
const gptOss = (input: number, output: number): CatalogRow => ({
  windowTokens: 131_072,
  maxOutputTokens: 65_536,
  usdPerMillion: { input, cachedInput: input / 2, output },
  structured: true,
  effort: ['low', 'medium', 'high'],
  cache,
});

export const GROQ_MODELS: Catalog = {
  source: 'https://groq.com/pricing',
  date: '2026-11-20',
  // The smallest one; all read about as much.
  summarizer: 'openai/gpt-oss-20b',
  models: {
    'openai/gpt-oss-120b': gptOss(0.15, 0.6),
    'openai/gpt-oss-20b': gptOss(0.075, 0.3),
    'qwen/qwen3.8-27b': {
      windowTokens: 131_042,
      maxOutputTokens: 16_384,
      usdPerMillion: { input: 0.8, cachedInput: 0.4, output: 4 },
      image: { maxTokens: null },
    },
  },
};
