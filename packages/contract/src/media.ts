/**
 * Types of images and files that messages may hold, and how they are known by their content. The list is what every
 * provider with images or documents takes: OpenAI's guides "images and vision" and "file inputs", Anthropic's "vision"
 * and "PDF support".
 */
import { imageSize } from './image.ts';
import type { InputPart } from './params.ts';

/** What a model reads it as: `text` stands in the message itself. */
export type MediaKind = 'image' | 'file' | 'text';
type Row = { type: string; kind: Exclude<MediaKind, 'text'>; extension: string; begins: readonly (number | null)[] };

const ascii = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0));
const ANY4 = [null, null, null, null];

/** Content that is not text, with the bytes it begins with (null: any byte). */
const TABLE: readonly Row[] = [
  { type: 'image/png', kind: 'image', extension: 'png', begins: [0x89, ...ascii('PNG'), 0x0d, 0x0a, 0x1a, 0x0a] },
  { type: 'image/jpeg', kind: 'image', extension: 'jpg', begins: [0xff, 0xd8, 0xff] },
  { type: 'image/gif', kind: 'image', extension: 'gif', begins: ascii('GIF8') },
  { type: 'image/webp', kind: 'image', extension: 'webp', begins: [...ascii('RIFF'), ...ANY4, ...ascii('WEBP')] },
  { type: 'application/pdf', kind: 'file', extension: 'pdf', begins: ascii('%PDF-') },
];

/** Text by what its name ends with; other text is plain. */
const TEXTS: { readonly [extension: string]: string | undefined } = {
  md: 'text/markdown',
  csv: 'text/csv',
  html: 'text/html',
  json: 'application/json',
  xml: 'application/xml',
  yaml: 'application/yaml',
  yml: 'application/yaml',
};
const TEXT_TYPE = /^(?:text\/[\w.+-]+|application\/(?:[\w.-]+\+)?(?:json|xml|yaml|javascript|x-ndjson|toml|sql))$/;

export const MEDIA_TYPES: readonly string[] = [...TABLE.map(({ type }) => type), 'text/*', 'application/json'];

/** What a model would read content of this type as; null: none takes it. Parameters (`; charset=utf-8`) do not count. */
export function mediaKind(mediaType: string): MediaKind | null {
  const type = bare(mediaType);
  const row = TABLE.find((each) => each.type === type);
  if (row !== undefined) return row.kind;
  return TEXT_TYPE.test(type) ? 'text' : null;
}

/** `Image/PNG; x=y` → `image/png`: types are compared without case (RFC 9110 §8.3.1). */
const bare = (mediaType: string): string => (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();

/** The type that the content shows by itself, told by its beginning; text by its name. Null: neither of the table nor text. */
export function mediaTypeOf(bytes: Uint8Array, name = ''): string | null {
  const row = TABLE.find(({ begins }) => begins.every((byte, n) => byte === null || bytes[n] === byte));
  if (row !== undefined) return row.type;
  if (readText(bytes) === null) return null;
  const extension = /\.(\w+)$/.exec(name)?.[1]?.toLowerCase() ?? '';
  return (Object.hasOwn(TEXTS, extension) ? TEXTS[extension] : undefined) ?? 'text/plain';
}

/** The text of a file, without a byte order mark; null where it is not UTF-8, or holds what no text does. */
export function readText(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Why no model could read content that begins as this type does; null: its header shows nothing. */
export function brokenMedia(mediaType: string, bytes: Uint8Array): string | null {
  if (mediaKind(mediaType) !== 'image' || imageSize(bare(mediaType), bytes) !== null) return null;
  return `it begins as ${bare(mediaType)}, but its header is broken or cut: no width and height can be read`;
}

/** A blob as a part of a message, by what its content shows; null where no model takes such content. */
export function attachmentOf(digest: string, bytes: Uint8Array, name?: string): InputPart | null {
  const mediaType = mediaTypeOf(bytes, name);
  if (mediaType === null) return null;
  const part = { digest, mediaType, ...(name === undefined ? {} : { name }) };
  return mediaKind(mediaType) === 'image' ? { type: 'image', ...part } : { type: 'file', ...part };
}

/** A name for a file that came without one. */
export function nameOf(mediaType: string): string {
  return `file.${TABLE.find(({ type }) => type === bare(mediaType))?.extension ?? 'txt'}`;
}
