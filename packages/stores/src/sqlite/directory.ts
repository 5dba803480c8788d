import { existsSync, mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { StoreError } from '../errors.ts';
import { messageOf } from './failure.ts';

/**
 * Makes a directory with what is missing above it, one name at a time: Node's recursive mkdir never comes back where a
 * file system lets nobody make one and says so as "not found" (`/proc`). For its owner alone: conversations are in it. Throws `unavailable`, saying where.
 */
export function makeDirectory(path: string): void {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
  for (const at of missing.reverse()) {
    try {
      mkdirSync(at, 0o700);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') continue;
      throw new StoreError('unavailable', `the folder ${at} cannot be made: ${messageOf(error)}`, { cause: error });
    }
  }
}
