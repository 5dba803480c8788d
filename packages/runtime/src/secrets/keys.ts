/**
 * Keys that seal the keys of secrets. The first one seals, all of them open: so a new one comes in while the one before
 * is still in use.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { platform } from 'node:os';
import { dirname } from 'node:path';
import { LIMITS } from '../limits.ts';
import { sha256 } from '../log/digest.ts';
import type { Random } from '../ports.ts';
import { SecretsError } from './errors.ts';
import { KEY_BYTES } from './seal.ts';

export type SecretKey = {
  /** Says which one it is, and nothing of it. */
  id: string;
  bytes: Uint8Array;
};

export interface SecretKeys {
  /** They are made, changed and taken away here; else by whoever runs the process. */
  readonly own: boolean;
  /** The first one seals; none: nothing was sealed yet. Throws SecretsError `secret_key_missing`, `secret_key_invalid`. */
  read(): readonly SecretKey[];
  /** Durable when it returns. Throws SecretsError where they are not made here. */
  write(keys: readonly SecretKey[]): void;
}

const ID_CHARS = 12;

export const keyOf = (bytes: Uint8Array): SecretKey => ({
  id: sha256(Buffer.concat([Buffer.from('perdure secret key\n'), bytes])).slice(0, ID_CHARS),
  bytes,
});

export const newKey = (random: Random): SecretKey => keyOf(Uint8Array.from(random.bytes(KEY_BYTES)));

const HOW = 'a key is 32 random bytes in base64 or hex, as openssl rand -base64 32 makes them';

/** Keys as text, with spaces, commas or line ends between. Throws SecretsError `secret_key_invalid`, which says `where`. */
export function readKeys(text: string, where: string): readonly SecretKey[] {
  const words = text.split(/[\s,]+/).filter((word) => word !== '');
  if (words.length === 0 || words.length > LIMITS.secretKeys)
    throw new SecretsError('secret_key_invalid', `${where} holds ${words.length} keys, not 1 to ${LIMITS.secretKeys}`);
  return words.map((word, n) => {
    const bytes = /^[0-9a-f]{64}$/i.test(word) ? Buffer.from(word, 'hex') : Buffer.from(word, 'base64');
    const isWhole = /^[0-9a-f]{64}$/i.test(word) || /^[A-Za-z0-9+/_-]{43}=?$/.test(word);
    if (!isWhole || bytes.length !== KEY_BYTES)
      throw new SecretsError('secret_key_invalid', `${where}: word ${n + 1} is no key: ${HOW}`);
    return keyOf(bytes);
  });
}

/** Keys that whoever runs the process has given: they are not changed here. */
export function givenKeys(read: () => readonly SecretKey[]): SecretKeys {
  const write = (): never => {
    throw new SecretsError('secret_key_missing', 'these keys are changed where they are given');
  };
  return { own: false, read, write };
}

/** There are none, and none is made: `advice` says what to set. */
export function noKeys(advice: string): SecretKeys {
  const missing = (): never => {
    throw new SecretsError('secret_key_missing', advice);
  };
  return { own: false, read: missing, write: missing };
}

/** For as long as the process lives. */
export function memoryKeys(): SecretKeys {
  let keys: readonly SecretKey[] = [];
  return {
    own: true,
    read: () => keys,
    write: (given) => {
      keys = [...given];
    },
  };
}

/** In a file that nobody else may read, beside data that this process owns. It is made when the first secret is set. */
export function fileKeys(path: string): SecretKeys {
  return {
    own: true,
    read() {
      const text = readPrivate(path);
      return text === null ? [] : readKeys(text, path);
    },
    write(keys) {
      const lines = keys.map(({ bytes }) => `${Buffer.from(bytes).toString('base64')}\n`);
      writeWhole(path, lines.join(''));
    },
  };
}

/** Null: there is none. Throws SecretsError `secret_key_invalid` for a file that others may read. */
export function readPrivate(path: string): string | null {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw new SecretsError('secret_key_invalid', `${path} cannot be read: ${String(error)}`);
  }
  try {
    const others = fstatSync(file).mode & 0o077;
    if (others !== 0 && platform() !== 'win32')
      throw new SecretsError('secret_key_invalid', `${path} is open to other users: chmod 600 ${path}`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}

/** Either what was there or what is given, whenever the process dies. */
function writeWhole(path: string, text: string): void {
  const next = `${path}.next`;
  rmSync(next, { force: true });
  const file = openSync(next, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(next, path);
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } catch {
    // Windows flushes no folder.
  } finally {
    closeSync(folder);
  }
}
