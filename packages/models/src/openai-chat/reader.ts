/** Reads the events of a streamed chat completion: chunks, an error in their midst, `[DONE]` at the end. */
import type { Delta, GenerateOutcome } from '@perdure/runtime/ports';
import { BOUND, failed } from '../failures.ts';
import type { AnswerReader, ServerEvent } from '../http/exchange.ts';
import { notAnObject, objectIn } from '../http/json.ts';
import type { Refusals } from '../http/refusals.ts';
import type { UsageBound } from '../usage.ts';
import { Answer, type WireChunk } from './answer.ts';

/** `key` names calls without an id; `noDone`: the answer ends with a finish reason and a proper end of the stream. */
export type ChatReading = { key: string; bound: UsageBound; noDone: boolean; refusals: Refusals };

export function createChatReader(reading: ChatReading, tell: (delta: Delta) => void): AnswerReader {
  const { key, bound, noDone, refusals } = reading;
  const answer = new Answer(key, tell);
  return {
    take: ({ data }: ServerEvent): GenerateOutcome | null => {
      if (data === '[DONE]') {
        if (answer.finish !== null) return answer.outcome(bound);
        return failed('stream_cut', '[DONE] came without a finish reason', 'now', BOUND);
      }
      const chunk: WireChunk | null = objectIn(data);
      if (chunk === null) return failed('malformed', notAnObject(data), 'now', BOUND);
      return chunk.error ? refusals.ofEvent(chunk.error) : answer.take(chunk);
    },
    ended: () => (noDone && answer.finish !== null ? answer.outcome(bound) : null),
  };
}
