/**
 * Authenticated encryption of secrets at rest: AES-256-GCM (NIST SP 800-38D) with 96-bit random nonces. What a sealed text
 * is and where it belongs goes in as additional data, so that it opens nowhere else.
 *  E1 The tag has 16 bytes: Node accepts shorter ones where the length is not pinned.
 *  E2 A sealed text has one form: what decodes to the same bytes and is spelled otherwise is refused.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { Random } from '../ports.ts';
import { SecretsError } from './errors.ts';

const CIPHER = 'aes-256-gcm';
export const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Base64url of nonce, tag and ciphertext. `about`: what it is, and of what. */
export function seal(key: Uint8Array, plain: Uint8Array, about: readonly unknown[], random: Random): string {
  const nonce = Buffer.from(random.bytes(NONCE_BYTES));
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(JSON.stringify(about)));
  const sealed = [cipher.update(plain), cipher.final()];
  return Buffer.concat([nonce, cipher.getAuthTag(), ...sealed]).toString('base64url');
}

/** Throws SecretsError `secret_damaged` for whatever was not sealed with this key as just this. */
export function unseal(key: Uint8Array, sealed: unknown, about: readonly unknown[]): Buffer {
  const bytes = Buffer.from(typeof sealed === 'string' ? sealed : '', 'base64url');
  if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64url') !== sealed) throw damaged();
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(JSON.stringify(about)));
  decipher.setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
  } catch {
    throw damaged();
  }
}

const damaged = (): SecretsError =>
  new SecretsError('secret_damaged', 'what is stored is not what was sealed under this name: set it anew');
