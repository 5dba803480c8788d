import type { ToolDefinition } from '@perdure/runtime/ports';
import { ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { createApplyPatch } from './apply-patch.ts';
import { createEditFile } from './edit-file.ts';
import { createGlob } from './glob.ts';
import { createGrep } from './grep.ts';
import { createListFiles } from './list-files.ts';
import { createReadFile } from './read-file.ts';
import { openRoot, type RootOptions } from './root.ts';
import { createWriteFile } from './write-file.ts';

export type FilesOptions = RootOptions & {
  /** Goes before each name, so that two folders can be offered side by side: `docs_` gives `docs_read_file`. */
  prefix?: string;
  /** Adds `write_file`, `edit_file` and `apply_patch`; `read_file` then tells digests. Default: read-only. */
  write?: boolean;
};

/**
 * `read_file`, `list_files`, `glob` and `grep` over one folder, confined to it (see `root.ts`): pure, and run unasked.
 * With `write: true` also `write_file`, `edit_file` and `apply_patch`, which change only what was read (see `replace.ts`):
 * keyed, so a crash never doubles a change, and asking first, unless a policy grants them or its mode is `accept-edits`.
 * Nothing below a folder named `.git` is written.
 *
 * Their failures are error results whose text starts with a stable code. Of paths: `outside_root`, `hidden`, `protected`,
 * `not_found`, `not_a_file`, `not_a_directory`, `hard_linked`, `link_loop`, `changed`, `invalid_path`. Of content:
 * `not_readable`, `binary`, `too_large`, `past_end`. Of changes: `not_read`, `stale`, `no_match`, `many_matches`,
 * `invalid_patch`, `not_writable`, `no_space`. Of arguments: `invalid_pattern`, `invalid_arguments`. An abort throws the
 * signal's reason.
 *
 * Throws ToolOptionsError `invalid_root` or `invalid_prefix`.
 */
export function files(options: FilesOptions): ToolDefinition[] {
  const { prefix = '', write = false } = options;
  if (!/^[A-Za-z0-9_-]*$/.test(prefix) || prefix.length > LIMITS.prefixChars)
    throw new ToolOptionsError(
      'invalid_prefix',
      `the prefix ${JSON.stringify(prefix)} cannot start a tool's name: use up to ${LIMITS.prefixChars} of A-Z a-z 0-9 _ -`,
    );
  const root = openRoot(options);
  const reading = [
    createReadFile(root, `${prefix}read_file`, { digests: write }),
    createListFiles(root, `${prefix}list_files`),
    createGlob(root, `${prefix}glob`),
    createGrep(root, `${prefix}grep`),
  ];
  if (!write) return reading;
  return [
    ...reading,
    createWriteFile(root, `${prefix}write_file`),
    createEditFile(root, `${prefix}edit_file`),
    createApplyPatch(root, `${prefix}apply_patch`),
  ];
}
