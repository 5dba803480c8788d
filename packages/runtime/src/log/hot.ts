/** A session in memory: its state, and what was read and written of it lately. */
import type { State } from '@perdure/engine';
import { fold } from '@perdure/engine';
import type { Prefix } from '../effects/assemble.ts';
import { emptyPrefix } from '../effects/assemble.ts';
import { LIMITS } from '../limits.ts';
import type { Head, RunRow, StoredFrame } from '../ports.ts';
import { decodeFrame } from './frame.ts';

export type Hot = {
  id: string;
  state: State;
  head: Head;
  prefix: Prefix;
  /** Bodies that were written or read lately, by digest. */
  bodies: Map<string, string>;
  /** Status of each run as its row in the index has it. */
  rows: Map<string, string>;
  /** The row of the run that ended last: whoever waited for it asks now. */
  ended: RunRow | null;
  title: string;
  snapshotAt: number;
  usedAt: number;
  /** When it went to the end of the line of those that leave. */
  movedAt: number;
  /** When its head was the store's, monotonic ms: before the store was asked. */
  confirmedAt: number;
  /** Of its next transitions so many are marked. */
  watched: number;
};

/** A session in memory of which only the state is known. */
export function blank(id: string, state: State): Hot {
  return {
    id,
    state,
    head: { seq: 0, hash: '' },
    prefix: emptyPrefix(''),
    bodies: new Map(),
    rows: new Map(),
    ended: null,
    title: '',
    snapshotAt: 0,
    usedAt: 0,
    movedAt: 0,
    confirmedAt: 0,
    watched: 0,
  };
}

export function catchUpWith(hot: Hot, frames: readonly StoredFrame[]): void {
  for (const frame of frames) {
    fold(decodeFrame(frame), hot.state);
    hot.head = { seq: frame.first + frame.count - 1, hash: frame.hash };
    for (const { digest, text } of frame.bodies) remember(hot, digest, text);
  }
}

/** Keeps the newest bodies only, and no large ones. */
export function remember(hot: Pick<Hot, 'bodies'>, digest: string, text: string): string {
  if (text.length > LIMITS.inlineBodyBytes) return text;
  hot.bodies.delete(digest);
  hot.bodies.set(digest, text);
  if (hot.bodies.size > LIMITS.hotBodies) {
    const oldest = hot.bodies.keys().next();
    if (!oldest.done) hot.bodies.delete(oldest.value);
  }
  return text;
}
