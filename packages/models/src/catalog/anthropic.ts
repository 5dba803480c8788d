/**
 * Claude models on Anthropic's own API: the pages "Pricing", "Models overview" and "Prompt caching" (5-minute writes),
 * "Images and vision" (28 px patches: at most 4,784 an image from Claude 4.7 on, 1,568 before; rounded up for what
 * stands around them). A PDF counts by its pages, text and image each: no bound but the window.
 */
import { traitsOf } from '../anthropic/traits.ts';
import { LIMITS } from '../limits.ts';
import type { Catalog, CatalogRow, UsdPerMillion } from './row.ts';

const FINE = { maxTokens: 5_000 };
const COARSE = { maxTokens: 1_700 };
const LIFETIME_MS = 5 * 60_000;
const MILLION = 1_000_000;

const usd = (input: number, output: number, cachedInput: number): UsdPerMillion => ({
  input,
  output,
  cachedInput,
  cacheWrite: input * 1.25,
});

/** `cacheFrom`: tokens below which nothing is cached. */
function row(model: string, usdPerMillion: UsdPerMillion | null, cacheFrom: number, given: Partial<CatalogRow> = {}) {
  const built: CatalogRow = {
    windowTokens: MILLION,
    maxOutputTokens: 128_000,
    usdPerMillion,
    image: FINE,
    file: { maxTokens: null },
    structured: true,
    effort: traitsOf(model).efforts,
    cache: { minTokens: cacheFrom, stepTokens: 1, lifetimeMs: LIFETIME_MS },
    ...given,
  };
  // "Compaction on demand" is of the models since 4.6; which of them it serves is for the provider to say.
  if (built.windowTokens === MILLION) built.compacts = { maxOutputTokens: LIMITS.compactionOutputTokens };
  return [model, built] as const;
}

const OLDER = { windowTokens: 200_000, maxOutputTokens: 64_000, image: COARSE };
/** A prompt above 100,000 tokens makes the whole request cost five times as much. */
const HAIKU_LONG = { longPrompt: { aboveTokens: 100_000, ...usd(0.5, 2.5, 0.05) } };

export const ANTHROPIC_MODELS: Catalog = {
  source: 'https://platform.claude.com/docs/en/about-claude/pricing',
  date: '2026-11-21',
  // The cheapest of its newest models; it reads as much as the others.
  summarizer: 'claude-haiku-5-5',
  models: Object.fromEntries([
    // Released on 2026-11-09; its price could not be read from the provider.
    row('claude-fable-5-2', null, 512),
    row('claude-fable-5-1', usd(10, 50, 0.25), 512),
    row('claude-mythos-5-1', usd(10, 50, 0.25), 512),
    row('claude-fable-5', usd(10, 50, 1), 512),
    row('claude-mythos-5', usd(10, 50, 1), 512),
    row('claude-opus-5-5', usd(4, 20, 0.2), 512),
    row('claude-sonnet-5-5', usd(2, 10, 0.1), 512),
    row('claude-haiku-5-5', usd(0.1, 0.5, 0.01), 512, HAIKU_LONG),
    row('claude-opus-5', usd(5, 25, 0.5), 512),
    row('claude-sonnet-5', usd(2, 10, 0.2), 1_024),
    row('claude-opus-4-8', usd(5, 25, 0.5), 1_024),
    row('claude-opus-4-7', usd(5, 25, 0.5), 2_048),
    row('claude-opus-4-6', usd(5, 25, 0.5), 4_096, { image: COARSE }),
    row('claude-sonnet-4-6', usd(3, 15, 0.3), 1_024, { image: COARSE }),
    row('claude-opus-4-5', usd(5, 25, 0.5), 4_096, OLDER),
    row('claude-opus-4-5-20251101', usd(5, 25, 0.5), 4_096, OLDER),
    row('claude-haiku-4-5', usd(1, 5, 0.1), 4_096, OLDER),
    row('claude-haiku-4-5-20251001', usd(1, 5, 0.1), 4_096, OLDER),
  ]),
};
