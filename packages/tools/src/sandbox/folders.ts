/**
 * The folders of this machine that a sandbox shows.
 *
 * M1 A folder is opened before anything is mounted, its last name not followed, and its descriptor must lie where it was
 *    said to: what is mounted is that descriptor (bubblewrap compares it with what it mounted), not a name.
 * M2 No folder is shown inside another, nor where the sandbox has its own: every mount point is made in an empty tmpfs, so
 *    no link that was planted in a folder leads bubblewrap anywhere (CVE-2026-87766).
 * M3 A folder that holds the machine, the kernel's own files or the data of this process is not shown, nor one within.
 */
import { closeSync, constants, openSync, readlinkSync, statSync } from 'node:fs';
import { isAbsolute, normalize, sep } from 'node:path';
import type { SandboxFolder } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';

export type OpenFolder = Disposable & SandboxFolder & { fd: number; owner: Owner };
export type Owner = { uid: number; gid: number };

/** Of Linux, and not among Node's: the descriptor says where the folder is, and reads nothing of it. */
const O_PATH = 0o10000000;
const FLAGS = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** What the sandbox has of its own, or of the machine. */
const TAKEN = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32', '/etc', '/proc', '/dev', '/run'];
const SCRATCH = '/tmp';
const KERNEL = ['/proc', '/sys', '/dev'];

/** Opens all or none; `apart`: folders that may not be seen. Throws SandboxError `invalid_folder`. */
export function openFolders(folders: readonly SandboxFolder[], apart: readonly string[]): OpenFolder[] {
  checkPlaces(folders);
  const opened: OpenFolder[] = [];
  try {
    for (const folder of folders) opened.push(openFolder(folder, apart));
  } catch (error) {
    for (const folder of opened) folder[Symbol.dispose]();
    throw error;
  }
  return opened;
}

function checkPlaces(folders: readonly SandboxFolder[]): void {
  for (const { at } of folders) {
    if (!isAbsolute(at) || normalize(at) !== at || at.endsWith(sep))
      throw refused(`${at} is no place for a folder: write it absolute and without a trailing slash`);
    if (at === SCRATCH || TAKEN.some((taken) => overlap(taken, at)))
      throw refused(`${at} is the sandbox's own: show the folder elsewhere, such as /workspace`);
  }
  for (const [index, { at }] of folders.entries())
    for (const other of folders.slice(index + 1))
      if (overlap(at, other.at)) throw refused(`${other.at} and ${at} lie in each other: show them side by side`);
}

function openFolder(folder: SandboxFolder, apart: readonly string[]): OpenFolder {
  const { path } = folder;
  const hidden = apart.find((each) => overlap(each, path));
  if (hidden !== undefined)
    throw refused(
      `${path} and Perdure's own data in ${hidden} lie in each other: give commands another folder, or keep the data elsewhere (--data)`,
    );
  if (path === sep || KERNEL.some((each) => isWithin(each, path)))
    throw refused(`${path} holds more than files: give commands a folder with files`);
  let fd: number;
  try {
    fd = openSync(path, FLAGS);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw refused(`${path} cannot be opened as a folder (${code})`);
  }
  try {
    if (readlinkSync(`/proc/self/fd/${fd}`) !== path)
      throw refused(`${path} leads elsewhere: name the folder itself, without links`);
    // Through the descriptor, so that it is told of what is mounted.
    const { uid, gid } = statSync(`/proc/self/fd/${fd}`);
    return { ...folder, fd, owner: { uid, gid }, [Symbol.dispose]: () => closeSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

const refused = (message: string): SandboxError => new SandboxError('invalid_folder', message);

export const isWithin = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
const overlap = (one: string, other: string): boolean => isWithin(one, other) || isWithin(other, one);
