/** The parts of a message as the provider takes them. */
import type { LoadedPart } from '@perdure/runtime/ports';
import type { ResponseInputContent } from 'openai/resources/responses/responses';

/** Guide "images and vision": the kinds of image it reads. */
const IMAGES = new Set(['image/png', 'image/jpeg', 'image/gif', 'image/webp']);
/** Guide "file inputs": PDF, text and code, documents, presentations, spreadsheets. */
const FILES = [
  /^text\//,
  /^application\/(?:pdf|json|xml|rtf|javascript|typescript|x-sh|x-yaml|yaml|toml|csv|msword)$/,
  /^application\/(?:[\w.-]+\+(?:json|xml))$/,
  /^application\/vnd\.(?:openxmlformats-officedocument\.[\w.-]+|ms-excel|ms-powerpoint|oasis\.opendocument\.text)$/,
];

/** One text where there is nothing else. What the provider cannot read leaves a visible mark instead of a silent gap. */
export function contentOf(parts: readonly LoadedPart[]): string | ResponseInputContent[] {
  const content = parts.map(partOf);
  const texts = content.flatMap((part) => (part.type === 'input_text' ? [part.text] : []));
  return texts.length === content.length ? texts.join('\n') : content;
}

function partOf(part: LoadedPart): ResponseInputContent {
  if (part.type === 'text') return { type: 'input_text', text: part.text };
  const { mediaType, base64 } = part;
  const url = `data:${mediaType};base64,${base64}`;
  if (part.type === 'image') {
    if (!IMAGES.has(mediaType)) return { type: 'input_text', text: `[image ${mediaType}]` };
    return { type: 'input_image', image_url: url, detail: 'auto' };
  }
  if (!FILES.some((kind) => kind.test(mediaType))) {
    return { type: 'input_text', text: `[file ${part.name}, ${mediaType}]` };
  }
  return { type: 'input_file', filename: part.name, file_data: url };
}
