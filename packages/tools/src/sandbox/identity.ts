/**
 * Who a sandbox's processes are to this machine's kernel.
 *
 * U1 Never root: a user namespace hides who it is from the command, not from the kernel, and root may write what needs
 *    no capability, such as `/proc/sys/kernel/core_pattern`. A process of root runs commands as the owner of what
 *    they may write, else as nobody; any other process runs them as itself.
 */
import process from 'node:process';
import { SandboxError } from '@perdure/runtime/ports';
import type { OpenFolder, Owner } from './folders.ts';

export type { Owner } from './folders.ts';

export const NOBODY: Owner = { uid: 65_534, gid: 65_534 };

/** Null: as this process. Throws SandboxError `invalid_folder` where root would have to write. */
export function identityFor(folders: readonly OpenFolder[]): Owner | null {
  if (process.getuid?.() !== 0) return null;
  const [first, ...others] = folders.filter(({ write }) => write);
  if (first === undefined) return NOBODY;
  if (others.some(({ owner }) => owner.uid !== first.owner.uid))
    throw new SandboxError(
      'invalid_folder',
      `${others[0]?.at} and ${first.at} have different owners: commands run as the one owner of what they may write`,
    );
  if (first.owner.uid === 0)
    throw new SandboxError(
      'invalid_folder',
      `the folder shown at ${first.at} is root's, and no command runs as root: give it an owner (chown -R ${NOBODY.uid}:${NOBODY.gid}), or start Perdure as an ordinary user`,
    );
  return { uid: first.owner.uid, gid: first.owner.gid === 0 ? NOBODY.gid : first.owner.gid };
}
