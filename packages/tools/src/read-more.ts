import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from './define.ts';
import { ToolFailure } from './failure.ts';
import { LIMITS } from './limits.ts';

const DESCRIPTION = `Reads on in a long result of this conversation that was cut. Give the call and the offset that the cut \
names; one answer has at most ${LIMITS.readMoreChars} characters, and says where to go on.`;

const input = z.strictObject({
  call: z.string().regex(/^r\d{1,9}t\d{1,9}c\d{1,9}$/, 'a call such as r1t2c0, as the cut names it'),
  offset: z.int().min(0).default(0).describe('Characters from the beginning of the result.'),
  limit: z.int().min(1).max(LIMITS.readMoreChars).default(LIMITS.readMoreChars),
});

/**
 * The tool `read_more`: the rest of a result that was too long to be shown whole. It reads results of its own session, and
 * nothing else. An agent that has it is told of it where a result is cut. Pure; runs unasked.
 */
export function readMore(): ToolDefinition {
  return definePure({
    name: 'read_more',
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.readTimeoutMs,
    async run({ call, offset, limit }, context) {
      const text = await context.result(call);
      if (text === null) throw new ToolFailure('not_found', `This conversation holds no result of ${call}.`);
      if (offset >= text.length && offset > 0)
        throw new ToolFailure('past_end', `The result of ${call} has ${text.length} characters.`);
      const end = endAt(text, Math.min(text.length, offset + limit));
      const rest = text.length - end;
      const more = rest === 0 ? '[the end]' : `[${rest} characters are left: go on at offset ${end}]`;
      return { content: `${text.slice(offset, end)}\n${more}` };
    },
  });
}

/** Never between the two halves of a character. */
function endAt(text: string, at: number): number {
  const last = text.charCodeAt(at - 1);
  return at < text.length && last >= 0xd800 && last <= 0xdbff ? at - 1 : at;
}
