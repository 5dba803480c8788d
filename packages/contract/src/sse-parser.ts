/** Reads server-sent events (WHATWG HTML, section 9.2) out of pieces of text, however they are cut. */
import { LIMITS } from './limits.ts';

export type ServerEvent = { event: string; data: string; id: string | null; retryMs: number | null };

export type SseParser = {
  /** The events that this piece completes. Throws RangeError past `clientEventChars`. */
  push(text: string): ServerEvent[];
};

export function createSseParser(): SseParser {
  let rest = '';
  let fresh = emptyEvent();
  let size = 0;
  const takeLine = (line: string): ServerEvent | null => {
    if (line === '') {
      const done = fresh;
      fresh = emptyEvent();
      size = 0;
      // An event without data is none, but its retry counts.
      return done.data === null && done.retryMs === null ? null : { ...done, data: done.data ?? '' };
    }
    size += line.length;
    if (size > LIMITS.clientEventChars) throw new RangeError('an event of the stream is too large');
    takeField(fresh, line);
    return null;
  };
  return {
    push(text) {
      const events: ServerEvent[] = [];
      // What was here already has no line end, but for a CR that waits for its other half.
      const lineEnd = /[\r\n]/g;
      lineEnd.lastIndex = Math.max(0, rest.length - 1);
      rest += text;
      let start = 0;
      for (;;) {
        const at = lineEnd.exec(rest)?.index;
        if (at === undefined) break;
        // A CR at the end of what is here may be half of a CRLF.
        if (rest[at] === '\r' && at === rest.length - 1) break;
        const event = takeLine(rest.slice(start, at));
        if (event !== null) events.push(event);
        start = at + (rest[at] === '\r' && rest[at + 1] === '\n' ? 2 : 1);
        lineEnd.lastIndex = start;
      }
      rest = rest.slice(start);
      if (rest.length > LIMITS.clientEventChars) throw new RangeError('an event of the stream is too large');
      return events;
    },
  };
}

type Growing = { event: string; data: string | null; id: string | null; retryMs: number | null };
const emptyEvent = (): Growing => ({ event: 'message', data: null, id: null, retryMs: null });

function takeField(into: Growing, line: string): void {
  const colon = line.indexOf(':');
  if (colon === 0) return;
  const name = colon === -1 ? line : line.slice(0, colon);
  const value = colon === -1 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
  if (name === 'event') into.event = value;
  else if (name === 'data') into.data = into.data === null ? value : `${into.data}\n${value}`;
  else if (name === 'id' && !value.includes('\0')) into.id = value;
  else if (name === 'retry' && /^\d+$/.test(value)) into.retryMs = Number(value);
}
