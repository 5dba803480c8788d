/** What a failed statement means for the store. */
export type Failure = 'full' | 'busy' | 'damaged' | 'stopped' | 'bug';

const BUSY = 5;
const IO = 10;
const CORRUPT = 11;
const FULL = 13;
const CANNOT_OPEN = 14;
const NOT_A_DATABASE = 26;
/** The shared index of the write-ahead log could not grow: nothing was written yet. */
const IO_SHM_SIZE = IO | (19 << 8);

/** Sorts an error of node:sqlite or node:fs by what follows from it. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error)) return 'bug';
  if ('errcode' in error && typeof error.errcode === 'number') return failureOfSqlite(error.errcode);
  if (!('code' in error)) return 'bug';
  if (error.code === 'ENOSPC' || error.code === 'EDQUOT') return 'full';
  return 'syscall' in error ? 'stopped' : 'bug';
}

function failureOfSqlite(code: number): Failure {
  if (code === IO_SHM_SIZE) return 'full';
  switch (code & 0xff) {
    case FULL:
      return 'full';
    case BUSY:
      return 'busy';
    case CORRUPT:
    case NOT_A_DATABASE:
      return 'damaged';
    case IO:
    case CANNOT_OPEN:
      return 'stopped';
    default:
      return 'bug';
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
