import { realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { isLink } from '@perdure/contract';
import type { MountedTree, Source } from '@perdure/runtime/ports';
import { ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { checkOptions } from '../options.ts';
import { readSmallFile } from './small-file.ts';

export type AgentsFilesOptions = {
  /** The workspace: nothing above it is read. */
  root: string;
  /** Where the work is done, in the root; default: the root itself. */
  from?: string;
  /**
   * Whether what they say counts as instructions (default). `false` for a workspace that others than you wrote: it is then
   * told as information, and taints.
   */
  trusted?: boolean;
};

const NAME = 'AGENTS.md';

/**
 * What the files `AGENTS.md` of a workspace say, behind an agent's instructions: the nearest to `from` first, up to the
 * root, each run as they are when it starts. One that is a link out of the root is not read. So are those at the top of the
 * workspaces that the session has mounted, which taint (`file`) whoever is trusted. Throws ToolOptionsError
 * `invalid_options` or `invalid_root`.
 */
export function agentsFiles(options: AgentsFilesOptions): Source {
  checkOptions('agentsFiles', options);
  const { root, from = root, trusted = true } = options;
  const top = folderOf(root);
  const start = folderOf(from === root ? root : resolve(root, from));
  if (start !== top && !start.startsWith(top + sep))
    throw new ToolOptionsError('invalid_root', `${start} does not lie in ${top}`);
  const folders = [start];
  while (folders.at(-1) !== top) folders.push(dirname(folders.at(-1) ?? top));
  return {
    key: 'Instructions of the workspace',
    trusted,
    read: () => textOf(top, folders),
    mounted: { key: 'Instructions of what is mounted', read: mountedText },
  };
}

async function mountedText(mounts: readonly MountedTree[]): Promise<string> {
  let left = LIMITS.agentsFilesBytes;
  const parts: string[] = [];
  for (const { path, tree, content } of mounts) {
    const node = tree.get(NAME);
    if (node === undefined || isLink(node) || left <= 0) continue;
    if (node.bytes > LIMITS.agentsFileReadBytes) continue;
    const bytes = (await content(node.digest)) ?? new Uint8Array();
    const shown = bytes.subarray(0, Math.min(left, LIMITS.agentsFileBytes));
    if (shown.includes(0)) continue;
    const text = new TextDecoder().decode(shown).trim();
    if (text === '') continue;
    left -= shown.length;
    parts.push(section(`${path === '/' ? '' : path}/${NAME}`, text, shown.length < bytes.length));
  }
  return parts.join('\n\n');
}

const section = (name: string, text: string, cut: boolean): string =>
  `## ${name}\n${text}${cut ? '\n[cut: the file goes on]' : ''}`;

function folderOf(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true)
    throw new ToolOptionsError('invalid_root', `${resolve(path)} is no folder: name the one with the workspace`);
  return realpathSync.native(path);
}

function textOf(top: string, folders: readonly string[]): string {
  let left = LIMITS.agentsFilesBytes;
  const parts: string[] = [];
  for (const folder of folders) {
    const path = join(folder, NAME);
    const found = left > 0 ? readSmallFile(top, path, Math.min(left, LIMITS.agentsFileBytes)) : null;
    if (found === null || found.text.trim() === '') continue;
    left -= Buffer.byteLength(found.text);
    const shown = relative(top, path).split(sep).join('/') || basename(path);
    parts.push(section(shown, found.text.trim(), found.cut));
  }
  return parts.join('\n\n');
}
