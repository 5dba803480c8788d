/**
 * DeepSeek bills half of this outside its peak hours (UTC 01:00-04:00 and 06:00-10:00 on working days): what a request
 * can cost at most stands here. Cached prompts are kept for hours at least, in units of 64 tokens (guide "context
 * caching").
 */
import type { Catalog, CatalogRow } from './row.ts';

const both: Pick<CatalogRow, 'windowTokens' | 'maxOutputTokens' | 'effort' | 'cache'> = {
  windowTokens: 1_000_000,
  maxOutputTokens: 384_000,
  effort: ['low', 'high', 'max'],
  cache: { minTokens: 64, stepTokens: 64, lifetimeMs: 60 * 60_000 },
};
const FLASH: CatalogRow = {
  ...both,
  usdPerMillion: { input: 0.3, cachedInput: 0.006, output: 1.2 },
  image: { maxTokens: null },
};

export const DEEPSEEK_MODELS: Catalog = {
  source: 'https://api-docs.deepseek.com/quick_start/pricing',
  date: '2026-11-20',
  // The cheaper one; both read as much.
  summarizer: 'deepseek-flash',
  models: {
    'deepseek-flash': FLASH,
    // The name that it had before.
    'deepseek-v4-flash': FLASH,
    'deepseek-v4-pro': { ...both, usdPerMillion: { input: 1.32, cachedInput: 0.044, output: 3.96 } },
  },
};
