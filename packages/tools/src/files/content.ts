import { createHash } from 'node:crypto';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import type { Opened } from './space.ts';
import { quote } from './space.ts';
import { readBytes } from './text.ts';

/** What tells one content from another: the start of its SHA-256, short enough for a model to copy. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url').slice(0, LIMITS.digestChars);
}

/** All of a file. Throws what `readBytes` throws. */
export async function readWhole(file: Opened, signal: AbortSignal): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of readBytes(file, signal)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** Bytes as text that gives the same bytes again. Throws ToolFailure `binary`. */
export function textOf(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new ToolFailure('binary', `${quote(path)} is not UTF-8 text: it can only be written whole.`);
  }
}
