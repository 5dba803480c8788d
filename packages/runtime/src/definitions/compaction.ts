/** What an agent says of conversations that grow long, and what that binds its runs to. */
import type { CompactionConfig, Pin, Unfit } from '@perdure/engine';
import { z } from 'zod';
import type { ModelInfo, ModelSource } from '../ports.ts';
import { memberOf } from './route.ts';

export const compactionSchema = z.strictObject({
  /** Who writes the summary, `provider/model`; default: a cheap model of the same provider, or the model of the run. */
  model: z.string().min(1).optional(),
  /** `false`: only when somebody asks, or a provider refuses the context as too long. */
  auto: z.boolean().optional(),
  /** `never`: also where the provider of the run's model compacts itself; default where a model is named. */
  native: z.enum(['auto', 'never']).optional(),
});

/** Whether the provider of the run's model is to do it, where it does. */
export const isNative = ({ model, native }: CompactionConfig): boolean =>
  (native ?? (model === undefined ? 'auto' : 'never')) === 'auto';

/** The members of a pin that say how it is done, beside its `own` model; or why another model is not to be had here. */
export function compactionOf(
  models: ModelSource,
  own: ModelInfo,
  { model, auto }: CompactionConfig,
): Pick<Pin, 'summarizer' | 'compaction'> | Unfit {
  const members: Pick<Pin, 'summarizer' | 'compaction'> = auto === false ? { compaction: 'asked' } : {};
  if (model === own.id) return members;
  if (model === undefined) {
    const summarizer = cheapFor(models, own);
    return summarizer === null ? members : { ...members, summarizer };
  }
  const resolved = models.resolve(model);
  if (!resolved.ok) return { unfit: resolved.message, path: 'compaction.model' };
  return { ...members, summarizer: writerOf(resolved.info) };
}

/** Nobody named it: it is asked only where its price is known, and less than that of the model itself. */
function cheapFor(models: ModelSource, own: ModelInfo): NonNullable<Pin['summarizer']> | null {
  const resolved = own.summarizer === undefined || own.summarizer === own.id ? null : models.resolve(own.summarizer);
  if (resolved?.ok !== true || resolved.info.price === null) return null;
  const isCheaper = own.price === null || resolved.info.price.input < own.price.input;
  return isCheaper ? { ...writerOf(resolved.info), cheap: true } : null;
}

function writerOf(info: ModelInfo): NonNullable<Pin['summarizer']> {
  const wanted = { maxOutputTokens: undefined, output: false, tier: undefined, native: false };
  const { instructed: _none, media: _text, cache: _cache, ...writer } = memberOf(info, wanted);
  return writer;
}
