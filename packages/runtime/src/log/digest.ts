/** Digests, keys and ids: everything that is hashed is hashed here. */
import { createHash, createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { Body, Digest, Random } from '../ports.ts';
import { LIMITS } from '../limits.ts';

export const sha256 = (text: string | Uint8Array): Digest => hash('sha256', text, 'base64url');

/** The same of long texts, one behind the other: none of them is copied to be joined. */
export function sha256Of(...texts: string[]): Digest {
  const digest = createHash('sha256');
  for (const text of texts) digest.update(text);
  return digest.digest('base64url');
}

/** The digest of a body: SHA-256 over its salt and its text, so that an erased small text cannot be guessed. */
export const bodyDigest = (salt: string, text: string): Digest => hash('sha256', salt + text, 'base64url');

const SALT_BYTES = 12;

export function saltedBody(text: string, random: Random): Body {
  const salt = Buffer.from(random.bytes(SALT_BYTES)).toString('base64url');
  return { digest: bodyDigest(salt, text), salt, text };
}

/** Hash of a frame in its chain: SHA-256(previous hash ‖ bytes), hex. The first frame has an empty previous hash. */
export function chainHash(previous: string, bytes: Uint8Array): string {
  const before = previous.length / 2;
  const chained = Buffer.allocUnsafe(before + bytes.length);
  chained.write(previous, 'hex');
  chained.set(bytes, before);
  return hash('sha256', chained, 'hex');
}

const BASE32 = Buffer.from('abcdefghijklmnopqrstuvwxyz234567');

/** RFC 4648 base32, lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  const out = Buffer.allocUnsafe(Math.ceil((bytes.length * 8) / 5));
  let length = 0;
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      out[length++] = BASE32[(value >>> (bits - 5)) & 31] ?? 0;
      bits -= 5;
    }
    value &= (1 << bits) - 1;
  }
  if (bits > 0) out[length] = BASE32[(value << (5 - bits)) & 31] ?? 0;
  return out.toString('latin1');
}

/** The key of an effect: what tools and providers get as idempotency key. The same after any crash. */
export function effectKey(tenant: string, session: string, effect: string): string {
  // As JSON has the list of the three.
  const text = `[${quoted(tenant)},${quoted(session)},${quoted(effect)}]`;
  return base32(hash('sha256', text, 'buffer'));
}

const SESSION_CHARS = 26;

/** A session id: random, or derived from (tenant, submission) where a client opened it with one. */
export function sessionId(random: Random): string {
  return `ses_${base32(random.bytes(17)).slice(0, SESSION_CHARS)}`;
}

export function derivedSessionId(...names: string[]): string {
  return `ses_${base32(hash('sha256', JSON.stringify(names), 'buffer')).slice(0, SESSION_CHARS)}`;
}

/** A token that only this data's secret can make: for callbacks. */
export function mac(secret: string, text: string): string {
  return createHmac('sha256', secret).update(text).digest('base64url');
}

export function sameText(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** JSON that RFC 8785 (JCS) cannot bind: a number that is not finite, or too deep. */
export class NotCanonical extends Error {
  readonly code = 'not_canonical';
}

/** RFC 8785: members sorted by UTF-16 units, ECMAScript number and string forms, no white space. */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > LIMITS.jsonDepth) throw new NotCanonical(`JSON is deeper than ${LIMITS.jsonDepth}`);
  if (typeof value === 'string') return quoted(value);
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new NotCanonical('JSON has no such number');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw new NotCanonical(`a ${typeof value} is not JSON`);
  const members = value as { readonly [name: string]: unknown };
  let text = '';
  for (const name of Object.keys(members).toSorted(byUnits)) {
    const member = members[name];
    if (member === undefined) continue;
    text += `${text === '' ? '' : ','}${quoted(name)}:${canonicalJson(member, depth + 1)}`;
  }
  return `{${text}}`;
}

/** Most strings are plain words, which JSON writes as they are. */
const quoted = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));
const PLAIN = /^[\w .:/+-]{0,64}$/;

const byUnits = (a: string, b: string): number => (a < b ? -1 : 1);

/** What an approver approves: the digest of the tool's name and its canonical arguments (P14). */
export const argumentsDigest = (tool: string, args: unknown): Digest => sha256(`${tool}\n${canonicalJson(args)}`);
