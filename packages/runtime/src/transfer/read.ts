/** An exported file, read line by line: everything that can be told from it alone is checked on the way. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { LIMITS } from '../limits.ts';
import { bodyDigest, chainHash } from '../log/digest.ts';
import type { Digest, Head, StoredFrame } from '../ports.ts';
import type { BlobLine, FrameLine, Header, Line } from './format.ts';
import { BadExport, SCHEMAS, VERSION } from './format.ts';

export type Item =
  | { type: 'header'; header: Header }
  | { type: 'frame'; frame: StoredFrame }
  | { type: 'blob'; digest: Digest; bytes: Uint8Array }
  | { type: 'missing'; digest: Digest }
  | { type: 'ledger'; spent: { tokens: number; nanoUsd: number } };

/** The file from its beginning; it may be asked for more than once. */
export type Open = () => AsyncIterable<Uint8Array>;

/** All that the file holds, in its order. Throws BadExport for what is no export, damaged or cut. */
export async function* readItems(open: Open): AsyncGenerator<Item> {
  const reading = new Reading();
  for await (const { text, line, sum } of linesOf(open())) {
    if (reading.ended) throw new BadExport(line, 'stands behind its end');
    const item = reading.take(parsed(text, line), line, sum);
    if (item !== null) yield item;
  }
  if (!reading.ended) throw new BadExport(0, 'was cut: its end is missing');
}

/** What one line must be after those before it. */
class Reading {
  ended = false;
  #header: Header | null = null;
  #head: Head = { seq: 0, hash: '' };
  #blob: { digest: Digest; bytes: number; parts: Buffer[]; size: number } | null = null;
  #ledger = false;

  /** `sum`: of all the bytes before this line. */
  take(value: Line, line: number, sum: () => string): Item | null {
    if ('perdure' in value) return this.#begin(value, line);
    if (this.#header === null) throw new BadExport(line, 'is no header: this is not an exported session');
    if (this.#blob !== null && !('blob' in value)) throw new BadExport(line, 'comes in the middle of a blob');
    if (this.#ledger && !('end' in value)) throw new BadExport(line, 'stands between the ledger and the end');
    if ('frame' in value) return this.#frame(value, line);
    if (this.#head.seq !== this.#header.head.seq) throw new BadExport(line, `comes before entry ${this.#head.seq + 1}`);
    if ('blob' in value) return this.#part(value, line);
    if ('missing' in value) return { type: 'missing', digest: value.missing };
    if ('ledger' in value) {
      this.#ledger = true;
      return { type: 'ledger', spent: value.ledger.spent };
    }
    if (!this.#ledger) throw new BadExport(line, 'ends the file without its ledger');
    if (value.end.lines !== line - 1 || value.end.sha256 !== sum())
      throw new BadExport(line, 'says that what is before it was changed');
    this.ended = true;
    return null;
  }

  #begin(header: Header, line: number): Item {
    if (line !== 1) throw new BadExport(line, 'is another header');
    this.#header = header;
    return { type: 'header', header };
  }

  #frame({ frame: { first, count, hash, text }, bodies, erased }: FrameLine, line: number): Item {
    const bytes = Buffer.from(text);
    const seq = first + count - 1;
    const head = this.#header?.head;
    if (first !== this.#head.seq + 1) throw new BadExport(line, `leaves a gap after entry ${this.#head.seq}`);
    if (chainHash(this.#head.hash, bytes) !== hash) throw new BadExport(line, 'breaks the chain of hashes');
    for (const body of bodies)
      if (bodyDigest(body.salt, body.text) !== body.digest) throw new BadExport(line, `changes body ${body.digest}`);
    if (head !== undefined && (seq > head.seq || (seq === head.seq && hash !== head.hash)))
      throw new BadExport(line, 'does not lead to the head that the file names');
    this.#head = { seq, hash };
    return { type: 'frame', frame: { first, count, hash, bytes, bodies, erased: erased ?? false } };
  }

  #part({ blob, bytes, part, data }: BlobLine, line: number): Item | null {
    const open = this.#blob ?? { digest: blob, bytes, parts: [], size: 0 };
    if (open.digest !== blob || open.bytes !== bytes || part !== open.parts.length)
      throw new BadExport(line, `is not the next part of blob ${open.digest}`);
    const piece = Buffer.from(data, 'base64');
    open.parts.push(piece);
    open.size += piece.length;
    if (open.size > bytes || bytes > LIMITS.importBlobBytes) throw new BadExport(line, `makes blob ${blob} too large`);
    this.#blob = open.size < bytes ? open : null;
    if (open.size < bytes) return null;
    const whole = Buffer.concat(open.parts);
    if (createHash('sha256').update(whole).digest('base64url') !== blob)
      throw new BadExport(line, `changes blob ${blob}`);
    return { type: 'blob', digest: blob, bytes: whole };
  }
}

function parsed(text: string, line: number): Line {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new BadExport(line, 'is not JSON');
  }
  const first = typeof value === 'object' && value !== null ? (Object.keys(value)[0] ?? '') : '';
  const schema = Object.hasOwn(SCHEMAS, first) ? SCHEMAS[first] : undefined;
  if (schema === undefined) throw new BadExport(line, 'is nothing that an export holds');
  const { version } = value as { version?: unknown };
  if (first === 'perdure' && typeof version === 'number' && version > VERSION)
    throw new BadExport(line, `is of version ${version}, and this build reads up to ${VERSION}: use a newer Perdure`);
  const checked = schema.safeParse(value);
  if (!checked.success) throw new BadExport(line, `is not valid at ${checked.error.issues[0]?.path.join('.') ?? ''}`);
  return checked.data;
}

type RawLine = { text: string; line: number; sum: () => string };

/** Lines with the sum of what was before each. A line that is never ended is bounded, and not told. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<RawLine> {
  const sum: Hash = createHash('sha256');
  let pieces: Buffer[] = [];
  let size = 0;
  let line = 0;
  for await (const chunk of chunks) {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      pieces.push(rest.subarray(0, end + 1));
      rest = rest.subarray(end + 1);
      const bytes = pieces.length === 1 ? (pieces[0] ?? rest) : Buffer.concat(pieces);
      line += 1;
      yield { text: decoded(bytes.subarray(0, -1), line), line, sum: () => sum.copy().digest('hex') };
      sum.update(bytes);
      pieces = [];
      size = 0;
    }
    // Chunks may be reused by whoever gives them.
    if (rest.length > 0) pieces.push(Buffer.from(rest));
    size += rest.length;
    if (size > LIMITS.importLineBytes) throw new BadExport(line + 1, `is longer than ${LIMITS.importLineBytes} bytes`);
  }
  if (size > 0) throw new BadExport(line + 1, 'was cut');
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decoded(bytes: Uint8Array, line: number): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new BadExport(line, 'is not UTF-8');
  }
}
