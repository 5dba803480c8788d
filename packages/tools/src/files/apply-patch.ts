import type { ToolDefinition } from '@perdure/runtime/ports';
import { posix } from 'node:path';
import { z } from 'zod';
import { defineEdit } from '../define.ts';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { answerOf } from './answer.ts';
import { digestOf } from './content.ts';
import { editWish } from './edit-file.ts';
import { reachIn } from './held.ts';
import type { SpaceOf, Wish } from './space.ts';
import { quote } from './space.ts';
import { applyHunks, createdText, editsOf, parsePatch } from './unified-diff.ts';
import type { FileDiff } from './unified-diff.ts';

const DESCRIPTION = `Changes, creates and deletes text files by one unified diff: "--- a/PATH", "+++ b/PATH", hunks that \
start with import type { SpaceOf, Wish } from './space.ts';
import { quote } from './space.ts';
; /dev/null stands for no file. Each hunk must fit exactly: its line number is only a hint, its unchanged and \
removed lines are not. Each file that is there needs the digest that read_file told of it. All files are checked before \
the first one is changed; then they change one after another, and the answer says which did. At most \
${LIMITS.patchedFiles} files; nothing is renamed.`;

const input = z.strictObject({
  patch: z.string().min(1).max(LIMITS.writtenChars).describe('The unified diff, paths relative to the root.'),
  digests: z
    .array(z.strictObject({ path: z.string().min(1).max(LIMITS.pathChars), digest: z.string().min(1).max(64) }))
    .max(LIMITS.patchedFiles)
    .default([])
    .describe('Of each file that is there, as you read it; the path as in the patch, without a/ and b/.'),
});

/** Class `keyed`: file by file as `edit_file` and `write_file`, so a call that runs again does what is left of it. */
export function createApplyPatch(spaceOf: SpaceOf, name: string): ToolDefinition {
  return defineEdit({
    name,
    names: { patches: ['patch'], paths: ['/digests/*/path'] },
    reaches: reachIn(spaceOf, ({ patch }) => parsePatch(patch).map(({ path }) => ({ path, tree: false }))),
    description: DESCRIPTION,
    input,
    timeoutMs: LIMITS.writeTimeoutMs,
    async run({ patch, digests }, context) {
      const known = new Map(digests.map(({ path, digest }) => [posix.normalize(path), digest]));
      const diffs = parsePatch(patch);
      const wishes = diffs.map((diff) => wishOf(diff, known.get(posix.normalize(diff.path))));
      return answerOf(await spaceOf(context).change(wishes, context));
    },
  });
}

function wishOf(diff: FileDiff, digest: string | undefined): Wish {
  const { path, kind, hunks } = diff;
  if (kind === 'create') {
    const bytes = Buffer.from(createdText(diff));
    const wanted = digestOf(bytes);
    return {
      path,
      digest: undefined,
      change: () => bytes,
      isDone: (now) => now !== null && digestOf(now) === wanted,
    };
  }
  if (digest === undefined)
    throw new ToolFailure('not_read', `digests names no ${quote(path)}: read it first, and give the digest it has.`);
  const apply = (text: string): string => applyHunks(text, hunks);
  const edit = editWish(path, digest, apply, editsOf(hunks));
  if (kind === 'update') return edit;
  return { ...edit, change: (before) => deleted(edit, before), isDone: (now) => now === null };
}

/** The removed lines, where the diff has them, are all of the file. */
function deleted(edit: Wish, before: Buffer | null): null {
  const left = edit.change(before);
  if (left !== null && before !== null && left.length > 0 && !left.equals(before))
    throw new ToolFailure('no_match', `The patch deletes ${quote(edit.path)}, but not all of its lines.`);
  return null;
}
