import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { quote, type Opened } from './space.ts';

/** A file's bytes, piece by piece; each is good until the next. Throws ToolFailure `too_large`, or the signal's reason. */
export async function* readBytes(file: Opened, signal: AbortSignal): AsyncGenerator<Buffer> {
  if (file.bytes > LIMITS.fileBytes) throw tooLarge(file);
  let total = 0;
  signal.throwIfAborted();
  for await (const piece of file.pieces()) {
    signal.throwIfAborted();
    total += piece.length;
    // However large the file said it was.
    if (total > LIMITS.fileBytes) throw tooLarge(file);
    yield Buffer.from(piece.buffer, piece.byteOffset, piece.length);
  }
}

/**
 * A file's bytes as text, a character never split. Bytes that are not UTF-8 become U+FFFD; a NUL means that it is no
 * text. Throws ToolFailure `binary`.
 */
export async function* decodeText(
  file: Opened,
  pieces: AsyncIterable<Buffer> | readonly Buffer[],
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8');
  for await (const bytes of pieces) {
    if (bytes.includes(0))
      throw new ToolFailure(
        'binary',
        `${quote(file.shown)} is not text (${file.bytes} bytes): it cannot be read here.`,
      );
    yield decoder.decode(bytes, { stream: true });
  }
  yield decoder.decode();
}

/** The text of a file, piece by piece: see `readBytes` and `decodeText`. */
export function readText(file: Opened, signal: AbortSignal): AsyncGenerator<string> {
  return decodeText(file, readBytes(file, signal));
}

/** Lines without their ends (LF or CRLF), in batches. Of a line over `lineChars` a start that is longer than that is kept. */
export async function* splitLines(texts: AsyncIterable<string>, lineChars: number): AsyncGenerator<string[]> {
  let open = '';
  const extend = (piece: string): string => open + piece.slice(0, Math.max(0, lineChars + 2 - open.length));
  for await (const text of texts) {
    const lines: string[] = [];
    let from = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', from)) {
      lines.push(withoutReturn(extend(text.slice(from, end))));
      open = '';
      from = end + 1;
    }
    open = extend(text.slice(from));
    yield lines;
  }
  if (open !== '') yield [withoutReturn(open)];
}

/** A cut at `chars` UTF-16 units or one less: never within a surrogate pair. */
export function cutText(text: string, chars: number): string {
  if (text.length <= chars) return text;
  const last = text.charCodeAt(chars - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? chars - 1 : chars);
}

export type Range = { offset: number; column: number; limit: number; chars: number };
export type Excerpt = {
  text: string;
  /** The last line of which something is shown; `offset - 1` when nothing is. */
  last: number;
  /** Where the rest starts; null at the end of the file. */
  next: { offset: number; column: number } | null;
  /** Lines of the whole file; null when reading stopped before its end. */
  lines: number | null;
};

/** Takes so many lines from a line and column on (both from 1), and at most so many UTF-16 units. */
export async function excerptOf(texts: AsyncIterable<string>, range: Range): Promise<Excerpt> {
  const taken: string[] = [];
  let open = '';
  let line = 1;
  let column = 1;
  let room = range.chars;
  const text = (): string => [...taken, ...(open === '' ? [] : [open])].join('\n').toWellFormed();
  const stop = (): Excerpt => ({
    text: text(),
    last: open === '' ? line - 1 : line,
    next: { offset: line, column },
    lines: null,
  });
  for await (const piece of texts) {
    for (let at = 0; at < piece.length;) {
      if (taken.length === range.limit) return stop();
      const feed = piece.indexOf('\n', at);
      const end = feed < 0 ? piece.length : feed;
      const skip = line > range.offset ? 0 : line < range.offset ? end - at : Math.max(0, range.column - column);
      const shown = piece.slice(Math.min(at + skip, end), end);
      const fits = cutText(shown, Math.max(0, room));
      open += fits;
      room -= fits.length;
      column += end - at - (shown.length - fits.length);
      if (fits.length < shown.length) return stop();
      at = feed < 0 ? end : feed + 1;
      if (feed < 0) continue;
      if (line >= range.offset) {
        taken.push(withoutReturn(open));
        room -= 1;
      }
      open = '';
      line += 1;
      column = 1;
    }
  }
  return { text: text(), last: column > 1 ? line : line - 1, next: null, lines: column > 1 ? line : line - 1 };
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line;
}

const tooLarge = (file: Opened): ToolFailure =>
  new ToolFailure(
    'too_large',
    `${quote(file.shown)} is larger than ${LIMITS.fileBytes} bytes: these tools do not read it.`,
  );
