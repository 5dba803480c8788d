/** A value that is nobody else's to read: from standard input, or typed without being shown. */
import { LIMITS } from '../limits.ts';
import { CommandError, EXIT, UsageError } from './exit.ts';
import { tell } from './output.ts';

/** Without the line end after it. Throws UsageError for none, or one that is too long; CommandError where the person went away. */
export async function typed(what: string): Promise<string> {
  const text = process.stdin.isTTY === true ? await unseen(what) : await piped();
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new UsageError(`${what} is empty: type it, or send it to standard input`);
  return value;
}

async function piped(): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of process.stdin as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > LIMITS.typedBytes) throw new UsageError(`more than ${LIMITS.typedBytes} bytes came on standard input`);
  }
  return Buffer.concat(pieces).toString('utf8');
}

const [INTERRUPT, END, BACKSPACE, DELETE] = ['\u0003', '\u0004', '\b', '\u007f'];

/** The terminal shows nothing of it while it is typed or pasted. */
async function unseen(what: string): Promise<string> {
  const { stdin } = process;
  tell(`${what} (not shown): `);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  try {
    let text = '';
    for await (const piece of stdin as AsyncIterable<string>)
      for (const sign of piece) {
        if (sign === '\r' || sign === '\n' || sign === END) return text;
        if (sign === INTERRUPT) throw new CommandError(EXIT.interrupted, 'nothing was set');
        text = sign === BACKSPACE || sign === DELETE ? text.slice(0, -1) : text + sign;
        if (text.length > LIMITS.typedBytes)
          throw new UsageError(`more than ${LIMITS.typedBytes} characters were typed`);
      }
    throw new CommandError(EXIT.failed, 'nothing was set');
  } finally {
    stdin.setRawMode(false);
    stdin.pause();
    tell('\n');
  }
}
