/** Bytes of the web as text: what says how they are written, in the order of the HTML standard's encoding sniffing. */
import { MIMEType, TextDecoder } from 'node:util';

export type ContentType = { essence: string; charset: string | null };

/** What a server says that it sends; null where that makes no sense. */
export function contentTypeOf(header: string | undefined): ContentType | null {
  try {
    const type = new MIMEType(header ?? '');
    return { essence: type.essence, charset: type.params.get('charset') };
  } catch {
    return null;
  }
}

/** Of a document so many bytes are looked at for a `meta` that names its encoding (HTML, 13.2.3.2). */
const PRESCAN_BYTES = 1024;
const META = /<meta\s[^>]{0,500}?charset\s*=\s*["']?\s*([a-z0-9_:.-]{1,40})/i;

/** Never throws: what cannot be read becomes U+FFFD. */
export function textOf(bytes: Buffer, charset: string | null, isHtml: boolean): string {
  const named = markOf(bytes) ?? charset ?? (isHtml ? metaOf(bytes) : null);
  if (named !== null) {
    const decoder = decoderOf(named);
    if (decoder !== null) return decoder.decode(bytes);
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder(isHtml ? 'windows-1252' : 'utf-8').decode(bytes);
  }
}

function markOf(bytes: Buffer): string | null {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return 'utf-8';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : null;
}

/** A document whose `meta` was read byte by byte is not UTF-16, whatever it says. */
function metaOf(bytes: Buffer): string | null {
  const found = META.exec(bytes.toString('latin1', 0, PRESCAN_BYTES))?.[1] ?? null;
  return found !== null && /^utf-?16/i.test(found) ? 'utf-8' : found;
}

function decoderOf(label: string): TextDecoder | null {
  try {
    return new TextDecoder(label);
  } catch {
    return null;
  }
}
