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

/** Written to the chain: the bytes of a text, and their hash as `chainHash` gives it. */
export function chained(previous: string, text: string): { bytes: Uint8Array; hash: string } {
  const before = previous.length / 2;
  const whole = Buffer.allocUnsafe(before + Buffer.byteLength(text));
  whole.write(previous, 'hex');
  whole.write(text, before, 'utf8');
  return { bytes: whole.subarray(before), hash: hash('sha256', whole, 'hex') };
}

const BASE32 = Buffer.from('abcdefghijklmnopqrstuvwxyz234567');
/** Most texts are short: they need no buffer of their own. */
const WRITTEN = Buffer.allocUnsafeSlow(64);

/** RFC 4648 base32, lower case, without padding. */
export function base32(bytes: Uint8Array): string {
  const chars = Math.ceil((bytes.length * 8) / 5);
  const out = chars <= WRITTEN.length ? WRITTEN : Buffer.allocUnsafe(chars);
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
  return out.toString('latin1', 0, chars);
}

const DIGEST = Buffer.allocUnsafeSlow(32);

/** A buffer for each digest would cost more than the digest. */
function digestInBase32(text: string): string {
  DIGEST.write(hash('sha256', text, 'binary'), 'latin1');
  return base32(DIGEST);
}

/** The key of an effect: what tools and providers get as idempotency key. The same after any crash. */
export function effectKey(tenant: string, session: string, effect: string): string {
  // As JSON has the list of the three.
  const text = `[${quoted(tenant)},${quoted(session)},${quoted(effect)}]`;
  return digestInBase32(text);
}

const SESSION_CHARS = 26;
/** 48 bits of milliseconds, most significant first, in the order in which these letters sort. */
const TIME_CHARS = 10;
const TIME_BASE32 = '234567abcdefghijklmnopqrstuvwxyz';
const RANDOM_BYTES = 10;

/**
 * The id of a new session: when it was made, and 80 random bits, as a ULID has them. Ids that are made one after the other
 * lie side by side in an index, so that a group of commits touches few of its pages (docs/decisions/019).
 */
export function sessionId(random: Random, nowMs: number): string {
  let time = '';
  let rest = Math.max(0, Math.trunc(nowMs));
  for (let i = 0; i < TIME_CHARS; i += 1) {
    time = (TIME_BASE32[rest % 32] ?? '') + time;
    rest = Math.floor(rest / 32);
  }
  return `ses_${time}${base32(random.bytes(RANDOM_BYTES))}`;
}

export function derivedSessionId(...names: string[]): string {
  return `ses_${digestInBase32(JSON.stringify(names)).slice(0, SESSION_CHARS)}`;
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
