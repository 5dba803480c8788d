import type { Body, DamageReport, Digest, StoredFrame } from '@perdure/runtime/ports';
import { bodyDigest, frameHash } from '../chain.ts';
import { blob, integer, type Row } from './schema.ts';

export const FRAME_COLUMNS = 'first, count, hash, frame, bodies';

type PackedBody = [digest: Digest, salt: string, text: string];

/** Bodies lie in their frame's row as one JSON text; '' is none, NULL is erased. */
export function packBodies(bodies: readonly Body[]): string {
  if (bodies.length === 0) return '';
  return JSON.stringify(bodies.map(({ digest, salt, text }): PackedBody => [digest, salt, text]));
}

function unpackBodies(packed: string): Body[] {
  if (packed === '') return [];
  const bodies: PackedBody[] = JSON.parse(packed);
  return bodies.map(([digest, salt, text]) => ({ digest, salt, text }));
}

/** Where a chain stands while it is read. */
export type Place = { seq: number; hash: string };
export type Problem = Omit<DamageReport, 'session'>;

/** A row as a frame, with what is wrong with it: its place, its hash, its bodies. */
export function readFrame(row: Row, previous: Place): { frame: StoredFrame; problems: Problem[] } {
  const first = integer(row['first']);
  const count = integer(row['count']);
  const bytes = blob(row['frame']);
  const hash = blob(row['hash']).toString('hex');
  const problems: Problem[] = [];
  if (first !== previous.seq + 1) {
    problems.push({ code: 'gap', seq: previous.seq + 1, detail: `the entries up to ${first - 1} are missing` });
  } else if (frameHash(previous.hash, bytes) !== hash) {
    problems.push({ code: 'hash', seq: first, detail: 'the frame does not match its hash' });
  }
  const packed = row['bodies'];
  const erased = packed === null;
  let bodies: Body[] = [];
  try {
    if (typeof packed === 'string') bodies = unpackBodies(packed);
  } catch {
    problems.push({ code: 'body', seq: first, detail: 'the bodies cannot be read' });
  }
  for (const body of bodies) {
    if (bodyDigest(body) === body.digest) continue;
    problems.push({ code: 'body', seq: first, detail: `body ${body.digest} does not match its digest` });
  }
  return { frame: { first, count, bytes, hash, bodies, erased }, problems };
}

export function endOf({ first, count, hash }: StoredFrame): Place {
  return { seq: first + count - 1, hash };
}

/** What is wrong with a log that ends at `end` while its session's head says `head`. */
export function tailProblem(end: Place, head: Place): Problem | null {
  if (end.seq < head.seq) {
    return { code: 'gap', seq: end.seq + 1, detail: `the entries up to ${head.seq} are missing` };
  }
  if (end.seq === head.seq && end.hash !== head.hash) {
    return { code: 'hash', seq: end.seq, detail: 'the last frame is not the one the head names' };
  }
  return null;
}
