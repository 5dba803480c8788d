/**
 * What the model reads, as an ordered fold.
 *  C1 Results stand directly behind the turn that asked for them, in the order it asked; then what an answer did not
 *     fit, then steered messages.
 *  C2 Every call of a turn has its answer before the next turn is requested: the provider's history stays valid.
 *  C3 Folding an item costs the same however long the context is.
 *  C4 A summary stands for a beginning that ends between two groups (a message, a turn with its results); what the user
 *     asked of the active run stays behind it word for word.
 *  C5 What only one model can read stands for nothing to another one: what it stood for is kept, and read again then.
 */
import { LIMITS } from './limits.ts';
import type { RunId } from './ids.ts';
import { mediaTokens, takesOf } from './media.ts';
import type { Context, Item, ItemContent, Run, Slot, Turn } from './state.ts';
import { isTrusted, markTaint } from './taint.ts';
import type { Located, Media, Member, Pin } from './values.ts';
import { addMedia, lessMedia, NO_MEDIA } from './values.ts';

const bytesOf = (item: ItemContent): number =>
  (item.body?.bytes ?? LIMITS.itemOverheadBytes) + LIMITS.itemOverheadBytes;

export function addItem(context: Context, item: Item): void {
  const bytes = bytesOf(item);
  context.items.push(item);
  if (item.kind === 'message' && !item.trusted) markTaint(context, ['input'], item.run, item.seq);
  if (context.sinceCompaction !== null) context.sinceCompaction += bytes;
  context.newBytes += bytes;
  context.totalBytes += bytes;
  const media = item.kind === 'message' ? item.media : undefined;
  if (media === undefined) return;
  context.newMedia = addMedia(context.newMedia, media);
  context.totalMedia = addMedia(context.totalMedia, media);
}

/** Moves what the last turn led to into the context (C1). */
export function flushPending(context: Context, run: Run, seq: number): void {
  for (const item of pendingItems(run)) addItem(context, { ...item, seq });
  for (const { id, phase } of run.asked)
    if (phase.at === 'settled' && phase.taint !== undefined) markTaint(context, phase.taint, id, seq);
  run.asked = [];
  run.misfit = null;
  run.steers = [];
}

