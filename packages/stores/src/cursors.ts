import { StoreError } from './errors.ts';

/** Which list a cursor belongs to: one of another list is not taken. */
export type CursorKind = 's' | 'r' | 'd' | 'f' | 't';

/** An opaque place in a list of one tenant: the tenant's own counter, so that nothing of others shows. */
export function encodeCursor(kind: CursorKind, place: number): string {
  return kind + place.toString(36);
}

/** The place a cursor stands for. Throws `bad_cursor` for anything `encodeCursor` did not give for this kind. */
export function decodeCursor(kind: CursorKind, cursor: string): number {
  const place = Number.parseInt(cursor.slice(1), 36);
  if (!Number.isSafeInteger(place) || place < 0 || encodeCursor(kind, place) !== cursor) {
    throw new StoreError('bad_cursor', 'not a cursor of this list');
  }
  return place;
}
