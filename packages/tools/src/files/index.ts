import type { ToolDefinition } from '@perdure/runtime/ports';
import { ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { createGlob } from './glob.ts';
import { createGrep } from './grep.ts';
import { createListFiles } from './list-files.ts';
import { createReadFile } from './read-file.ts';
import { openRoot, type RootOptions } from './root.ts';

/** `prefix` goes before each name, so that two folders can be offered side by side: `docs_` gives `docs_read_file`. */
export type FilesOptions = RootOptions & { prefix?: string };

/**
 * `read_file`, `list_files`, `glob` and `grep` over one folder, read-only, confined to it (see `root.ts`). All are pure
 * and run unasked. Their failures are error results whose text starts with a stable code: `outside_root`, `hidden`,
 * `not_found`, `not_a_file`, `not_a_directory`, `hard_linked`, `link_loop`, `changed`, `not_readable`, `binary`,
 * `too_large`, `past_end`, `invalid_path`, `invalid_pattern`, `invalid_arguments`; an abort throws the signal's reason.
 *
 * Throws ToolOptionsError `invalid_root` or `invalid_prefix`.
 */
export function files(options: FilesOptions): ToolDefinition[] {
  const { prefix = '' } = options;
  if (!/^[A-Za-z0-9_-]*$/.test(prefix) || prefix.length > LIMITS.prefixChars)
    throw new ToolOptionsError(
      'invalid_prefix',
      `the prefix ${JSON.stringify(prefix)} cannot start a tool's name: use up to ${LIMITS.prefixChars} of A-Z a-z 0-9 _ -`,
    );
  const root = openRoot(options);
  return [
    createReadFile(root, `${prefix}read_file`),
    createListFiles(root, `${prefix}list_files`),
    createGlob(root, `${prefix}glob`),
    createGrep(root, `${prefix}grep`),
  ];
}
