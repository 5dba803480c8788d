import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Timer, Timers } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { messageOf } from './failure.ts';
import { JOURNAL } from './journal.ts';

export type JournalSync = {
  /** Something was written: it is flushed within `LIMITS.journalSyncMs`. */
  touched(): void;
  /** Ends the flushing; the committer flushes once more when it closes. */
  close(): Promise<void>;
};

/** Flushes the heads journal off the path of acknowledgements. A flush that fails calls `failed`, once. */
export function createJournalSync(directory: string, timers: Timers, failed: (detail: string) => void): JournalSync {
  let timer: Timer | null = null;
  let running: Promise<void> | null = null;
  let again = false;

  const sync = async (): Promise<void> => {
    try {
      const file = await open(join(directory, JOURNAL), 'r+');
      try {
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      // Between two journals there is none: what the last one held is flushed with the database.
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
      failed(`the heads journal could not be flushed: ${messageOf(error)}`);
    }
  };
  const run = (): void => {
    timer = null;
    again = false;
    running = sync().finally(() => {
      running = null;
      if (again) schedule();
    });
  };
  const schedule = (): void => {
    timer = timers.set(LIMITS.journalSyncMs, run);
  };
  return {
    touched() {
      if (running !== null) again = true;
      else if (timer === null) schedule();
    },
    async close() {
      timer?.cancel();
      await running;
      timer?.cancel();
    },
  };
}
