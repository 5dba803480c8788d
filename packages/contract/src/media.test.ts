import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { textOf } from './bodies.ts';
import { attachmentOf, mediaKind, mediaTypeOf, nameOf, readText } from './media.ts';
import { inputSchema, partSchema } from './params.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0]);
const DIGEST = 'A'.repeat(43);

describe('the type of content', () => {
  it('is told by its beginning, whatever it is called; of text by its name', () => {
    assert.equal(mediaTypeOf(PNG, 'a.txt'), 'image/png');
    assert.equal(mediaTypeOf(new Uint8Array([0xff, 0xd8, 0xff, 0xe0])), 'image/jpeg');
    assert.equal(mediaTypeOf(bytes('GIF89a')), 'image/gif');
    assert.equal(mediaTypeOf(bytes('RIFF1234WEBPVP8 ')), 'image/webp');
    assert.equal(mediaTypeOf(bytes('RIFF1234WAVE')), 'text/plain');
    assert.equal(mediaTypeOf(bytes('%PDF-1.4'), 'x'), 'application/pdf');
    assert.equal(mediaTypeOf(bytes('# Hi'), 'READ.ME.MD'), 'text/markdown');
    assert.equal(mediaTypeOf(bytes('{}'), 'constructor'), 'text/plain');
    assert.equal(mediaTypeOf(bytes('{}'), 'a.constructor'), 'text/plain');
  });

  it('is none where it is neither in the table nor text', () => {
    assert.equal(mediaTypeOf(new Uint8Array([1, 0, 2])), null);
    assert.equal(mediaTypeOf(new Uint8Array([0xc3, 0x28])), null);
    assert.equal(attachmentOf(DIGEST, new Uint8Array([0])), null);
    assert.deepEqual([readText(bytes('\uFEFFä')), readText(new Uint8Array([0xff]))], ['ä', null]);
  });

  it('says what a model reads it as, without regard to case or parameters', () => {
    assert.equal(mediaKind('Image/PNG'), 'image');
    assert.equal(mediaKind('application/pdf'), 'file');
    for (const text of ['text/plain; charset=utf-8', 'application/json', 'application/ld+json', 'text/x-python'])
      assert.equal(mediaKind(text), 'text', text);
    for (const other of ['image/tiff', 'application/zip', 'audio/wav', 'png', '', 'xtext/plain'])
      assert.equal(mediaKind(other), null, other);
    assert.deepEqual(
      [nameOf('image/jpeg'), nameOf('application/pdf'), nameOf('text/x')],
      ['file.jpg', 'file.pdf', 'file.txt'],
    );
  });
});

describe('a message of parts', () => {
  it('takes texts, texts by digest, images and files, with or without a name', () => {
    const image = attachmentOf(DIGEST, PNG);
    const file = attachmentOf(DIGEST, bytes('x'), 'notes.md');
    assert.deepEqual(image, { type: 'image', digest: DIGEST, mediaType: 'image/png' });
    assert.deepEqual(file, { type: 'file', digest: DIGEST, mediaType: 'text/markdown', name: 'notes.md' });
    const parts = [{ type: 'text', text: 'a' }, { type: 'text', digest: DIGEST }, image, file];
    assert.deepEqual(inputSchema.parse(parts), parts);
    for (const wrong of [
      { type: 'text' },
      { type: 'text', text: 'a', digest: DIGEST },
      { type: 'image', digest: 'x', mediaType: 'image/png' },
      { type: 'image', text: 'a' },
      { type: 'audio', digest: DIGEST },
    ])
      assert.ok(!inputSchema.safeParse([wrong]).success, JSON.stringify(wrong));
  });

  it('reads as its texts, with files and images by name', () => {
    const parts = [
      { type: 'text', text: 'See' },
      { type: 'text', text: 'long', name: 'a.md', mediaType: 'text/markdown' },
      { type: 'image', digest: DIGEST, mediaType: 'image/png' },
      { type: 'file', digest: DIGEST, mediaType: 'application/pdf', name: 'b.pdf' },
    ].map((part) => partSchema.parse(part));
    assert.equal(textOf(parts), 'See\n[file a.md]\n[image image/png]\n[file b.pdf]');
  });
});
