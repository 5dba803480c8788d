import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { defineEdit } from '../define.ts';
import { LIMITS } from '../limits.ts';
import { reachIn } from './held.ts';
import { answerOf } from './answer.ts';
import { digestOf, textOf } from './content.ts';
import { applyEdits, undoneTexts } from './edits.ts';
import type { Edit } from './edits.ts';
import type { SpaceOf, Wish } from './space.ts';

const DESCRIPTION = `Replaces text in a file, with the digest that read_file told of it. "old" is the text exactly as it \
stands there, with enough around it to stand there once; with all: true each place is replaced. Edits are made in order, \
each on what the one before it made: all of them or none. At most ${LIMITS.edits}. The answer has the new digest, to go on \
with.`;

const input = z.strictObject({
  path: z.string().min(1).max(LIMITS.pathChars).describe('The file, relative to the root.'),
  digest: z.string().min(1).max(64).describe('Of the file as you read it.'),
  edits: z
    .array(
      z
        .strictObject({
          old: z.string().min(1).max(LIMITS.writtenChars),
          new: z.string().max(LIMITS.writtenChars),
          all: z.boolean().default(false),
        })
        .refine((edit) => edit.old !== edit.new, 'old and new are the same'),
    )
    .min(1)
    .max(LIMITS.edits),
});

/**
 * Class `keyed`: a call that runs again finds out whether the file is what its edits made of the one with the digest, and
 * then changes nothing (W2 in `replace.ts`). Where it cannot find out, because the file was changed again or edits are too
 * many ways undone, it refuses as `stale`; what an attempt before it did is then recorded as unknown.
 */
export function createEditFile(spaceOf: SpaceOf, name: string): ToolDefinition {
  return defineEdit({
    name,
    names: { paths: ['path'] },
    reaches: reachIn(spaceOf, ({ path }) => [{ path, tree: false }]),
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.writeTimeoutMs,
    async run({ path, digest, edits }, context) {
      return answerOf(
        await spaceOf(context).change([editWish(path, digest, (text) => applyEdits(text, edits), edits)], context),
      );
    },
  });
}

/** `apply` throws ToolFailure; `edits` are the same as replacements. */
export function editWish(path: string, digest: string, apply: (text: string) => string, edits: readonly Edit[]): Wish {
  return {
    path,
    digest,
    change: (before) => (before === null ? null : Buffer.from(apply(textOf(before, path)))),
    isDone: (now) => now !== null && isMadeOf(now, digest, apply, edits),
  };
}

function isMadeOf(now: Buffer, digest: string, apply: (text: string) => string, edits: readonly Edit[]): boolean {
  try {
    const text = textOf(now, '');
    for (const before of undoneTexts(text, edits))
      if (digestOf(Buffer.from(before)) === digest) return apply(before) === text;
    return false;
  } catch {
    // No text, or none that the edits fit: they did not make it.
    return false;
  }
}
