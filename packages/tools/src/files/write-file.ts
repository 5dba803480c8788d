import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { defineEdit } from '../define.ts';
import { LIMITS } from '../limits.ts';
import { reachIn } from './held.ts';
import { answerOf } from './answer.ts';
import { digestOf } from './content.ts';
import type { SpaceOf } from './space.ts';

const DESCRIPTION = `Writes a whole text file, in UTF-8 and exactly as given. A file that is there is replaced only with \
the digest that read_file told of it; a new one needs none, and its folders are made. At most ${LIMITS.writtenChars} \
characters; for small changes use edit_file.`;

const input = z.strictObject({
  path: z.string().min(1).max(LIMITS.pathChars).describe('The file, relative to the root.'),
  content: z.string().max(LIMITS.writtenChars),
  digest: z.string().max(64).optional().describe('Of the file as you read it; leave it out for a new file.'),
});

/**
 * Class `keyed`: the content says what is to be there, so a call that runs again finds it there and changes nothing
 * (W2 in `replace.ts`).
 */
export function createWriteFile(spaceOf: SpaceOf, name: string): ToolDefinition {
  return defineEdit({
    name,
    names: { paths: ['path'] },
    reaches: reachIn(spaceOf, ({ path }) => [{ path, tree: false }]),
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.writeTimeoutMs,
    async run({ path, content, digest }, context) {
      const bytes = Buffer.from(content);
      const wanted = digestOf(bytes);
      const isDone = (now: Buffer | null): boolean => now !== null && digestOf(now) === wanted;
      return answerOf(await spaceOf(context).change([{ path, digest, change: () => bytes, isDone }], context));
    },
  });
}
