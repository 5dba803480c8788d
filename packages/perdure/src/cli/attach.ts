/** Files of the command line that go along with a message. */
import { readFileSync, statSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { Client, InputPart } from '@perdure/contract';
import { attachmentOf, brokenMedia, LIMITS as WIRE, MEDIA_TYPES } from '@perdure/contract';
import type { Context } from './context.ts';
import { CommandError, EXIT, UsageError } from './exit.ts';
import { known } from './failures.ts';

export type Attachment = { path: string; name: string; bytes: Uint8Array<ArrayBuffer> };

/** What `--attach` names, read whole before anything is sent. Throws UsageError. */
export function filesNamed({ cwd, flags }: Context): Attachment[] {
  const paths = flags['attach'];
  return (Array.isArray(paths) ? paths : []).map((path) => {
    const bytes = read(resolve(cwd, path), path);
    const part = attachmentOf('', bytes);
    const broken = part?.type === 'image' ? brokenMedia(part.mediaType, bytes) : null;
    if (broken !== null) throw new UsageError(`--attach ${path}: ${broken}`);
    if (part === null)
      throw new UsageError(`--attach ${path}: no model takes such content; taken are ${MEDIA_TYPES.join(', ')}`);
    return { path, name: basename(path), bytes };
  });
}

function read(file: string, path: string): Uint8Array<ArrayBuffer> {
  let found: Stats;
  try {
    found = statSync(file);
    // A pipe or a device may never end.
    if (found.isFile() && found.size <= WIRE.blobBytes) return new Uint8Array(readFileSync(file));
  } catch (error) {
    throw new UsageError(`--attach ${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  throw new UsageError(`--attach ${path}: ${found.isFile() ? `larger than ${WIRE.blobBytes} bytes` : 'is no file'}`);
}

/** Sends the files ahead of their message. Throws CommandError when one is not taken. */
export async function putAll(client: Client, files: readonly Attachment[]): Promise<InputPart[]> {
  const parts: InputPart[] = [];
  for (const { path, name, bytes } of files) {
    try {
      const { digest } = await client.putBlob(bytes);
      const part = attachmentOf(digest, bytes, name);
      if (part !== null) parts.push(part);
    } catch (error) {
      const text = known(error);
      if (text === null) throw error;
      throw new CommandError(EXIT.notAccepted, `not accepted: ${path}: ${text}`);
    }
  }
  return parts;
}
