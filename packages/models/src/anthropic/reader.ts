/** Reads the events of a streamed message: named, each a JSON object; `message_stop` is the terminal one. */
import type { Delta } from '@perdure/runtime/ports';
import { BOUND, failed } from '../failures.ts';
import type { AnswerReader } from '../http/exchange.ts';
import { notAnObject, objectIn } from '../http/json.ts';
import type { Refusals } from '../http/refusals.ts';
import type { UsageBound } from '../usage.ts';
import { Answer, type WireEvent } from './answer.ts';

export function createReader(bound: UsageBound, refusals: Refusals, tell: (delta: Delta) => void): AnswerReader {
  const answer = new Answer(tell);
  return {
    take: ({ data }) => {
      const event = objectIn(data) as WireEvent | null;
      if (event === null) return failed('malformed', notAnObject(data), 'now', BOUND);
      if (event.type === 'message_stop') return answer.outcome(bound);
      return event.type === 'error' ? refusals.ofEvent(event['error']) : answer.take(event);
    },
    ended: () => null,
  };
}
