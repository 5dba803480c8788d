/**
 * Images and files: what the bytes of a message do not bound.
 *  M1 A message is accepted only where each model of its route takes what it holds, and a session holds no more than one request carries.
 *  M2 Under a cap each image and file counts with the most tokens its model says; where none are said, nothing is sent.
 */
import { isBound } from './budget.ts';
import type { Facts, Rejection } from './commands.ts';
import { LIMITS } from './limits.ts';
import { membersOf } from './route.ts';
import type { Run, State } from './state.ts';
import type { Media, MediaBound, Member, Pin } from './values.ts';
import { addMedia, NO_MEDIA } from './values.ts';

/** Upper bound of the tokens that images and files count; null where nobody says. What is not taken is not sent. */
export function mediaTokens({ images, files }: Media, bound: MediaBound = {}): number | null {
  const image = images === 0 ? 0 : bound.image;
  const file = files === 0 ? 0 : bound.file;
  if (image === null || file === null) return null;
  return Math.min(images * (image ?? 0) + files * (file ?? 0), bound.most ?? Infinity);
}

/** What is sent as it is: where that changes, an earlier count is of another request. */
export const takesOf = (bound: { image?: unknown; file?: unknown } = {}): string =>
  (['image', 'file'] as const).filter((kind) => bound[kind] !== undefined).join();

/** Why a message with images and files cannot go to the models it is meant for (M1, M2); null: it can. */
export function refusalOfMedia(state: State, media: Media, pin: Pin, facts: Facts): Rejection | null {
  for (const member of membersOf(pin)) {
    const refusal = refusalBy(member, media, isBound(state, pin, facts));
    if (refusal !== null) return refusal;
  }
  const held = addMedia(heldBy(state), media);
  if (held.images + held.files <= LIMITS.sessionMedia && held.bytes <= LIMITS.sessionMediaBytes) return null;
  const most = `${LIMITS.sessionMedia} images and files of ${LIMITS.sessionMediaBytes} bytes together`;
  return { code: 'too_large', message: `a session holds at most ${most}: send fewer, or open another session` };
}

function refusalBy({ model, media: bound }: Member, media: Media, isCapped: boolean): Rejection | null {
  const { image, file } = bound ?? {};
  const untaken = media.images > 0 && image === undefined ? 'images' : null;
  const wanted = untaken ?? (media.files > 0 && file === undefined ? 'files' : null);
  if (wanted !== null) {
    const message = `model ${model} is not known to take ${wanted}: choose one that does, or say in the configuration that it does`;
    return { code: 'invalid_request', message, details: { model } };
  }
  if (mediaTokens(media, bound) !== null || !isCapped) return null;
  const message = `nobody says how many tokens an image or file counts with model ${model}, so it cannot run under a cap`;
  return { code: 'invalid_request', message, details: { model } };
}

/** What stands in the context, and what waits to. */
function heldBy(state: State): Media {
  let held = state.context.totalMedia;
  for (const id of state.queue) held = addMedia(held, state.runs.get(id)?.media ?? NO_MEDIA);
  const active = state.active === null ? undefined : state.runs.get(state.active);
  for (const steer of active?.steers ?? []) held = addMedia(held, steer.media ?? NO_MEDIA);
  return held;
}

/** Whether a run would send what no cap could hold (M2): its models are no longer those that its message was accepted for. */
export function isUnbounded(state: State, run: Run, pin: Pin, facts: Facts): boolean {
  const { totalMedia } = state.context;
  const media = run.steers.reduce((sum, steer) => addMedia(sum, steer.media ?? NO_MEDIA), totalMedia);
  return isBound(state, pin, facts) && membersOf(pin).some((member) => mediaTokens(media, member.media) === null);
}
