/**
 * Who compacts a conversation: whoever comes first and fits.
 *  K1 The provider of the model that reads it, where it does that itself and is not told to leave it; then a cheap model of
 *     the same provider, unless another one was named; then who was named, or the model of the conversation.
 *  K2 Who has failed at this compaction is not asked for it again; the last one is the last word.
 *  K3 Nobody is sent a conversation by default whose provider the user did not choose for it.
 */
import type { TurnPlan } from './budget.ts';
import { planRequest } from './budget.ts';
import type { Facts, Input } from './commands.ts';
import { boundInputTokens, estimateInputTokens, itemsBytes, pendingItems, readable } from './context.ts';
import { LIMITS } from './limits.ts';
import { isUnbounded } from './media.ts';
import { readerOf, summarizerOf } from './route.ts';
import type { Run, State } from './state.ts';
import type { CompactedBy, CompactionCause, Pin, PinnedModel } from './values.ts';

export type Compactor = {
  by: CompactedBy | null;
  model: PinnedModel;
  /** It is sent at most so many bytes of the conversation, as a text; null: it reads it as its own turns did. */
  inputBytes: number | null;
  /** The most it may write, and the least that is worth asking for. */
  output: number;
  least: number;
};

export const compactorKey = (by: CompactedBy | null, model: string): string => `${by ?? 'summary'} ${model}`;

/** In the order in which they are tried. */
export function compactorsOf(
  state: State,
  run: Run | null,
  pin: Pin,
  cause: CompactionCause,
  facts: Facts,
): Compactor[] {
  const optional = [nativeOf(state, run, pin, cause, facts), cheapOf(state, run, pin, cause)];
  const left = optional.filter(
    (each) => each !== null && !state.compactorsTried.includes(compactorKey(each.by, each.model.model)),
  );
  return [...left, summaryOf(state, run, pin, cause, facts)].filter((each) => each !== null);
}

/** What it writes cannot be bounded by whoever asks, so nothing is shrunk. */
function nativeOf(state: State, run: Run | null, pin: Pin, cause: CompactionCause, facts: Facts): Compactor | null {
  const reader = readerOf(run, pin);
  const { compacts } = reader;
  // Its provider has just said that it cannot read so much.
  if (compacts === undefined || cause === 'overflow' || (run !== null && isUnbounded(state, run, pin, facts)))
    return null;
  if (compacts.opaque === true && !isHoldable(state)) return null;
  const output = compacts.maxOutputTokens;
  return { by: 'native', model: reader, inputBytes: null, output, least: output };
}

/** Whether what an opaque item would stand for may be kept beside it: images and files would travel with it. */
function isHoldable({ context }: State): boolean {
  const { images, files } = context.totalMedia;
  return images + files === 0 && readable(context.items).length <= LIMITS.heldItems;
}

/** It is not asked where it would not read the whole, nor where the run has left the provider that it is of (K3). */
function cheapOf(state: State, run: Run | null, pin: Pin, cause: CompactionCause): Compactor | null {
  const { summarizer } = pin;
  if (summarizer?.cheap !== true || (run !== null && run.passed.length > 0)) return null;
  const whole = wholeBytes(state, run);
  return whole > roomOf(summarizer) ? null : writer('cheap', summarizer, textBytes(whole, summarizer, cause));
}

function summaryOf(state: State, run: Run | null, pin: Pin, cause: CompactionCause, facts: Facts): Compactor {
  const model = summarizerOf(run, pin);
  const asText = textBytes(wholeBytes(state, run), model, cause);
  const isOther = pin.summarizer !== undefined && pin.summarizer.cheap !== true;
  if (cause === 'overflow' || isOther || (run !== null && isUnbounded(state, run, pin, facts)))
    return writer(null, model, asText);
  // It reads the conversation as its own turns did, up to the same prefix, of which it may have most in its cache.
  const bytes = estimateInputTokens(state.context, run, pin, readerOf(run, pin)) * LIMITS.bytesPerToken;
  return writer(null, model, bytes <= roomOf(model) ? null : asText);
}

function writer(by: CompactedBy | null, model: PinnedModel, inputBytes: number | null): Compactor {
  const output = outputOf(model);
  return { by, model, inputBytes, output, least: Math.min(LIMITS.minSummaryTokens, output) };
}

/** Bytes of what a text of the conversation is made of. */
const wholeBytes = ({ context }: State, run: Run | null): number =>
  itemsBytes(readable(context.items)) + (run === null ? 0 : itemsBytes(pendingItems(run)));

function textBytes(whole: number, model: PinnedModel, cause: CompactionCause): number {
  const fits = Math.min(roomOf(model), cause === 'overflow' ? Math.floor(whole / 2) : whole);
  return Math.max(LIMITS.minCompactionBytes, fits);
}

/** About how many bytes a model can read beside the instructions and the summary. */
function roomOf(model: PinnedModel): number {
  const { windowTokens } = model;
  if (windowTokens === undefined) return Number.POSITIVE_INFINITY;
  const room = (windowTokens - outputOf(model)) * LIMITS.bytesPerToken - LIMITS.compactionPromptBytes;
  return Math.max(0, Math.floor(room));
}

const outputOf = (model: PinnedModel): number => Math.min(LIMITS.summaryTokens, model.maxOutputTokens);

/** What its request reserves, at its own price. */
export function planCompaction(state: State, run: Run | null, pin: Pin, compactor: Compactor, input: Input): TurnPlan {
  const { model, inputBytes, output, least } = compactor;
  const sent = inputBytes ?? boundInputTokens(state.context, run, pin, readerOf(run, pin));
  const inputTokens = sent + LIMITS.compactionPromptBytes;
  return planRequest(state, run, pin, input, { inputTokens, output, least, price: model.price });
}
