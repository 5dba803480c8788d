import type { ToolDefinition } from '@perdure/runtime/ports';
import { ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { checkOptions } from '../options.ts';
import { createApplyPatch } from './apply-patch.ts';
import { createEditFile } from './edit-file.ts';
import { folderSpace } from './folder.ts';
import { createGlob } from './glob.ts';
import { createGrep } from './grep.ts';
import { heldTo } from './held.ts';
import { createListFiles } from './list-files.ts';
import { createReadFile } from './read-file.ts';
import { mountedSpace } from './mounted/space.ts';
import { openRoot, type RootOptions } from './root.ts';
import type { SpaceOf } from './space.ts';
import { createWriteFile } from './write-file.ts';

/** A folder of this machine; or `mounts`: what each session has mounted, and no folder. */
export type FilesOptions = (RootOptions | { mounts: true }) & {
  /** Goes before each name, so that two folders can be offered side by side: `docs_` gives `docs_read_file`. */
  prefix?: string;
  /** Adds `write_file`, `edit_file` and `apply_patch`; `read_file` then tells digests. Default: read-only. */
  write?: boolean;
};

/**
 * `read_file`, `list_files`, `glob` and `grep` over one folder, confined to it (see `root.ts`), or over the workspaces that
 * a session has mounted, each at its path: pure, and run unasked.
 * With `write: true` also `write_file`, `edit_file` and `apply_patch`, which change only what was read (see `replace.ts`):
 * keyed, so a crash never doubles a change, and asking first, unless a policy grants them or its mode is `accept-edits`.
 * Nothing below a folder named `.git` is written, and nothing of a workspace that is mounted read-only.
 *
 * Their failures are error results whose text starts with a stable code. Of paths: `outside_root`, `hidden`, `protected`,
 * `not_found`, `not_a_file`, `not_a_directory`, `hard_linked`, `link_loop`, `changed`, `leads_elsewhere`, `invalid_path`. Of content:
 * `not_readable`, `binary`, `too_large`, `past_end`. Of changes: `not_read`, `stale`, `no_match`, `many_matches`,
 * `invalid_patch`, `not_writable`, `no_space`. Of arguments: `invalid_pattern`, `invalid_arguments`. An abort throws the
 * signal's reason.
 *
 * Throws ToolOptionsError `invalid_options`, `invalid_root` or `invalid_prefix`.
 */
export function files(options: FilesOptions): ToolDefinition[] {
  checkOptions('mounts' in options ? 'files of mounts' : 'files', options);
  const { prefix = '', write = false } = options;
  if (!/^[A-Za-z0-9_-]*$/.test(prefix) || prefix.length > LIMITS.prefixChars)
    throw new ToolOptionsError(
      'invalid_prefix',
      `the prefix ${JSON.stringify(prefix)} cannot start a tool's name: use up to ${LIMITS.prefixChars} of A-Z a-z 0-9 _ -`,
    );
  const spaceOf = spaceFor(options);
  const reading = [
    createReadFile(spaceOf, `${prefix}read_file`, { digests: write }),
    createListFiles(spaceOf, `${prefix}list_files`),
    createGlob(spaceOf, `${prefix}glob`),
    createGrep(spaceOf, `${prefix}grep`),
  ];
  if (!write) return reading;
  return [
    ...reading,
    createWriteFile(spaceOf, `${prefix}write_file`),
    createEditFile(spaceOf, `${prefix}edit_file`),
    createApplyPatch(spaceOf, `${prefix}apply_patch`),
  ];
}

function spaceFor(options: FilesOptions): SpaceOf {
  if ('mounts' in options) return (context) => heldTo(mountedSpace(context), context.reached);
  const space = folderSpace(openRoot(options));
  return ({ reached }) => heldTo(space, reached);
}
