import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from '../define.ts';
import { LIMITS } from '../limits.ts';
import { reachIn } from './held.ts';
import { compileExpression, compileGlob } from './patterns.ts';
import type { SpaceOf } from './space.ts';
import { notesOnSearch, searchFile, searchFound, startSearch } from './search.ts';
import { emptyTally, notesOnWalk, walkFiles } from './walk.ts';

const DESCRIPTION = `Searches text files line by line for a regular expression in RE2 syntax (no look-around, no \
back-references). Answers with path:line:text, and with path-line-text for context. Folders named .git and node_modules \
are left out unless path leads into one; links are not followed; files that are not text or over \
${LIMITS.fileBytes / 1024 / 1024} MiB are passed over. Of a line the first ${LIMITS.searchedLineChars} characters are \
searched and ${LIMITS.shownLineChars} shown. At most ${LIMITS.grepMatches} matching lines and ${LIMITS.answerChars} \
characters; the answer says when it was cut.`;

const input = z.strictObject({
  pattern: z.string().min(1).max(LIMITS.patternChars).describe('The expression, for example "function \\w+Of\\(".'),
  path: z.string().min(1).max(LIMITS.pathChars).default('.').describe('A folder or a file, relative to the root.'),
  include: z
    .string()
    .min(1)
    .max(LIMITS.patternChars)
    .optional()
    .describe('In a folder, only files that match this glob, relative to path: *.ts, src/**/*.md.'),
  ignoreCase: z.boolean().default(false),
  context: z.int().min(0).max(LIMITS.contextLines).default(0).describe('Lines shown before and after each match.'),
});

export function createGrep(spaceOf: SpaceOf, name: string): ToolDefinition {
  return definePure({
    name,
    taint: 'file',
    names: { trees: ['path'] },
    reaches: reachIn(spaceOf, ({ path }) => [{ path, tree: true }]),
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.searchTimeoutMs,
    async run({ pattern, path, include, ignoreCase, context: around }, context) {
      const { signal } = context;
      const space = spaceOf(context);
      const search = startSearch(compileExpression(pattern, ignoreCase), around);
      const included = include === undefined ? () => true : compileGlob(include);
      const tally = emptyTally();
      await using start = await space.open(path);
      if (start.kind === 'file') await searchFile(start, search, signal);
      else
        for await (const found of walkFiles(space, start, tally, signal)) {
          if (included(found.below)) await searchFound(space, found.at, search, signal);
          if (search.end !== null) break;
        }
      const { lines, matches, files, bytes, passedOver, end } = search;
      const nothing = lines.length === 0;
      const said = [...lines, ...notesOnWalk(tally, nothing), ...notesOnSearch(search)];
      if (nothing) said.unshift(`[no line matches in ${files} files]`);
      return {
        content: said.join('\n'),
        details: { pattern, path: start.shown, matches, files, bytes, passedOver, end, ...tally },
      };
    },
  });
}
