/** Says once that the storage is full, and once that there is space again: what is refused meanwhile says so to its caller. */
import type { Logger } from '../ports.ts';

export type Space = {
  /** Something was written. */
  taken(session: string): void;
  /** Something was not written. */
  full(session: string): void;
};

export function tellingSpace(logger: Logger): Space {
  let isFull = false;
  return {
    taken(session) {
      if (!isFull) return;
      isFull = false;
      logger.info({ session }, 'the storage has space again: everything goes on');
    },
    full(session) {
      if (isFull) return;
      isFull = true;
      logger.warn({ session }, 'the storage is full: what cannot be written is refused until there is space');
    },
  };
}
