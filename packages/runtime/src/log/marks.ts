/**
 * Which session is being folded at this very moment, written where the death of the process leaves it: a session that
 * kills its process with its own log (no memory left, an endless loop) is found and parked, and nobody else (DESIGN §8).
 *  D1 Only what runs in one go stands between `enter` and `leave`: there is one session at a time, and no other is blamed.
 *  D2 A session is parked only for deaths that happened while it alone was tried. A process killed from outside at an
 *     unlucky moment costs one trial, which passes.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';

export type Suspect = { session: string; trials: number };

export type Marks = {
  enter(session: string): void;
  leave(): void;
  /** The session that the process before died in; null: in none. */
  left(): Suspect | null;
  /** From here to `acquit`, deaths in this session count as its trial. */
  accuse(suspect: Suspect): void;
  acquit(): void;
  close(): void;
};

export const noMarks: Marks = {
  enter: () => {},
  leave: () => {},
  left: () => null,
  accuse: () => {},
  acquit: () => {},
  close: () => {},
};

const RECORD_BYTES = 128;

/**
 * Marks in a small file. Nothing is flushed: what a process has written outlives it, and only its death counts here.
 * `path` must be this process's alone: beside data that it owns. A mark that cannot be written, for want of room, is
 * done without: no session fails for it.
 */
export function createFileMarks(path: string): Marks {
  const file = openSync(path, 'a+');
  closeSync(file);
  const handle = openSync(path, 'r+');
  const record = Buffer.alloc(RECORD_BYTES, ' ');
  let accused: Suspect | null = null;
  const write = (suspect: Suspect | null): void => {
    record.fill(' ');
    if (suspect !== null) record.write(JSON.stringify(suspect));
    try {
      writeSync(handle, record, 0, RECORD_BYTES, 0);
    } catch {
      // Then a death here is one that nobody is suspected of.
    }
  };
  // Takes its room while there is some.
  if (fstatSync(handle).size < RECORD_BYTES) write(null);
  return {
    enter(session) {
      write(accused?.session === session ? accused : { session, trials: 0 });
    },
    leave: () => write(null),
    left() {
      const bytes = Buffer.alloc(RECORD_BYTES, ' ');
      readSync(handle, bytes, 0, RECORD_BYTES, 0);
      return parsed(bytes.toString().trim());
    },
    accuse(suspect) {
      accused = suspect;
      write(suspect);
    },
    acquit() {
      accused = null;
      write(null);
    },
    close: () => closeSync(handle),
  };
}

function parsed(text: string): Suspect | null {
  try {
    const { session, trials } = JSON.parse(text) as Partial<Suspect>;
    return typeof session === 'string' && Number.isSafeInteger(trials) ? { session, trials: trials ?? 0 } : null;
  } catch {
    return null;
  }
}
