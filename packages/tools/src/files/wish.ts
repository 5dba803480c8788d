/** What a change makes of a file: the same in a folder and in a workspace. */
import { ToolFailure } from '../failure.ts';
import { digestOf } from './content.ts';
import type { Change, Wish } from './space.ts';
import { notFound, quote } from './space.ts';

export type Now = { bytes: Buffer; digest: string };

/**
 * The content that the wish asks for; the one that is there where it is met already (W1, W2 in `replace.ts`). Throws
 * ToolFailure `not_found`, `not_read`, `stale`, and what `change` throws.
 */
export function contentAfter(wish: Wish, shown: string, now: Now | null): Buffer | null {
  if (now?.digest === wish.digest) return wish.change(now?.bytes ?? null);
  if (wish.isDone(now?.bytes ?? null)) return now?.bytes ?? null;
  if (now === null) throw notFound(shown);
  if (wish.digest === undefined)
    throw new ToolFailure('not_read', `${quote(shown)} is there already: read it first, and give the digest it has.`);
  throw new ToolFailure(
    'stale',
    `${quote(shown)} is not as it was read: read it again, and give the digest it has now.`,
  );
}

export function changeOf(path: string, now: Now | null, content: Buffer | null): Change {
  const before = now === null ? null : { digest: now.digest, bytes: now.bytes.length };
  const after = content === null ? null : { digest: digestOf(content), bytes: content.length };
  if (before?.digest === after?.digest) return { path, did: 'kept', before, after };
  return { path, did: before === null ? 'created' : after === null ? 'deleted' : 'changed', before, after };
}
