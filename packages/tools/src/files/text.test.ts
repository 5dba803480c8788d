import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { makePlace } from '../../test/context.ts';
import { LIMITS } from '../limits.ts';
import { openNamed, openRoot } from './root.ts';
import type { Opened } from './space.ts';
import { cutText, excerptOf, readText, splitLines } from './text.ts';

const pieces = async function* (...texts: string[]): AsyncGenerator<string> {
  for (const text of texts) yield text;
};
const idle = new AbortController().signal;

async function* read(bytes: Uint8Array, claimed = bytes.length, signal = idle): AsyncGenerator<string> {
  using place = makePlace();
  const path = join(place.base, 'file');
  writeFileSync(path, bytes);
  await using file = await openNamed(openRoot({ root: place.base }), 'file');
  const opened: Opened = { ...file, bytes: claimed };
  yield* readText(opened, signal);
}

const text = fc.string({ unit: fc.constantFrom('a', 'é', '😀', '\n', '\r\n', ' ', 'xyz'), maxLength: 60 });
const cuts = fc.array(fc.nat({ max: 80 }), { maxLength: 5 });
const splitAt = (whole: string, at: readonly number[]): string[] => {
  const places = [...new Set(at)].sort((a, b) => a - b);
  // A decoder never splits a surrogate pair between two pieces.
  const safe = places.filter((place) => !/[\ud800-\udbff]$/.test(whole.slice(0, place)));
  return [0, ...safe].map((start, n) => whole.slice(start, safe[n] ?? whole.length));
};
const linesOf = (whole: string): string[] => {
  const lines = whole.split('\n').map((line) => line.replace(/\r$/, ''));
  if (lines.at(-1) === '') lines.pop();
  return lines;
};

describe('reading text', () => {
  it('decodes each character whole, wherever the pieces of the file end', async () => {
    for (const shift of [0, 1, 2, 3]) {
      const whole = 'x'.repeat(shift) + '😀é'.repeat(LIMITS.chunkBytes / 4);
      const read1 = await Array.fromAsync(read(Buffer.from(whole)));
      assert.ok(read1.length > 1);
      assert.ok(read1.join('') === whole);
    }
  });

  it('says of a NUL anywhere that it is no text', async () => {
    const late = Buffer.concat([Buffer.alloc(LIMITS.chunkBytes + 5, 'a'), Buffer.from([0])]);
    for (const bytes of [Buffer.from([0]), Buffer.from('abc\0def'), late])
      await assert.rejects(Array.fromAsync(read(bytes)), { code: 'binary' });
  });

  it('replaces bytes that are no UTF-8, and never throws for them', async () => {
    const [first] = await Array.fromAsync(read(Buffer.from([0x61, 0xff, 0xc0, 0x80, 0x62])));
    assert.match(first ?? '', /^a\ufffd+b$/);
  });

  it('refuses what is too large by its size, and by what comes whatever its size was said to be', async () => {
    await assert.rejects(Array.fromAsync(read(Buffer.from('a'), LIMITS.fileBytes + 1)), { code: 'too_large' });
    await assert.rejects(Array.fromAsync(read(Buffer.alloc(LIMITS.fileBytes + 1, 'a'), 0)), { code: 'too_large' });
  });

  it('ends with the reason of its signal', async () => {
    const stop = new AbortController();
    const texts = read(Buffer.alloc(3 * LIMITS.chunkBytes, 'a'), undefined, stop.signal);
    await texts.next();
    stop.abort(new Error('stopped'));
    await assert.rejects(texts.next(), /stopped/);
  });
});

describe('splitting lines', () => {
  it('gives the lines of the whole text, wherever its pieces end', async () => {
    await fc.assert(
      fc.asyncProperty(text, cuts, async (whole, at) => {
        const lines = (await Array.fromAsync(splitLines(pieces(...splitAt(whole, at)), 1_000))).flat();
        assert.deepEqual(lines, linesOf(whole));
      }),
    );
  });

  it('keeps of a long line no more than shows that it is long', async () => {
    const many = Array.from({ length: 100 }, () => 'y'.repeat(1_000));
    const lines = (await Array.fromAsync(splitLines(pieces('a\n', ...many, '\nb'), 50))).flat();
    assert.deepEqual(
      lines.map((line) => line.length),
      [1, 52, 1],
    );
  });
});

describe('an excerpt', () => {
  const range = { offset: 1, column: 1, limit: 1_000, chars: 10_000 };

  it('read on and on, gives the whole text, wherever lines, pieces and answers end', async () => {
    await fc.assert(
      fc.asyncProperty(
        text,
        cuts,
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 2, max: 20 }),
        async (whole, at, limit, chars) => {
          let shown = '';
          let from = { offset: 1, column: 1 };
          for (let answers = 0; ; answers++) {
            assert.ok(answers <= whole.length + 1, 'each answer goes on');
            const excerpt = await excerptOf(pieces(...splitAt(whole, at)), { ...from, limit, chars });
            assert.ok(excerpt.text.length <= chars + limit);
            assert.ok(excerpt.text.isWellFormed());
            shown += excerpt.text;
            if (excerpt.next === null) {
              assert.equal(excerpt.lines, linesOf(whole).length);
              break;
            }
            if (excerpt.next.column === 1) shown += '\n';
            from = excerpt.next;
          }
          // A return in front of a feed may be shown when an answer ends between the two.
          const plain = (lines: string): string => lines.replaceAll('\r', '').replace(/\n$/, '');
          assert.equal(plain(shown), plain(linesOf(whole).join('\n')));
        },
      ),
    );
  });

  it('says that there is more only when there is', async () => {
    assert.equal((await excerptOf(pieces('a\nb\n'), { ...range, limit: 2 })).next, null);
    assert.deepEqual((await excerptOf(pieces('a\nb\nc'), { ...range, limit: 2 })).next, { offset: 3, column: 1 });
    assert.equal((await excerptOf(pieces('abc'), { ...range, chars: 3 })).next, null);
    assert.deepEqual((await excerptOf(pieces('abcd'), { ...range, chars: 3 })).next, { offset: 1, column: 4 });
  });

  it('starts in the middle of a line where it is told to', async () => {
    const excerpt = await excerptOf(pieces('abc', 'def\nghi'), { ...range, column: 5 });
    assert.deepEqual(excerpt, { text: 'ef\nghi', last: 2, next: null, lines: 2 });
  });

  it('does not read beyond what it shows', async () => {
    let asked = 0;
    const endless = async function* (): AsyncGenerator<string> {
      for (;;) {
        asked += 1;
        yield 'line\n';
      }
    };
    await excerptOf(endless(), { ...range, limit: 3 });
    assert.equal(asked, 4);
  });
});

it('a cut never splits a surrogate pair', () => {
  assert.equal(cutText('a😀b', 2), 'a');
  assert.equal(cutText('a😀b', 3), 'a😀');
  assert.equal(cutText('a😀b', 9), 'a😀b');
});
