import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from '../define.ts';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { reachIn } from './held.ts';
import { digestOf, readWhole } from './content.ts';
import { quote, type Opened, type SpaceOf } from './space.ts';
import { decodeText, excerptOf, readText, type Excerpt } from './text.ts';

const DESCRIPTION = `Reads a text file, as it is. One answer holds at most ${LIMITS.readLines} lines and \
${LIMITS.answerChars} characters; when there is more, its last line says with which offset and column to read on. Files \
over ${LIMITS.fileBytes / 1024 / 1024} MiB and files that are not text are refused.`;
const ON_DIGESTS = ' Behind the text it tells the digest of the whole file: writing it needs that.';

const input = z.strictObject({
  path: z.string().min(1).max(LIMITS.pathChars).describe('The file, relative to the root.'),
  offset: z.int().min(1).max(LIMITS.fileBytes).default(1).describe('The first line to read; the first of all is 1.'),
  limit: z.int().min(1).max(LIMITS.readLines).default(LIMITS.readLines).describe('At most so many lines.'),
  column: z
    .int()
    .min(1)
    .max(LIMITS.fileBytes)
    .default(1)
    .describe('Where to start in the first line, for lines too long for one answer.'),
});

/** With `digests` the whole file is read each time, and its digest told. */
export function createReadFile(spaceOf: SpaceOf, name: string, { digests }: { digests: boolean }): ToolDefinition {
  return definePure({
    name,
    taint: 'file',
    names: { paths: ['path'] },
    reaches: reachIn(spaceOf, ({ path }) => [{ path, tree: false }]),
    description: digests ? DESCRIPTION + ON_DIGESTS : DESCRIPTION,
    input,
    timeoutMs: LIMITS.readTimeoutMs,
    async run({ path, offset, column, limit }, context) {
      const { signal } = context;
      const space = spaceOf(context);
      await using file = await (digests ? space.openToChange(path) : space.open(path, 'file'));
      const range = { offset, column, limit, chars: LIMITS.answerChars };
      if (!digests) return answer(file, offset, await excerptOf(readText(file, signal), range));
      const bytes = await readWhole(file, signal);
      const digest = digestOf(bytes);
      const { content, details } = answer(file, offset, await excerptOf(decodeText(file, [bytes]), range));
      return { content: `${content}\n[digest ${digest}]`, details: { ...details, digest } };
    },
  });
}

function answer(
  file: Opened,
  offset: number,
  { text, last, next, lines }: Excerpt,
): { content: string; details: object } {
  if (next === null && last < offset && offset > 1)
    throw new ToolFailure('past_end', `${quote(file.shown)} has only ${lines} lines: use a smaller offset.`);
  const details = { path: file.shown, bytes: file.bytes, from: offset, to: last, lines, next };
  if (next === null) return { content: lines === 0 ? '[the file is empty]' : text, details };
  const on = next.column > 1 ? `offset ${next.offset} and column ${next.column}` : `offset ${next.offset}`;
  return { content: `${text}\n[up to here; there is more: read on with ${on}]`, details };
}
