/** What an append that was refused means to whoever steps. */
import type { AppendResult, Shortage } from '../ports.ts';
import { StorageUnavailable } from './storage.ts';

/** Another session of the tenant has this key. */
export class KeyTaken extends Error {
  readonly code = 'key_taken';
  readonly session: string;
  constructor(session: string) {
    super(`the key belongs to session ${session}`);
    this.session = session;
  }
}

/** What a refused append means: fold again, a fact for the next fold, or trouble that is not the session's. */
export function notAppended(result: Extract<AppendResult, { ok: false }>): Shortage | 'again' {
  switch (result.code) {
    case 'conflict':
      return 'again';
    case 'refused':
      return result.shortage;
    case 'no_prefix':
      throw new StorageUnavailable('unavailable', 'what the session was to begin with is not there any more');
    case 'key_taken':
      throw new KeyTaken(result.session);
    case 'full':
      throw new StorageUnavailable(
        'storage_full',
        'the storage is full: nothing was written; free space and try again',
      );
    case 'fenced':
      throw new StorageUnavailable('fenced', 'this process no longer holds the session');
    case 'unavailable':
      throw new StorageUnavailable('unavailable', result.detail);
    default: {
      const never: never = result;
      return never;
    }
  }
}
