/** Which catalog a provider's models are looked up in. */
import { ANTHROPIC_MODELS } from './anthropic.ts';
import { DEEPSEEK_MODELS } from './deepseek.ts';
import { GOOGLE_MODELS } from './google.ts';
import { GROQ_MODELS } from './groq.ts';
import { MISTRAL_MODELS } from './mistral.ts';
import { OPENAI_MODELS } from './openai.ts';
import type { Catalog } from './row.ts';
import { TOGETHER_MODELS } from './together.ts';

/** By the name that stands before the slash of a model's id. A provider that is not here has unknown models only. */
export const CATALOGS: { readonly [provider: string]: Catalog | undefined } = {
  openai: OPENAI_MODELS,
  'openai-chat': OPENAI_MODELS,
  anthropic: ANTHROPIC_MODELS,
  deepseek: DEEPSEEK_MODELS,
  google: GOOGLE_MODELS,
  groq: GROQ_MODELS,
  mistral: MISTRAL_MODELS,
  together: TOGETHER_MODELS,
};
