import type { StoredFrame } from '@perdure/runtime/ports';
import { checkedFrame, type Place, type Problem } from '../frames.ts';
import { blob, integer, type Row } from './schema.ts';

export const FRAME_COLUMNS = 'first, count, hash, frame, bodies';

/** A row as a frame, with what is wrong with it: its place, its hash, its bodies. */
export function readFrame(row: Row, previous: Place): { frame: StoredFrame; problems: Problem[] } {
  const packed = row['bodies'];
  const columns = {
    first: integer(row['first']),
    count: integer(row['count']),
    bytes: blob(row['frame']),
    hash: blob(row['hash']).toString('hex'),
    // A flipped bit can make another type of it.
    packed: typeof packed === 'string' || packed === null ? packed : undefined,
  };
  return checkedFrame(columns, previous);
}
