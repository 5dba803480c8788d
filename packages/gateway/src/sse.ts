/** Server-sent events: what each event of the runtime looks like on the line (DESIGN §13). */
import type { FeedEvent, StreamEvent } from '@perdure/runtime';
import type { End, Line } from './source.ts';

/** Keeps a field on its own line: CR, LF and NUL end or spoil one. */
const field = (value: string): string => value.replace(/[\r\n\0]/g, ' ');
/** JSON has its line breaks escaped already. */
const event = (name: string, data: unknown, id?: string): string =>
  `event: ${field(name)}\n${id === undefined ? '' : `id: ${field(id)}\n`}data: ${JSON.stringify(data)}\n\n`;

export const HEARTBEAT = ': still here\n\n';

export function retryHint(retryMs: number): string {
  return `retry: ${retryMs}\n\n`;
}

/** The last event of a stream: nothing follows. */
export function endLine(end: Omit<Partial<End>, 'reason'> & { reason: string }): Line {
  const { reason, retryMs, resume } = end;
  const data: { [name: string]: unknown } = { reason };
  if (retryMs !== undefined) data['retryMs'] = retryMs;
  if (resume !== undefined && resume !== null) data['resume'] = resume;
  const hint = retryMs === undefined ? '' : `retry: ${retryMs}\n`;
  return { text: `${hint}${event('end', data)}`, last: true };
}

export function sessionLine(given: StreamEvent): Line {
  switch (given.type) {
    case 'entry': {
      const id = String(given.entry.seq);
      return { text: event(given.entry.kind, given.entry, id), id };
    }
    case 'delta':
      return { text: event('delta', given.delta) };
    case 'caught-up':
      return { text: event('caught-up', { head: given.head }) };
    case 'resync':
      return { text: event('resync', { after: given.after, reason: given.reason }) };
    case 'end':
      return endLine(given);
    default: {
      const never: never = given;
      return never;
    }
  }
}

export function feedLine(given: FeedEvent): Line {
  switch (given.type) {
    case 'change':
      return { text: event('change', given.change, given.cursor), id: given.cursor };
    case 'caught-up':
      return { text: event('caught-up', { cursor: given.cursor }) };
    case 'resync':
      return { text: event('resync', { cursor: given.cursor }) };
    case 'end':
      return endLine(given);
    default: {
      const never: never = given;
      return never;
    }
  }
}
