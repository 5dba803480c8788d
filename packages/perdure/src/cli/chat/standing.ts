/** Where a session stands, as its stream has told so far: what runs, what waits, and whether that is all. */
import type { Entry, Progress, SessionEvent, WaitView } from '@perdure/contract';
import { applyProgress, emptyProgress } from '@perdure/contract';
import type { RunId } from './conversation.ts';

export class Standing {
  /** Entries up to here are shown. */
  seq: number;
  /** The log is read to its end: what comes now happens now. */
  isLive = false;
  #progress: Progress = emptyProgress();
  /** What was accepted reaches so far: until it is seen, something is under way. */
  #accepted = 0;
  #last: RunId | null = null;

  constructor(after: number) {
    this.seq = after;
  }

  take(event: SessionEvent): void {
    if (event.type === 'caught-up') this.isLive = true;
    if (event.type === 'resync') {
      this.seq = event.after;
      this.#progress = emptyProgress();
    }
    if (event.type === 'entry') this.#entry(event.entry);
  }

  #entry(entry: Entry): void {
    this.seq = entry.seq;
    if (entry.run !== undefined) this.#last = entry.run as RunId;
    applyProgress(this.#progress, entry);
  }

  /** A message was accepted at this seq. */
  accepted(seq: number): void {
    this.#accepted = Math.max(this.#accepted, seq);
  }

  get isBusy(): boolean {
    return this.#progress.active !== null || this.#progress.queue.length > 0 || this.seq < this.#accepted;
  }

  get active(): RunId | null {
    return this.#progress.active as RunId | null;
  }

  get last(): RunId | null {
    return this.active ?? this.#last;
  }

  /** Open waits, in the order in which they were opened. */
  get waits(): { id: string; kind: WaitView['kind'] }[] {
    return [...this.#progress.runs.values()].flatMap(({ waits }) => [...waits.values()]);
  }
}
