import { randomBytes } from 'node:crypto';
import { closeSync, openSync, rmSync, statfsSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../limits.ts';

const NAME = 'headroom';

/**
 * A file of noise that takes up room while the store is open, so that there is some to give when the disk is full. Once
 * given, what is urgent alone is written until the file can be filled again.
 */
export type Headroom = {
  /** Gives the room; false: there is none. */
  release(): boolean;
  /** False while the room was given and cannot be taken back. */
  isThere(): boolean;
  /** So little room is left that a write-ahead log of its usual length could take all of it. */
  isTight(): boolean;
  close(): void;
};

/** Only the committer does. A disk that has no room for it is used without. */
export function openHeadroom(directory: string): Headroom {
  const path = join(directory, NAME);
  let isKept = isFilled(path) || fill(path);
  let isGiven = false;
  return {
    release() {
      if (!isKept) return false;
      remove(path);
      isKept = false;
      isGiven = true;
      return true;
    },
    isThere() {
      if (isGiven && fill(path)) {
        isKept = true;
        isGiven = false;
      }
      return !isGiven;
    },
    isTight() {
      const { bavail, bsize } = statfsSync(directory);
      return bavail * bsize < LIMITS.tightBytes;
    },
    close: () => remove(path),
  };
}

/** As a process that was killed left it. */
function isFilled(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.size === LIMITS.headroomBytes;
}

/** Noise, because some file systems store nothing for zeros. What does not fit whole is let go, whatever the reason. */
function fill(path: string): boolean {
  const bytes = randomBytes(LIMITS.headroomBytes);
  let file: number | undefined;
  try {
    file = openSync(path, 'w');
    for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
    return true;
  } catch {
    remove(path);
    return false;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

const remove = (path: string): void => rmSync(path, { force: true });
