/**
 * What the model reads, as an ordered fold.
 *  C1 Results stand directly behind the turn that asked for them, in the order it asked; then what an answer did not
 *     fit, then steered messages.
 *  C2 Every call of a turn has its answer before the next turn is requested: the provider's history stays valid.
 *  C3 Folding an item costs the same however long the context is.
 */
import { LIMITS } from './limits.ts';
import { mediaTokens, takesOf } from './media.ts';
import type { Context, Item, Run, Slot, Turn } from './state.ts';
import type { Member, Pin } from './values.ts';
import { addMedia, lessMedia, NO_MEDIA } from './values.ts';

const bytesOf = (item: Item): number => (item.body?.bytes ?? LIMITS.itemOverheadBytes) + LIMITS.itemOverheadBytes;

export function addItem(context: Context, item: Item): void {
  const bytes = bytesOf(item);
  context.items.push(item);
  context.newBytes += bytes;
  context.totalBytes += bytes;
  const media = item.kind === 'message' ? item.media : undefined;
  if (media === undefined) return;
  context.newMedia = addMedia(context.newMedia, media);
  context.totalMedia = addMedia(context.totalMedia, media);
}

/** Moves what the last turn led to into the context (C1). */
export function flushPending(context: Context, run: Run): void {
  for (const item of pendingItems(run)) addItem(context, item);
  run.asked = [];
  run.misfit = null;
  run.steers = [];
}

export function pendingItems(run: Run): Item[] {
  const results = run.asked.flatMap((call): Item[] =>
    call.phase.at === 'settled'
      ? [
          {
            kind: 'result',
            call: call.id,
            providerId: call.providerId,
            name: call.name,
            outcome: call.phase.outcome,
            code: call.phase.code,
            body: call.phase.result,
          },
        ]
      : [],
  );
  const repair: Item[] = run.misfit === null ? [] : [{ kind: 'repair', body: run.misfit }];
  const steers = run.steers.map((steer): Item => ({ kind: 'message', ...steer }));
  return [...results, ...repair, ...steers];
}

/** A slot is read under its key, of which a UTF-16 unit is at most three bytes. */
const bytesOfSlot = ({ key, bytes }: Slot): number => bytes + 3 * key.length + LIMITS.itemOverheadBytes;

export const slotOf = (context: Context, key: string): Slot | undefined =>
  context.slots.find((slot) => slot.key === key);

/** A slot is read anew by the next request: until that is counted, its bytes are new. */
export function setSlot(context: Context, slot: Slot): void {
  const place = context.slots.findIndex(({ key }) => key === slot.key);
  context.slots = place < 0 ? [...context.slots, slot] : context.slots.with(place, slot);
  context.revision = slot.revision;
  context.newBytes += bytesOfSlot(slot);
}

export function unsetSlot(context: Context, key: string): void {
  context.slots = context.slots.filter((slot) => slot.key !== key);
}

/** The provider counted what a turn sent, and what it answered: what came meanwhile stays uncounted. */
export function countTurn(context: Context, turn: Turn, answer: Item, tokens: number, pin: Pin, member: Member): void {
  context.newBytes -= turn.sentBytes + bytesOf(answer);
  context.newMedia = lessMedia(context.newMedia, turn.sentMedia);
  context.counted = { tokens, model: member.model, pin: pin.hash, takes: takesOf(member.media) };
}

/**
 * Upper bound of the tokens the next request sends to a model: what was counted, one token a byte of what is new, and
 * what the model says of images and files.
 */
export function boundInputTokens(context: Context, run: Run, pin: Pin, member: Member): number {
  const { counted, newBytes, totalBytes, newMedia, totalMedia, slots } = context;
  let pending = 0;
  const isCounted = counted?.model === member.model && counted.takes === takesOf(member.media);
  let media = isCounted ? newMedia : totalMedia;
  for (const item of pendingItems(run)) {
    pending += bytesOf(item);
    if (item.kind === 'message') media = addMedia(media, item.media ?? NO_MEDIA);
  }
  pending += mediaTokens(media, member.media) ?? 0;
  if (isCounted) return counted.tokens + newBytes + pending + (counted.pin === pin.hash ? 0 : pin.manifestBytes);
  for (const slot of slots) pending += bytesOfSlot(slot);
  return pin.manifestBytes + totalBytes + pending;
}
