import type { Body, DamageReport, StoredFrame } from '@perdure/runtime/ports';
import { bodyDigest, frameHash } from './chain.ts';

/**
 * Bodies lie in their frame's row one behind the other, each behind a line `digest salt length` (in UTF-16 units): their
 * texts are JSON, and are not escaped again. '' is none, NULL is erased.
 */
export function packBodies(bodies: readonly Body[]): string {
  let packed = '';
  for (const { digest, salt, text } of bodies) packed += `${digest} ${salt} ${text.length}\n${text}`;
  return packed;
}

/** Throws a RangeError for a text that `packBodies` did not make. */
function unpackBodies(packed: string): Body[] {
  const bodies: Body[] = [];
  for (let at = 0; at < packed.length;) {
    const end = packed.indexOf('\n', at);
    const [digest = '', salt = '', length = ''] = packed.slice(at, end).split(' ');
    const from = end + 1;
    const to = from + Number(length);
    if (end < 0 || length === '' || !(to >= from && to <= packed.length)) throw new RangeError('not bodies');
    bodies.push({ digest, salt, text: packed.slice(from, to) });
    at = to;
  }
  return bodies;
}

/** Where a chain stands while it is read. */
export type Place = { seq: number; hash: string };
export type Problem = Omit<DamageReport, 'session'>;

/** A frame as a database gives it; `packed` null: its bodies are erased; undefined: they cannot be read. */
export type FrameColumns = {
  first: number;
  count: number;
  bytes: Uint8Array;
  hash: string;
  packed: string | null | undefined;
};

/** A frame out of its columns, with what is wrong with it: its place, its hash, its bodies. */
export function checkedFrame(columns: FrameColumns, previous: Place): { frame: StoredFrame; problems: Problem[] } {
  const { first, count, bytes, hash, packed } = columns;
  const problems: Problem[] = [];
  if (first !== previous.seq + 1) {
    problems.push({ code: 'gap', seq: previous.seq + 1, detail: `the entries up to ${first - 1} are missing` });
  } else if (frameHash(previous.hash, bytes) !== hash) {
    problems.push({ code: 'hash', seq: first, detail: 'the frame does not match its hash' });
  }
  const erased = packed === null;
  let bodies: Body[] = [];
  try {
    if (packed === undefined) throw new RangeError('not bodies');
    if (packed !== null) bodies = unpackBodies(packed);
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
