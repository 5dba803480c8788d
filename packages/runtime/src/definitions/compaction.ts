/** What an agent says of conversations that grow long, and what that binds its runs to. */
import type { CompactionConfig, Pin } from '@perdure/engine';
import { z } from 'zod';
import type { ModelSource } from '../ports.ts';
import { memberOf } from './route.ts';

export const compactionSchema = z.strictObject({
  /** Who writes the summary, `provider/model`; default: the model of the run, which has most of it in its cache. */
  model: z.string().min(1).optional(),
  /** `false`: only when somebody asks, or a provider refuses the context as too long. */
  auto: z.boolean().optional(),
});

/** The members of a pin that say how it is done, beside its `own` model; null where another model is not to be had here. */
export function compactionOf(
  models: ModelSource,
  own: string,
  { model, auto }: CompactionConfig,
): Pick<Pin, 'summarizer' | 'compaction'> | null {
  const members: Pick<Pin, 'summarizer' | 'compaction'> = auto === false ? { compaction: 'asked' } : {};
  if (model === undefined || model === own) return members;
  const resolved = models.resolve(model);
  if (!resolved.ok) return null;
  const wanted = { maxOutputTokens: undefined, output: false, tier: undefined };
  const { instructed: _none, media: _text, cache: _cache, ...summarizer } = memberOf(resolved.info, wanted);
  return { ...members, summarizer };
}
