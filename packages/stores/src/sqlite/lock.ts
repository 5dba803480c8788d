import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { StoreError } from '../errors.ts';
import { failureOf, messageOf } from './failure.ts';

const LOCK = 'owner.lock';

/**
 * Takes the data in a directory for this store alone: an exclusive transaction on a second small database, which the
 * operating system ends with the process, however it dies. Throws `data_in_use` at once when another holds it.
 */
export function takeOwnership(directory: string): { release(): void } {
  const db = new DatabaseSync(join(directory, LOCK), { timeout: 0 });
  try {
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (failureOf(error) !== 'busy') throw error;
    throw new StoreError('data_in_use', `the data in ${directory} is in use: ${messageOf(error)}`, { cause: error });
  }
  return {
    release() {
      db.close();
    },
  };
}
