import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from './define.ts';
import { LIMITS } from './limits.ts';

const DESCRIPTION = `Asks a person and waits for the answer, which is the result. Use it when only a person can decide or \
knows. Waiting costs nothing; with expiresInSeconds it ends unanswered after that time.`;

const input = z.strictObject({
  question: z.string().trim().min(1).max(LIMITS.questionChars).describe('One question that stands for itself.'),
  choices: z
    .array(z.string().trim().min(1).max(LIMITS.choiceChars))
    .min(2)
    .max(LIMITS.choices)
    .refine((choices) => new Set(choices).size === choices.length, 'each choice must differ from the others')
    .meta({ uniqueItems: true })
    .optional()
    .describe('The answers to choose from; leave it out for a free answer.'),
  expiresInSeconds: z.int().min(LIMITS.minAskSeconds).max(LIMITS.maxAskSeconds).optional(),
});

/** The tool `ask`: parks the call in a wait of kind `question`; the person's answer is the call's result. */
export function ask(): ToolDefinition {
  return definePure({
    name: 'ask',
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.parkTimeoutMs,
    run: ({ question, choices, expiresInSeconds }) =>
      Promise.resolve({
        wait: {
          kind: 'question',
          question,
          ...(choices === undefined ? {} : { choices }),
          ...(expiresInSeconds === undefined ? {} : { expiresInMs: expiresInSeconds * 1_000 }),
        },
      }),
  });
}
