/** A session on its way out: its log as it stands, byte for byte, with everything its entries name. */
import { createHash } from 'node:crypto';
import { decodeTree, isLink, TreeError } from '@perdure/contract';
import type { Entry } from '@perdure/engine';
import { tokensOf } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import { decodeFrame } from '../log/frame.ts';
import type { BlobStore, Digest, LogStore, SessionRow, StoredFrame } from '../ports.ts';
import type { Header, Line } from './format.ts';
import { VERSION } from './format.ts';

type From = { log: Pick<LogStore, 'read'>; blobs: Pick<BlobStore, 'get'>; tenant: string; now: number };

/**
 * The lines of one session, up to the head that `row` names. Throws StoreDamage where the log is damaged, and
 * UnknownEntry; what was given by then lacks its end, and is refused by whoever reads it.
 */
export async function* exportLines(from: From, row: SessionRow): AsyncGenerator<Buffer> {
  const sum = createHash('sha256');
  let lines = 0;
  const line = (value: Line): Buffer => {
    const bytes = Buffer.from(`${JSON.stringify(value)}\n`);
    sum.update(bytes);
    lines += 1;
    return bytes;
  };
  yield line(headerOf(from, row));
  const named = new Named();
  for await (const frame of framesOf(from.log, row)) {
    named.add(frame);
    const { first, count, hash, bytes, bodies, erased } = frame;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
    const told = bodies.map(({ digest, salt, text: content }) => ({ digest, salt, text: content }));
    yield line({ frame: { first, count, hash, text }, bodies: told, ...(erased ? { erased } : {}) });
  }
  // What a tree names follows it.
  const ahead = named.blobs();
  const known = new Set(ahead);
  for (let digest = ahead.shift(); digest !== undefined; digest = ahead.shift()) {
    const bytes = await from.blobs.get(digest);
    if (bytes === null) yield line({ missing: digest });
    else yield* blobLines(digest, bytes, line);
    if (bytes === null || !named.isTree(digest)) continue;
    for (const content of contentsOf(bytes)) {
      if (known.has(content)) continue;
      known.add(content);
      ahead.push(content);
    }
  }
  const spent = { tokens: tokensOf(row.usage), nanoUsd: row.cost.nanoUsd };
  yield line({ ledger: { spent } });
  yield Buffer.from(`${JSON.stringify({ end: { lines, sha256: sum.digest('hex') } })}\n`);
}

function headerOf({ tenant, now }: From, { id, head, agent, title, movedTo }: SessionRow): Header {
  const sealed = movedTo !== undefined;
  return { perdure: 'session', version: VERSION, session: id, tenant, agent, title, head, sealed, exportedAt: now };
}

/** The log may grow meanwhile: what comes after the head that was named is not part of it. */
async function* framesOf(log: From['log'], { id, head }: SessionRow): AsyncGenerator<StoredFrame> {
  for (let after = 0; after < head.seq;) {
    const frames = await log.read(id, { after, limit: LIMITS.pageFrames });
    if (frames.length === 0) return;
    for (const frame of frames) {
      if (frame.first > head.seq) return;
      yield frame;
      after = frame.first + frame.count - 1;
    }
  }
}

function* blobLines(digest: Digest, bytes: Uint8Array, line: (value: Line) => Buffer): Generator<Buffer> {
  const size = LIMITS.exportPartBytes;
  for (let part = 0; part === 0 || part * size < bytes.length; part += 1) {
    const data = Buffer.from(bytes.subarray(part * size, (part + 1) * size)).toString('base64');
    yield line({ blob: digest, bytes: bytes.length, part, data });
  }
}

/** What entries name that does not lie beside a frame. Every digest an entry needs is in its `refs`. */
export class Named {
  readonly #bodies = new Set<Digest>();
  readonly #refs = new Set<Digest>();
  /** Trees of workspaces: what they name is needed as well. */
  readonly #trees = new Set<Digest>();

  add(frame: Pick<StoredFrame, 'bytes' | 'bodies' | 'erased'>): void {
    for (const { digest } of frame.bodies) this.#bodies.add(digest);
    if (frame.erased) return;
    for (const entry of decodeFrame(frame)) {
      for (const digest of entry.refs ?? []) this.#refs.add(digest);
      for (const digest of treesIn(entry)) this.#trees.add(digest);
    }
  }

  isTree(digest: Digest): boolean {
    return this.#trees.has(digest);
  }

  /** A body is in the frame of the entry that names it first, or before: what is in none is a blob. */
  blobs(): Digest[] {
    return [...this.#refs].filter((digest) => !this.#bodies.has(digest));
  }
}

function treesIn(entry: Entry): Digest[] {
  if (entry.kind === 'workspace.changed') return [entry.data.before, entry.data.after];
  const config = 'config' in entry.data ? entry.data.config : undefined;
  return (config?.mounts ?? []).map(({ tree }) => tree);
}

/** The contents that a tree names; none, where it is none: then it reads as lost. */
export function contentsOf(bytes: Uint8Array): Digest[] {
  try {
    const nodes = [...decodeTree(Buffer.from(bytes).toString()).values()];
    return [...new Set(nodes.flatMap((node) => (isLink(node) ? [] : [node.digest])))];
  } catch (error) {
    if (error instanceof TreeError) return [];
    throw error;
  }
}
