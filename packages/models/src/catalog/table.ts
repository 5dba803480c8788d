/** Which catalog a provider's models are looked up in. */
import { ANTHROPIC_MODELS } from './anthropic.ts';
import { OPENAI_MODELS } from './openai.ts';
import type { Catalog } from './row.ts';

/** By the name that stands before the slash of a model's id. A provider that is not here has unknown models only. */
export const CATALOGS: { readonly [provider: string]: Catalog | undefined } = {
  openai: OPENAI_MODELS,
  'openai-chat': OPENAI_MODELS,
  anthropic: ANTHROPIC_MODELS,
};
