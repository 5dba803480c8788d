import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { failureOf } from './failure.ts';

/**
 * The heads journal: which head each commit gave to which session, in a file of its own beside the database. What it
 * holds and the database does not is a lost tail. It starts anew whenever the write-ahead log has been folded into the
 * database, which flushes all that came before; the previous file is kept for one more time around.
 */
export const JOURNAL = 'heads.journal';
export const PREVIOUS_JOURNAL = 'heads.journal.1';

/** `hash`: the first half of the head's, enough to tell two histories apart. */
export type JournalHead = { tenant: string; session: string; seq: number; hash: string };

const HASH_DIGITS = 32;
const NEWLINE = '\n';

export function journalHash(hash: string): string {
  return hash.slice(0, HASH_DIGITS);
}

export function encodeRecord({ tenant, session, seq, hash }: JournalHead): string {
  const fields = `${seq} ${journalHash(hash)} ${encoded(session)} ${encoded(tenant)}`;
  return `${crc32(fields).toString(16)} ${fields}${NEWLINE}`;
}

/** Nearly all names are written as they are, which is seen sooner than written. */
const encoded = (name: string): string => (PLAIN.test(name) ? name : encodeURIComponent(name));
const PLAIN = /^[\w.~-]*$/;

/** The newest head of each session; lines that are torn or whose checksum is wrong say nothing. */
export function decodeJournal(content: string): JournalHead[] {
  const heads = new Map<string, JournalHead>();
  for (const line of content.split(NEWLINE)) {
    const head = decodeRecord(line);
    if (head !== null) heads.set(`${head.tenant}${NEWLINE}${head.session}`, head);
  }
  return [...heads.values()];
}

function decodeRecord(line: string): JournalHead | null {
  const space = line.indexOf(' ');
  const fields = line.slice(space + 1);
  if (space < 0 || crc32(fields).toString(16) !== line.slice(0, space)) return null;
  const [seq = '', hash = '', session = '', tenant = ''] = fields.split(' ');
  return { tenant: decodeURIComponent(tenant), session: decodeURIComponent(session), seq: Number(seq), hash };
}

export function readJournal(directory: string): JournalHead[] {
  const read = (name: string): string => {
    try {
      return readFileSync(join(directory, name), 'latin1');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
      throw error;
    }
  };
  return decodeJournal(read(PREVIOUS_JOURNAL) + NEWLINE + read(JOURNAL));
}

export type Journal = {
  /** Written, not flushed. A full disk keeps the records for the next call: the commits they name are durable. */
  write(records: string): void;
  startAnew(): void;
  bytes(): number;
  /** Flushes and lets go of the file. */
  close(): void;
};

/** Opens the journal to write at its end. Only the committer does. */
export function openJournal(directory: string): Journal {
  const path = join(directory, JOURNAL);
  let file = openSync(path, 'a');
  // What a crash left at the end may be half a line: it must not swallow the first new one.
  let unwritten: string = NEWLINE;
  let size = fstatSync(file).size;
  return {
    write(records) {
      const bytes = Buffer.from(unwritten + records, 'latin1');
      try {
        for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
        unwritten = '';
        size += bytes.length;
      } catch (error) {
        if (failureOf(error) !== 'full') throw error;
        unwritten = NEWLINE + bytes.toString('latin1');
      }
    },
    startAnew() {
      closeSync(file);
      renameSync(path, join(directory, PREVIOUS_JOURNAL));
      file = openSync(path, 'a');
      size = 0;
      syncDirectory(directory);
    },
    bytes: () => size,
    close() {
      fsyncSync(file);
      closeSync(file);
    },
  };
}

/** Makes names in a directory durable. Windows has no such call, and no need of it. */
export function syncDirectory(directory: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
