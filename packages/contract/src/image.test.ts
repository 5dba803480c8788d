import assert from 'node:assert/strict';
import { test } from 'node:test';
import { imageSize } from './image.ts';

const of = (...parts: (string | readonly number[])[]): Uint8Array =>
  new Uint8Array(parts.flatMap((part) => (typeof part === 'string' ? [...Buffer.from(part, 'latin1')] : [...part])));
const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);

/** 300 by 200, each the least that its format allows before the pixels. */
const IMAGES = {
  'image/png': of('\x89PNG\r\n\x1a\n', [0, 0, 0, 13], 'IHDR', [0, 0, 1, 44, 0, 0, 0, 200, 8, 2, 0, 0, 0], zeros(4)),
  'image/jpeg': of(
    [0xff, 0xd8, 0xff, 0xe0, 0, 4, 1, 2],
    // A table of Huffman codes is no frame, and a fill byte no marker.
    [0xff, 0xc4, 0, 3, 0, 0xff, 0xff, 0xc2],
    [0, 17, 8, 0, 200, 1, 44, 3],
  ),
  'image/gif': of('GIF89a', [44, 1, 200, 0, 0, 0, 0]),
  'image/webp': of('RIFF', zeros(4), 'WEBPVP8 ', zeros(4), zeros(3), [0x9d, 1, 0x2a], [44, 1, 200, 0]),
};
const LOSSLESS = of('RIFF', zeros(4), 'WEBPVP8L', zeros(4), [0x2f, 43, 193, 49, 0], zeros(5));
const EXTENDED = of('RIFF', zeros(4), 'WEBPVP8X', zeros(4), zeros(4), [43, 1, 0, 199, 0, 0]);

test('the size of an image stands in its header, whatever its format', () => {
  const all = [...Object.entries(IMAGES), ['image/webp', LOSSLESS], ['image/webp', EXTENDED]] as [string, Uint8Array][];
  for (const [type, bytes] of all) assert.deepEqual(imageSize(type, bytes), { width: 300, height: 200 }, type);
});

test('a header that was cut anywhere, is of another format or names no pixel is no image', () => {
  for (const [type, bytes] of Object.entries(IMAGES)) {
    for (let end = 0; end < bytes.length; end += 1) {
      const size = imageSize(type, bytes.subarray(0, end));
      // A JPEG is read up to its size; what is behind it is not looked at.
      if (type !== 'image/jpeg' || end < bytes.length - 1) assert.equal(size, null, `${type} cut at ${end}`);
    }
    for (const other of Object.keys(IMAGES))
      if (other !== type) assert.equal(imageSize(other, bytes), null, `${type} as ${other}`);
  }
  assert.equal(imageSize('image/png', of([...IMAGES['image/png'].subarray(0, 16)], zeros(17))), null);
  assert.equal(imageSize('image/gif', of('GIF89a', zeros(7))), null);
  assert.equal(imageSize('image/jpeg', of([0xff, 0xd8], zeros(20))), null);
  assert.equal(imageSize('constructor', IMAGES['image/png']), null);
});
