/** The shape of the catalog: what a provider publishes of its models, in its own units. */
import type { CacheRule, CompactsBound, Effort } from '@perdure/runtime/ports';

/** US dollars for a million tokens, as providers publish them. Without `cachedInput` or `cacheWrite`: as input. */
export type UsdPerMillion = { input: number; output: number; cachedInput?: number; cacheWrite?: number };

export type LongPrompt = UsdPerMillion & { aboveTokens: number };
export type TierPrice = UsdPerMillion & { longPrompt?: LongPrompt };

export type CatalogRow = {
  windowTokens: number;
  maxOutputTokens: number;
  /** Standard processing, text tokens; null: the provider publishes none. */
  usdPerMillion: UsdPerMillion | null;
  /** With a prompt of more tokens than this the whole request costs so. */
  longPrompt?: LongPrompt;
  /** What else than standard processing the provider sells for this model. */
  tiers?: { flex?: TierPrice; priority?: TierPrice };
  /** It takes images; the most tokens one of them counts, whatever its size, null where nobody says. */
  image?: { maxTokens: number | null };
  /** It takes files (PDF); the most tokens one of them counts, null where nobody says: then its window bounds them. */
  file?: { maxTokens: number | null };
  /** The provider holds it to a JSON Schema. */
  structured?: true;
  /** Levels of reasoning effort it takes; without: none. */
  effort?: readonly Effort[];
  cache?: CacheRule;
  /** The provider compacts its conversations itself; without: it does not. */
  compacts?: CompactsBound;
};

/**
 * The models of one provider by its own names for them, and where and when their rows were read. `summarizer` writes the
 * summaries of conversations with the others: the cheapest current one whose window holds what they read, as a rule.
 */
export type Catalog = {
  source: string;
  date: string;
  models: { readonly [model: string]: CatalogRow };
  summarizer?: string;
};
