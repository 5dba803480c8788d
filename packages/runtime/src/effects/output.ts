/** Structured answers: how a model is told what to answer with, and whether it did. */
import { misfitOf } from '../definitions/schema.ts';
import { canonicalJson } from '../log/digest.ts';
import type { JsonSchema } from '../ports.ts';

const WORDS = 'Your final answer is JSON alone, with no words and no code fence around it. It fits this JSON Schema:';

/** What these words add to a request, beside the schema. */
export const OUTPUT_WORDS_BYTES = Buffer.byteLength(`\n\n${WORDS}\n`);

/** For a model whose provider cannot be told the schema: the end of its instructions. */
export const outputInWords = (schema: JsonSchema): string => `\n\n${WORDS}\n${JSON.stringify(schema)}`;

export type Judged = { ok: true; value: unknown } | { ok: false; misfit: string };

/** Reads a final answer; `misfit` is for the model: what does not fit, in one line. */
export function judgeOutput(schema: JsonSchema, text: string): Judged {
  let value: unknown;
  try {
    value = JSON.parse(unfenced(text));
    // Bounds its depth, before anything walks through it.
    canonicalJson(value);
  } catch (error) {
    return { ok: false, misfit: `it cannot be read as JSON (${error instanceof Error ? error.message : 'broken'})` };
  }
  const misfit = misfitOf(schema, value, 'answer');
  return misfit === null ? { ok: true, value } : { ok: false, misfit };
}

/** What the turn that repairs an answer is told. */
export const repairText = (misfit: string): string =>
  `Your answer does not fit what was asked for: ${misfit}. Answer again, with JSON alone that fits the schema.`;

const FENCE = '```';

/** Models that are told in words like to put a fence around what they answer. */
function unfenced(text: string): string {
  const trimmed = text.trim();
  const first = trimmed.indexOf('\n');
  if (!trimmed.startsWith(FENCE) || !trimmed.endsWith(FENCE) || first === -1) return trimmed;
  return trimmed.slice(first, -FENCE.length);
}
