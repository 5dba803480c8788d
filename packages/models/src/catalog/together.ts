/** Open models as Together serves them. Which prompts are read from its cache is not said. */
import type { Catalog } from './row.ts';

export const TOGETHER_MODELS: Catalog = {
  source: 'https://www.together.ai/pricing',
  date: '2026-11-20',
  // The cheapest one that calls tools and reads a million tokens.
  summarizer: 'deepseek-ai/DeepSeek-V4.1-Flash',
  models: {
    'zai-org/GLM-5.3': {
      windowTokens: 1_048_575,
      maxOutputTokens: 262_144,
      usdPerMillion: { input: 1.4, cachedInput: 0.26, output: 4.4 },
      effort: ['low', 'high', 'max'],
    },
    'deepseek-ai/DeepSeek-V4.1-Flash': {
      windowTokens: 1_000_000,
      maxOutputTokens: 384_000,
      usdPerMillion: { input: 0.3, cachedInput: 0.006, output: 1.2 },
      effort: ['low', 'high', 'max'],
    },
  },
};
