/** Images and files of a message on their way in: they are there, are what they say, and are within their bounds. */
import type { InputPart, MessageInput } from '@perdure/contract';
import { ApiError, brokenMedia, MEDIA_TYPES, mediaKind, mediaTypeOf, nameOf, readText } from '@perdure/contract';
import type { Media } from '@perdure/engine';
import type { Bodies } from '../effects/bodies.ts';
import { LIMITS } from '../limits.ts';
import type { BlobStore, Digest, Part } from '../ports.ts';
import type { Soon } from '../soon.ts';

/** A message as it is kept. `media`: what it holds besides text. */
export type Admitted = { parts: Part[]; media: (Media & { digests: Digest[] }) | null };

type Attached = Exclude<InputPart, { type: 'text' }>;

/**
 * Takes a message in. A file of text, and a text that comes as a blob, stand in the message from here on; an image or a
 * file stays a blob, and is written anew with the message, so that no collection comes between. Throws ApiError
 * `invalid_request` (naming the part and its digest) and `too_large`.
 */
export function admitMessage(input: MessageInput, bodies: Bodies, blobs: BlobStore): Soon<Admitted> {
  if (typeof input !== 'string') return admitParts(input, bodies, blobs);
  return { parts: bodies.clean([{ type: 'text' as const, text: input }]), media: null };
}

async function admitParts(input: Exclude<MessageInput, string>, bodies: Bodies, blobs: BlobStore): Promise<Admitted> {
  const media = { images: 0, files: 0, bytes: 0, digests: [] as Digest[] };
  const parts: Part[] = [];
  let textBytes = 0;
  for (const [n, part] of input.entries()) {
    if (part.type === 'text' && 'text' in part) {
      parts.push(bodies.clean(part));
      continue;
    }
    const path = `input[${n}]`;
    const kind = part.type === 'text' ? 'text' : kindOf(part, path);
    const bytes = await blobOf(blobs, part.digest, path);
    if (kind === 'text') {
      textBytes += bytes.length;
      if (textBytes > LIMITS.messageTextBytes) throw tooLarge(path, 'the texts of a message', LIMITS.messageTextBytes);
      parts.push(bodies.clean(textPart(part, bytes, path)));
      continue;
    }
    checkContent(part as Attached, kind, bytes, path);
    parts.push(bodies.clean(mediaPart(part as Attached)));
    media[kind === 'image' ? 'images' : 'files'] += 1;
    media.bytes += bytes.length;
    if (!media.digests.includes(part.digest)) media.digests.push(bodies.renew(bytes, part.digest));
  }
  return { parts, media: media.images + media.files === 0 ? null : media };
}

function kindOf({ type, mediaType }: Attached, path: string): 'image' | 'file' | 'text' {
  const kind = mediaKind(mediaType);
  if (kind === null) throw refused(path, `no model takes ${mediaType}; taken are ${MEDIA_TYPES.join(', ')}`);
  if ((kind === 'image') !== (type === 'image'))
    throw refused(path, `${mediaType} goes as a part of type ${kind === 'image' ? 'image' : 'file'}`);
  return kind;
}

async function blobOf(blobs: BlobStore, digest: Digest, path: string): Promise<Uint8Array> {
  const bytes = await blobs.get(digest);
  if (bytes === null) throw refused(path, `there is no blob ${digest} here: send it first (POST /v1/blobs)`);
  if (bytes.length === 0) throw refused(path, `blob ${digest} is empty`);
  return bytes;
}

function textPart(part: Exclude<InputPart, { text: string }>, bytes: Uint8Array, path: string): Part {
  const text = readText(bytes);
  if (text === null) throw refused(path, `blob ${part.digest} is not text in UTF-8`);
  if (part.type === 'text') return { type: 'text', text };
  return { type: 'text', text, name: part.name ?? nameOf(part.mediaType), mediaType: part.mediaType };
}

/** A provider refuses what is not what it says, and would again with every later request of the session. */
function checkContent({ digest, mediaType }: Attached, kind: 'image' | 'file', bytes: Uint8Array, path: string): void {
  const found = mediaTypeOf(bytes);
  if (found !== mediaType) throw refused(path, `blob ${digest} is not ${mediaType} but ${found ?? 'something else'}`);
  const broken = brokenMedia(mediaType, bytes);
  if (broken !== null) throw refused(path, `blob ${digest} is no image: ${broken}`);
  const most = kind === 'image' ? LIMITS.imageBytes : LIMITS.fileBytes;
  if (bytes.length > most) throw tooLarge(path, kind === 'image' ? 'an image' : 'a file', most);
}

function mediaPart({ type, digest, mediaType, name }: Attached): Part {
  if (type === 'file') return { type, digest, mediaType, name: name ?? nameOf(mediaType) };
  return name === undefined ? { type, digest, mediaType } : { type, digest, mediaType, name };
}

const refused = (path: string, message: string): ApiError =>
  new ApiError('invalid_request', `${path}: ${message}`, { details: { path } });

const tooLarge = (path: string, what: string, maxBytes: number): ApiError =>
  new ApiError('too_large', `${path}: ${what} may have at most ${maxBytes} bytes`, { details: { path, maxBytes } });
