/** The stream of one session, from a cursor that may be ahead of its log. */
import type { StreamEvent } from '../api.ts';
import { notFound } from '../methods/views.ts';
import type { Parts } from '../parts.ts';

export async function* eventsOf(
  parts: Parts,
  session: string,
  streaming: { after: number; deltas: boolean; signal: AbortSignal },
): AsyncGenerator<StreamEvent> {
  const { log } = parts.store;
  const row = await log.get(session);
  if (row === null) throw notFound(`session ${session}`);
  const head = row.head.seq;
  const after = Math.min(streaming.after, head);
  if (streaming.after > head) yield { type: 'resync', after, reason: `the log ends at ${head}` };
  if (row.status === 'closed' && after === head) {
    yield { type: 'caught-up', head };
    yield { type: 'end', reason: 'closed' };
    return;
  }
  yield* parts.streams.subscribe(log, session, { ...streaming, after });
}