/** What the next entry that moves it (a turn's request, a compaction's, the end of the run) puts into the context. */
export function pendingItems(run: Run): ItemContent[] {
  const results = run.asked.flatMap((call): ItemContent[] =>
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
  const repair: ItemContent[] = run.misfit === null ? [] : [{ kind: 'repair', body: run.misfit }];
  const steers = run.steers.map((steer): ItemContent => ({ kind: 'message', run: run.id, ...steer }));
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
  // The runtime's own words are no outside text.
  if (!isTrusted(slot.by) && slot.by.kind !== 'system') markTaint(context, ['input'], `slot ${slot.key}`, slot.seq);
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

/** What the next request sends: tokens that its provider has counted or says of images and files, and bytes it has not. */
function inputOf(context: Context, run: Run | null, pin: Pin, member: Member): { tokens: number; bytes: number } {
  const { counted, newBytes, totalBytes, newMedia, totalMedia, slots } = context;
  const isCounted = counted?.model === member.model && counted.takes === takesOf(member.media);
  let media = isCounted ? newMedia : totalMedia;
  let bytes = 0;
  for (const item of run === null ? [] : pendingItems(run)) {
    bytes += bytesOf(item);
    media = addMedia(media, mediaOf(item));
  }
  const tokens = mediaTokens(media, member.media) ?? 0;
  if (isCounted) {
    const instructions = counted.pin === pin.hash ? 0 : pin.manifestBytes;
    return { tokens: tokens + counted.tokens, bytes: bytes + newBytes + instructions };
  }
  for (const slot of slots) bytes += bytesOfSlot(slot);
  return { tokens, bytes: bytes + totalBytes + pin.manifestBytes };
}

const mediaOf = (item: ItemContent): Media => (item.kind === 'message' ? (item.media ?? NO_MEDIA) : NO_MEDIA);

/**
 * Upper bound of the tokens the next request sends to a model: what was counted, one token a byte of what is new, and
 * what the model says of images and files.
 */
export function boundInputTokens(context: Context, run: Run | null, pin: Pin, member: Member): number {
  const { tokens, bytes } = inputOf(context, run, pin, member);
  return tokens + bytes;
}

/** About how many tokens that will be. */
export function estimateInputTokens(context: Context, run: Run | null, pin: Pin, member: Member): number {
  const { tokens, bytes } = inputOf(context, run, pin, member);
  return tokens + Math.ceil(bytes / LIMITS.bytesPerToken);
}

/** Bytes of all that a model would read now, what is about to enter included. */
export const contextBytes = (context: Context, run: Run | null): number =>
  context.totalBytes + (run === null ? 0 : itemsBytes(pendingItems(run)));

export type Cut = { upTo: number; removedBytes: number };

/**
 * What a summary would stand for (C4): all but the end of the context. `next` is the seq of the entry that is about to
 * move what a run has pending. Null: there is nothing but what stays.
 */
export function cutOf(context: Context, run: Run | null, next: number): Cut | null {
  const pending = run === null ? [] : pendingItems(run);
  const items = [...context.items, ...pending.map((item): Item => ({ ...item, seq: next }))];
  const room = Math.min(LIMITS.tailBytes, LIMITS.tailShare * contextBytes(context, run));
  const end = tailStart(items, room);
  return cutAt(items, end, run) ?? cutAt(items, items.length, run);
}

/** The first place from which on everything may stay as it is. */
function tailStart(items: readonly Item[], room: number): number {
  let place = items.length;
  let bytes = 0;
  for (let i = items.length - 1; i >= 0; i -= 1) {
    const item = items[i];
    if (item === undefined) break;
    bytes += bytesOf(item);
    if (bytes > room) break;
    const before = items[i - 1];
    if (item.kind !== 'result' && before !== undefined && before.seq < item.seq) place = i;
  }
  return place;
}

function cutAt(items: readonly Item[], end: number, run: Run | null): Cut | null {
  let removedBytes = 0;
  let removed = 0;
  for (const item of items.slice(0, end)) {
    if (isOfRun(item, run?.id ?? null)) continue;
    removedBytes += bytesOf(item);
    if (item.kind !== 'summary') removed += 1;
  }
  const last = items[end - 1];
  return removed === 0 || last === undefined ? null : { upTo: last.seq, removedBytes };
}

const isOfRun = (item: Item, run: RunId | null): boolean => item.kind === 'message' && item.run === run;

/**
 * The context with a summary in place of what entered it up to `upTo`; the log keeps what it stands for, and so does the
 * summary itself where `model` alone can read it.
 */
export function compacted(
  context: Context,
  upTo: number,
  summary: Located,
  active: RunId | null,
  model: string | null,
): Item[] {
  const first = context.items.findIndex(({ seq }) => seq > upTo);
  const end = first < 0 ? context.items.length : first;
  const before = context.items.slice(0, end);
  const stays = before.filter((item) => isOfRun(item, active)).map((item): Item => ({ ...item, seq: upTo }));
  const held = model === null ? {} : { held: { model, items: readable(before) } };
  return [{ kind: 'summary', body: summary, seq: upTo, ...held }, ...stays, ...context.items.slice(end)];
}

/** The items as any model can read them (C5). What stays word for word behind a summary is among what it stands for. */
export function readable(items: readonly Item[]): Item[] {
  const [summary, ...behind] = items;
  if (summary?.kind !== 'summary' || summary.held === undefined) return [...items];
  return [...summary.held.items, ...behind.filter(({ seq }) => seq > summary.seq)];
}

/** Whether it begins with what only another model can read. */
export function isClosedTo({ items }: Context, model: string): boolean {
  const [summary] = items;
  return summary?.kind === 'summary' && summary.held !== undefined && summary.held.model !== model;
}

/** All of it is new to who could not read it: it may be compacted again at once. */
export function restore(context: Context, seq: number): void {
  startAfresh(context, readable(context.items), seq);
  context.sinceCompaction = context.totalBytes;
}

export const itemsBytes = (items: readonly ItemContent[]): number =>
  items.reduce((sum, item) => sum + bytesOf(item), 0);

/** Nobody has counted the context that begins here. */
export function startAfresh(context: Context, items: Item[], seq: number): void {
  const bytes = itemsBytes(items);
  context.items = items;
  context.compactedAt = seq;
  context.sinceCompaction = 0;
  context.counted = null;
  context.prompt = null;
  context.newBytes = bytes;
  context.totalBytes = bytes;
  context.totalMedia = items.reduce((media, item) => addMedia(media, mediaOf(item)), NO_MEDIA);
  context.newMedia = context.totalMedia;
}
