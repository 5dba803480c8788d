/**
 * What the header of an image says: whether it is one, and how large. PNG: W3C "PNG (Third Edition)" §11.2.1. JPEG: ITU-T
 * T.81 §B.2.2. GIF: GIF89a §18. WebP: RFC 9649 §2 and, for its frames, RFC 6386 §9.1.
 */

/** In pixels. */
export type ImageSize = { width: number; height: number };

/** Null: the header is none of an image of this type, was cut, or names no pixel. The pixels themselves are not looked at. */
export function imageSize(mediaType: string, bytes: Uint8Array): ImageSize | null {
  const read = Object.hasOwn(READERS, mediaType) ? READERS[mediaType] : undefined;
  const size = read?.(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)) ?? null;
  return size === null || size.width === 0 || size.height === 0 ? null : size;
}

type Read = (view: DataView) => ImageSize | null;

const READERS: { readonly [mediaType: string]: Read | undefined } = {
  'image/png': png,
  'image/jpeg': jpeg,
  'image/gif': gif,
  'image/webp': webp,
};

/** Whether the letters stand at this place. */
function says(view: DataView, at: number, letters: string): boolean {
  if (at + letters.length > view.byteLength) return false;
  return Array.from(letters).every((letter, n) => view.getUint8(at + n) === letter.charCodeAt(0));
}

/** Signature, then the chunk IHDR with its 13 bytes and its checksum. */
function png(view: DataView): ImageSize | null {
  if (view.byteLength < 33 || !says(view, 1, 'PNG\r\n\x1a\n') || view.getUint32(8) !== 13 || !says(view, 12, 'IHDR'))
    return null;
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/** Segments up to the first that begins a frame. */
function jpeg(view: DataView): ImageSize | null {
  if (view.byteLength < 2 || view.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; at + 4 <= view.byteLength;) {
    if (view.getUint8(at) !== 0xff) return null;
    const marker = view.getUint8(at + 1);
    // Bytes of 0xff may fill the space before a marker.
    if (marker === 0xff) at += 1;
    else if (FRAMES.has(marker))
      return at + 9 > view.byteLength ? null : { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)) at += 2;
    else if (marker === 0xd9 || marker === 0xda || view.getUint16(at + 2) < 2) return null;
    else at += 2 + view.getUint16(at + 2);
  }
  return null;
}

/** SOF0 to SOF15; between them stand DHT, JPG and DAC. */
const FRAMES: ReadonlySet<number> = new Set(
  Array.from({ length: 16 }, (_, n) => 0xc0 + n).filter((marker) => ![0xc4, 0xc8, 0xcc].includes(marker)),
);

function gif(view: DataView): ImageSize | null {
  if (view.byteLength < 13 || !(says(view, 0, 'GIF87a') || says(view, 0, 'GIF89a'))) return null;
  return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

function webp(view: DataView): ImageSize | null {
  if (view.byteLength < 30 || !says(view, 0, 'RIFF') || !says(view, 8, 'WEBP')) return null;
  const uint24 = (at: number): number => view.getUint16(at, true) + view.getUint8(at + 2) * 0x10000;
  if (says(view, 12, 'VP8X')) return { width: uint24(24) + 1, height: uint24(27) + 1 };
  if (says(view, 12, 'VP8L') && view.getUint8(20) === 0x2f) {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  // A key frame has its start code behind three bytes.
  if (says(view, 12, 'VP8 ') && says(view, 23, '\x9d\x01\x2a'))
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  return null;
}
