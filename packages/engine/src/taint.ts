/**
 * Whose words the model has read, as labels.
 *  X1 A label comes with the item that brings it into the context, and never leaves: neither a compaction nor a fork
 *     lifts it.
 *  X2 A call is ruled on by the labels of the context that its turn was built from.
 *  X3 The size of the state does not grow with what brings labels: the first source of each is kept.
 */
import type { CallOutcome } from './events.ts';
import type { Context } from './state.ts';
import type { Actor, Taint } from './values.ts';

/** Whether this is a person or a program that the tenant gave a key to. */
export const isTrusted = (by: Actor): boolean => by.kind === 'user' || by.kind === 'key';

export function markTaint(context: Context, labels: readonly Taint[], from: string, seq: number): void {
  const fresh = labels.filter((label) => context.taint.every((known) => known.label !== label));
  if (fresh.length > 0) context.taint = [...context.taint, ...fresh.map((label) => ({ label, from, seq }))];
}

/** The labels of a result, given those of its tool. What a person says of a call is no outside text. */
export function taintOf(outcome: CallOutcome, code: string | null, ofTool: readonly Taint[]): readonly Taint[] {
  return outcome !== 'denied' && outcome !== 'cancelled' && code !== 'by_person' ? ofTool : [];
}
