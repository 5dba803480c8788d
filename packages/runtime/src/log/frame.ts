/**
 * Frames: the exact bytes of one append. What its entries share (time, input, actor) is written once, and what every
 * reader can put back is left out (see packing.ts): a round costs a few kilobytes, for ever.
 */
import type { Actor, Entry, EventKind } from '@perdure/engine';
import { LIMITS as ENGINE } from '@perdure/engine';
import { chained } from './digest.ts';
import type { Packed } from './packing.ts';
import { packEntry, unpackEntry } from './packing.ts';
import type { Frame, StoredFrame } from '../ports.ts';

/** `by` is missing where it is `PERFORMER`. */
type FrameBody = { seq: number; at: number; input: string; by?: Actor; entries: Packed[] };

/** Who brings outcomes, and so writes most frames. Never changes: frames that lie in stores mean it. */
const PERFORMER: Actor = { kind: 'system', id: 'perform' };
const isPerformer = ({ kind, id }: Actor): boolean => kind === PERFORMER.kind && id === PERFORMER.id;

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

/** The version this build writes of each kind; it reads one further, so that new and old processes share data. */
const NEWEST: { readonly [K in EventKind]: number } = {
  'session.opened': 1,
  'session.configured': 1,
  'session.closing': 1,
  'session.closed': 1,
  'session.forked': 1,
  'session.moved': 1,
  'session.arrived': 1,
  'run.queued': 1,
  'run.steered': 1,
  'run.started': 1,
  'run.held': 1,
  'run.released': 1,
  'run.cancelling': 1,
  'run.limited': 1,
  'run.ended': 1,
  'turn.requested': 1,
  'turn.accepted': 1,
  'turn.attempted': 1,
  'turn.failed': 1,
  'turn.settled': 1,
  'call.requested': 1,
  'call.attempted': 1,
  'call.failed': 1,
  'call.unknown': 1,
  'call.settled': 1,
  'wait.opened': 1,
  'wait.resolved': 1,
  'budget.raised': 1,
  'budget.overrun': 1,
  'context.set': 1,
  'context.unset': 1,
  'context.compacted': 1,
  'context.restored': 1,
  'compaction.asked': 1,
  'compaction.requested': 1,
  'compaction.attempted': 1,
  'compaction.failed': 1,
  'compaction.settled': 1,
  'workspace.changed': 1,
  'effect.late': 1,
};

/** Every kind of entry that this build writes. */
export const ENTRY_KINDS: readonly string[] = Object.keys(NEWEST);

export function encodeFrame(entries: readonly Entry[], previousHash: string): Frame {
  const first = entries[0];
  if (first === undefined) throw new RangeError('a frame has at least one entry');
  const { seq, at, input, by } = first;
  const packed = entries.map(packEntry);
  const body: FrameBody = isPerformer(by)
    ? { seq, at, input, entries: packed }
    : { seq, at, input, by, entries: packed };
  const { bytes, hash } = chained(previousHash, JSON.stringify(body));
  if (bytes.length > ENGINE.frameBytes)
    throw new FrameTooLarge(`the frame has ${bytes.length} bytes, at most ${ENGINE.frameBytes}`);
  return { first: seq, count: entries.length, bytes, hash };
}

/** Entries of a stored frame, upcast. Its hash has been checked by the store. Throws UnknownEntry. */
export function decodeFrame(frame: Pick<StoredFrame, 'bytes'>, upcasters: Upcasters = UPCASTERS): Entry[] {
  const { bytes } = frame;
  const body = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString()) as FrameBody;
  const { seq, at, input, by = PERFORMER } = body;
  return body.entries.map((packed, index) => {
    const current = upcast(unpackEntry(packed, input), upcasters);
    return { ...current, v: current.v ?? 1, seq: seq + index, at, input, by } as Entry;
  });
}

function upcast(packed: Packed, upcasters: Upcasters): Packed {
  let current = packed;
  for (;;) {
    const step = upcasters[`${current.kind}@${current.v ?? 1}`];
    if (step === undefined) break;
    current = step(current);
  }
  const newest = Object.hasOwn(NEWEST, current.kind) ? NEWEST[current.kind] : -1;
  if ((current.v ?? 1) > newest + 1)
    throw new UnknownEntry(
      `an entry ${current.kind} of version ${current.v ?? 1} is of a newer Perdure: open this data with that version`,
    );
  return current;
}
