import type { ToolResult } from '@perdure/runtime/ports';
import type { Change, Changes } from './space.ts';
import { showName } from './space.ts';

/**
 * What was changed, with the digests to go on with. Where something stopped it in the middle, the call did take effect:
 * that is no failure, and is told.
 */
export function answerOf({ done, failed, unflushed }: Changes): ToolResult {
  const lines = done.map(lineOf);
  if (failed !== null)
    lines.push(
      `[stopped at ${showName(failed.path)}: ${failed.failure.message} It and what comes after it are unchanged]`,
    );
  if (unflushed) lines.push('[the disk has not confirmed this: a power cut may undo it]');
  return { content: lines.join('\n'), details: { files: done, failed: failed?.path ?? null, unflushed } };
}

function lineOf({ path, did, after }: Change): string {
  const shown = showName(path);
  if (after === null) return did === 'kept' ? `${shown} is deleted already.` : `Deleted ${shown}.`;
  const said = { created: `Created ${shown}`, changed: `Changed ${shown}`, kept: `${shown} is so already` };
  return `${said[did === 'deleted' ? 'changed' : did]}, ${after.bytes} bytes. [digest ${after.digest}]`;
}
