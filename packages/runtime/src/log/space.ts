/** Says once that the storage is full, and once that there is space again: what is refused meanwhile says so to its caller. */
import type { Logger } from '../ports.ts';
import type { Step } from './step.ts';
import { STOPPING } from './step.ts';
import { storageTrouble } from './storage.ts';

/** The step, with what it tells of the storage's space in the log. */
export function tellingSpace(step: Step, logger: Logger): Step {
  let isFull = false;
  return async (session, input) => {
    try {
      const result = await step(session, input);
      // What stops work is written into room that is kept for it: it says nothing of the rest.
      if (isFull && result.ok && result.entries.length > 0 && !STOPPING.has(input.command.kind)) {
        isFull = false;
        logger.info({ session }, 'the storage has space again: everything goes on');
      }
      return result;
    } catch (error) {
      if (!isFull && storageTrouble(error)?.code === 'storage_full') {
        isFull = true;
        logger.warn({ session }, 'the storage is full: what cannot be written is refused until there is space');
      }
      throw error;
    }
  };
}
