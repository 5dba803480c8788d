import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from '../define.ts';
import { LIMITS } from '../limits.ts';
import { reachIn } from './held.ts';
import { compileGlob } from './patterns.ts';
import { showName, type SpaceOf } from './space.ts';
import { emptyTally, notesOnWalk, walkFiles } from './walk.ts';

const DESCRIPTION = `Finds files by name, sorted by folder. "*" and "?" stay within a name, "**/" is any number of folders, \
"[a-z]" one character, "{a,b}" either; a pattern without "/" is matched against file names in all folders. Folders named \
.git and node_modules are left out unless path leads into one; links are not followed. At most ${LIMITS.globPaths} paths, \
out of ${LIMITS.walkedEntries} entries; the answer says when it was cut.`;

const input = z.strictObject({
  pattern: z.string().min(1).max(LIMITS.patternChars).describe('For example src/**/*.ts, relative to path.'),
  path: z.string().min(1).max(LIMITS.pathChars).default('.').describe('The folder to search, relative to the root.'),
});

export function createGlob(spaceOf: SpaceOf, name: string): ToolDefinition {
  return definePure({
    name,
    taint: 'file',
    names: { trees: ['path'] },
    reaches: reachIn(spaceOf, ({ path }) => [{ path, tree: true }]),
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.searchTimeoutMs,
    async run({ pattern, path }, context) {
      const { signal } = context;
      const space = spaceOf(context);
      const matches = compileGlob(pattern);
      await using start = await space.open(path, 'directory');
      const tally = emptyTally();
      const paths: string[] = [];
      let full = false;
      let chars = 0;
      for await (const file of walkFiles(space, start, tally, signal)) {
        if (!matches(file.below)) continue;
        const shown = showName(space.shown(file.at));
        chars += shown.length + 1;
        full = paths.length === LIMITS.globPaths || chars > LIMITS.answerChars;
        if (full) break;
        paths.push(shown);
      }
      const lines = [
        ...(paths.length === 0 ? ['[no file matches]'] : paths),
        ...notesOnWalk(tally, paths.length === 0),
      ];
      if (full) lines.push(`[up to here, ${paths.length} paths; there are more: narrow the pattern or path]`);
      return { content: lines.join('\n'), details: { pattern, path: start.shown, paths, full, ...tally } };
    },
  });
}
