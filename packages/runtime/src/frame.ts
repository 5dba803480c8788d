/**
 * Frames: the exact bytes of one append. What its entries share (time, input, actor) is written once, and what every
 * reader can put back is left out (see packing.ts): a round costs a few kilobytes, for ever.
 */
import type { Entry } from '@perdure/engine';
import { LIMITS as ENGINE } from '@perdure/engine';
import { chainHash } from './digest.ts';
import type { Packed } from './packing.ts';
import { packEntry, unpackEntry } from './packing.ts';
import type { Frame, StoredFrame } from './ports.ts';

type FrameBody = { seq: number; at: number; input: string; by: Entry['by']; entries: Packed[] };

/** The entries of one append do not fit into a frame: the input is refused, nothing is written. */
export class FrameTooLarge extends Error {
  readonly code = 'too_large';
}

/** An entry whose kind or version this build does not know: data of a newer Perdure. */
export class UnknownEntry extends Error {
  readonly code = 'unknown_entry';
}

/** Brings an entry of an earlier version to today's. Pure; keyed by kind and version, one step each. */
export type Upcasters = { readonly [kindAndVersion: string]: (entry: Packed) => Packed };
const UPCASTERS: Upcasters = {};
const NEWEST = 1;

export function encodeFrame(entries: readonly Entry[], previousHash: string): Frame {
  const first = entries[0];
  if (first === undefined) throw new RangeError('a frame has at least one entry');
  const body: FrameBody = {
    seq: first.seq,
    at: first.at,
    input: first.input,
    by: first.by,
    entries: entries.map(packEntry),
  };
  const bytes = Buffer.from(JSON.stringify(body));
  if (bytes.length > ENGINE.frameBytes)
    throw new FrameTooLarge(`the frame has ${bytes.length} bytes, at most ${ENGINE.frameBytes}`);
  return { first: first.seq, count: entries.length, bytes, hash: chainHash(previousHash, bytes) };
}

/** Entries of a stored frame, upcast. Its hash has been checked by the store. */
export function decodeFrame(frame: Pick<StoredFrame, 'bytes'>): Entry[] {
  const { bytes } = frame;
  const body = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as FrameBody;
  return body.entries.map((packed, index) => {
    const current = upcast(unpackEntry(packed));
    return {
      ...current,
      v: current.v ?? 1,
      seq: body.seq + index,
      at: body.at,
      input: body.input,
      by: body.by,
    } as Entry;
  });
}

function upcast(packed: Packed): Packed {
  let current = packed;
  for (;;) {
    const step = UPCASTERS[`${current.kind}@${current.v ?? 1}`];
    if (step === undefined) break;
    current = step(current);
  }
  if ((current.v ?? 1) > NEWEST + 1)
    throw new UnknownEntry(`${current.kind} version ${current.v} is of a newer Perdure`);
  return current;
}
