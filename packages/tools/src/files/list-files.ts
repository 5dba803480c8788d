import type { ToolDefinition } from '@perdure/runtime/ports';
import { z } from 'zod';
import { definePure } from '../define.ts';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { reachIn } from './held.ts';
import { showName, type Entry, type SpaceOf } from './space.ts';

const DESCRIPTION = `Lists what a folder holds, sorted by name: "name/" is a folder, "name@" a link, "name|" neither file \
nor folder. One answer holds at most ${LIMITS.listedEntries} entries; when there are more, its last line says how to go on.`;

const input = z.strictObject({
  path: z.string().min(1).max(LIMITS.pathChars).default('.').describe('The folder, relative to the root.'),
  offset: z.int().min(1).max(LIMITS.directoryEntries).default(1).describe('The first entry to list; the first is 1.'),
});

const MARK: Record<Entry['kind'], string> = { file: '', directory: '/', link: '@', other: '|' };

export function createListFiles(spaceOf: SpaceOf, name: string): ToolDefinition {
  return definePure({
    name,
    taint: 'file',
    names: { paths: ['path'] },
    reaches: reachIn(spaceOf, ({ path }) => [{ path, tree: false }]),
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.readTimeoutMs,
    async run({ path, offset }, context) {
      const { signal } = context;
      const space = spaceOf(context);
      await using folder = await space.open(path, 'directory');
      const { entries, cut } = await folder.entries();
      signal.throwIfAborted();
      if (offset > 1 && offset > entries.length)
        throw new ToolFailure('past_end', `There are only ${entries.length} entries: use a smaller offset.`);
      const page = entries
        .slice(offset - 1, offset - 1 + LIMITS.listedEntries)
        .map(({ name: entry, kind }) => ({ name: entry, kind }));
      const next = offset - 1 + page.length < entries.length ? offset + page.length : null;
      const lines = page.map((entry) => showName(entry.name) + MARK[entry.kind]);
      if (entries.length === 0) lines.push('[the folder is empty]');
      if (next !== null) lines.push(`[up to here of ${entries.length}; go on with offset ${next}]`);
      if (cut) lines.push(`[the folder holds more than the ${entries.length} entries that were read; use glob]`);
      return {
        content: lines.join('\n'),
        details: { path: folder.shown, entries: page, from: offset, total: entries.length, next, cut },
      };
    },
  });
}
