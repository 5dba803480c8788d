/** Parts of a message as content blocks. What the API does not take leaves a visible mark instead of a silent gap. */
import type {
  Base64ImageSource,
  DocumentBlockParam,
  ImageBlockParam,
  TextBlockParam,
} from '@anthropic-ai/sdk/resources/messages';
import type { LoadedPart } from '@perdure/runtime/ports';

export type UserBlock = TextBlockParam | ImageBlockParam | DocumentBlockParam;

const IMAGES = new Set<string>(['image/jpeg', 'image/png', 'image/gif', 'image/webp']);
const isImage = (type: string): type is Base64ImageSource['media_type'] => IMAGES.has(type);
/** What can be read as plain text; the API has one document type for all of it. */
const TEXT = /^(?:text\/.+|application\/(?:.+\+)?(?:json|xml|yaml|toml|javascript))$/;

/** The blocks of a message: never none, and never one of blank text, which the API refuses. */
export function blocksOf(parts: readonly LoadedPart[]): UserBlock[] {
  const blocks = parts.map(blockOf).filter((block) => block.type !== 'text' || block.text.trim() !== '');
  return blocks.length > 0 ? blocks : [textBlock('[empty message]')];
}

export const textBlock = (text: string): TextBlockParam => ({ type: 'text', text });

/** In place of what cannot be sent. */
const markOf = (part: Exclude<LoadedPart, { type: 'text' }>): TextBlockParam =>
  textBlock(part.type === 'image' ? `[image ${part.mediaType}]` : `[file ${part.name}, ${part.mediaType}]`);

function blockOf(part: LoadedPart): UserBlock {
  if (part.type === 'text') return textBlock(part.text);
  const type = part.mediaType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (part.type === 'image') {
    if (!isImage(type)) return markOf(part);
    return { type: 'image', source: { type: 'base64', media_type: type, data: part.base64 } };
  }
  if (isImage(type)) return { type: 'image', source: { type: 'base64', media_type: type, data: part.base64 } };
  if (type === 'application/pdf') {
    const source = { type: 'base64', media_type: type, data: part.base64 } as const;
    return { type: 'document', source, title: part.name };
  }
  const text = TEXT.test(type) ? Buffer.from(part.base64, 'base64').toString('utf8') : '';
  if (text.trim() === '') return markOf(part);
  return { type: 'document', source: { type: 'text', media_type: 'text/plain', data: text }, title: part.name };
}
