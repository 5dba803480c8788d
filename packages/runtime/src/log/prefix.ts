/** What a prefix of a log leads to: folded apart from the hot session, with the rows of the runs that ended in it. */
import type { Entry, State } from '@perdure/engine';
import { evolve, freshState } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import type { Head, LogStore, Origin, RunRow, StoredFrame } from '../ports.ts';
import { decodeFrame } from './frame.ts';
import { endedRow } from './views.ts';

/** Where a session begins that is born of frames which are there already. */
export type Base = { state: State; head: Head; rows: RunRow[]; title: string };
/** How a session is born: where its frames come from, and what they lead to. `base` may be asked for again. */
export type Birth = { origin: Origin; base(): Promise<Base> };

/** The place is inside a frame, or beyond the log. `before` and `after` are the nearest ends of frames. */
export class NoBoundary extends Error {
  readonly code = 'no_boundary';
  readonly details: { before?: number; after?: number; head?: number };
  constructor(message: string, details: NoBoundary['details']) {
    super(message);
    this.details = details;
  }
}

export class PrefixFold {
  readonly state: State = freshState();
  readonly rows: RunRow[] = [];
  head: Head = { seq: 0, hash: '' };

  /** Takes the next frame, whose place and hash have been checked. Throws UnknownEntry; returns its entries. */
  add(frame: Pick<StoredFrame, 'first' | 'count' | 'hash' | 'bytes'>): Entry[] {
    const entries = decodeFrame(frame);
    for (const entry of entries) {
      const run = entry.kind === 'run.ended' && entry.run !== undefined ? this.state.runs.get(entry.run) : undefined;
      if (run !== undefined && entry.kind === 'run.ended') this.rows.push(endedRow(this.state, run, entry));
      evolve(this.state, entry);
    }
    this.head = { seq: frame.first + frame.count - 1, hash: frame.hash };
    return entries;
  }
}

export type Reading = {
  log: Pick<LogStore, 'get' | 'read'>;
  /** Runs what folds a page of this session in one go (see marks.ts). */
  alone: <T>(session: string, work: () => T) => T;
};

/**
 * Folds a session up to `at`; null: up to its head. Null when there is no such session. Throws NoBoundary, UnknownEntry,
 * StoreDamage where the damage is before that place.
 */
export async function foldPrefix({ log, alone }: Reading, session: string, at: number | null): Promise<Base | null> {
  const row = await log.get(session);
  if (row === null) return null;
  const until = at ?? row.head.seq;
  if (until > row.head.seq)
    throw new NoBoundary(`session ${session} ends at ${row.head.seq}`, { head: row.head.seq, before: row.head.seq });
  const fold = new PrefixFold();
  while (fold.head.seq < until) {
    const frames = await log.read(session, { after: fold.head.seq, limit: LIMITS.readFrames });
    if (frames.length === 0) return null;
    alone(session, () => addUntil(fold, frames, until));
  }
  const { state, rows, head } = fold;
  return { state, rows, head, title: row.title };
}

function addUntil(fold: PrefixFold, frames: readonly StoredFrame[], until: number): void {
  for (const frame of frames) {
    const after = frame.first + frame.count - 1;
    if (frame.first > until) return;
    if (after > until) {
      const before = frame.first - 1;
      const nearest = before === 0 ? `the nearest is ${after}` : `the nearest are ${before} and ${after}`;
      const message = `entry ${until} is inside one append: a session is forked at the end of one, ${nearest}`;
      throw new NoBoundary(message, before === 0 ? { after } : { before, after });
    }
    fold.add(frame);
  }
}
