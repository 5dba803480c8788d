/**
 * The folder that the file tools are confined to.
 *
 * R1 What is read is decided by the descriptor, not by the name: after `open`, the path of the opened file itself must
 *    lie within the root. Whatever was swapped between the look and the open, nothing of it has been read yet.
 * R2 Links are resolved here, one name at a time, and a link that leads out is refused before anything behind it is
 *    touched: not even whether it exists is told.
 * R3 Only regular files and directories are opened, without following a last link, and without waiting for a writer.
 * R4 A file with a second name may be a file from elsewhere; it is refused unless the operator allows it.
 * R5 What is hidden is refused by its real path, so that no link shows it.
 *
 * What is written obeys the same rules, and those of `replace.ts`.
 */
import { constants, existsSync, realpathSync, statSync, type Dirent, type Stats } from 'node:fs';
import { lstat, open, opendir, readlink, realpath, type FileHandle } from 'node:fs/promises';
import { join, parse, relative, resolve, sep } from 'node:path';
import process from 'node:process';
import { ToolFailure, ToolOptionsError } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import type { Entry, Kind, Opened } from './space.ts';
import { misnamed, notFound, quote } from './space.ts';

export type RootOptions = {
  /** The folder: read when the tools are made, and fixed from then on. Neither the file system's root nor in `/proc`. */
  root: string;
  /**
   * Files and folders that are kept from the tools with all they hold: relative to the root, or absolute. What holds
   * credentials or other people's data belongs here. One that does not exist yet is hidden by its name.
   */
  hide?: readonly string[];
  /** Files with more than one name (as pnpm installs packages): their other name may lie outside. Default: refuse. */
  hardLinks?: 'refuse' | 'allow';
};

export type Root = {
  readonly real: string;
  /** As the operator wrote it: a model may have seen that name. */
  readonly given: string;
  readonly hidden: readonly string[];
  readonly hardLinks: 'refuse' | 'allow';
  readonly descriptors: Descriptors;
};

/** An open descriptor whose place has been verified: `at` is where it really is. */
export type OpenedReal = Opened & { readonly handle: FileHandle };

/** How to learn where an open descriptor is. */
export type Descriptors = {
  /** The real path; null where the name no longer leads to what was opened. */
  pathOf(handle: FileHandle, openedAs: string): Promise<string | null>;
  /** Under which name the directory behind a descriptor is read, and what it holds is reached. */
  reachedAs(handle: FileHandle, openedAs: string): string;
};

/** Linux: the kernel says it, and a directory can be read through its descriptor. */
export const kernelDescriptors: Descriptors = {
  pathOf: (handle) => readlink(`/proc/self/fd/${handle.fd}`),
  reachedAs: (handle) => `/proc/self/fd/${handle.fd}`,
};

/**
 * Elsewhere: the name's real path must now lead to the very file that was opened. The two looks are not one, and who
 * swaps names could swap between them; so both are taken many times and must agree each time. A folder is listed by its
 * name. Where hostile processes write in the root while tools read it, use Linux.
 */
export const identityDescriptors: Descriptors = {
  async pathOf(handle, openedAs) {
    const opened = await handle.stat({ bigint: true });
    const first = await realpath(openedAs);
    for (let look = 0; look < LIMITS.identityLooks; look++) {
      const named = await lstat(first, { bigint: true });
      if (named.dev !== opened.dev || named.ino !== opened.ino || (await realpath(openedAs)) !== first) return null;
    }
    return first;
  },
  reachedAs: (_handle, openedAs) => openedAs,
};

/** Throws ToolOptionsError `invalid_root`. */
export function openRoot(options: RootOptions, descriptors = usualDescriptors()): Root {
  const given = resolve(options.root);
  let real: string;
  try {
    real = realpathSync.native(given);
  } catch {
    throw new ToolOptionsError('invalid_root', `the root ${given} does not exist: name a folder that is there`);
  }
  if (!statSync(real).isDirectory())
    throw new ToolOptionsError('invalid_root', `the root ${given} is not a folder: name the folder that holds it`);
  if (real === parse(real).root || isWithin(`${sep}proc`, real))
    throw new ToolOptionsError(
      'invalid_root',
      `the root ${given} holds the memory and environment of processes: name a folder with files`,
    );
  const hidden = (options.hide ?? []).flatMap((path) => {
    const named = resolve(real, path);
    return [named, ...(existsSync(named) ? [realpathSync.native(named)] : [])];
  });
  return { real, given, hidden, hardLinks: options.hardLinks ?? 'refuse', descriptors };
}

/** Opens what a model named. Throws ToolFailure. The caller disposes of it. */
export async function openNamed(root: Root, path: string, wanted?: Kind): Promise<OpenedReal> {
  try {
    const found = await locate(root, path);
    if (found.missing.length > 0) throw notFound(path);
    const kind = kindOf(found.stats);
    if (kind === null) throw new ToolFailure('not_a_file', `${quote(path)} is neither a file nor a folder.`);
    if (wanted !== undefined && kind !== wanted) throw misnamed(path, wanted);
    return await openReal(root, found.at, kind);
  } catch (error) {
    throw failureOf(error, path);
  }
}

/** Opens a path without links in it, as a walk composes it from what it read. Throws ToolFailure or a system error. */
export async function openReal(root: Root, at: string, kind: Kind): Promise<OpenedReal> {
  const handle = await open(at, kind === 'directory' ? FLAGS | DIRECTORY : FLAGS);
  try {
    // First its names, then its path: a second name that is taken away in between leaves its mark in the path.
    const stats = await handle.stat();
    const real = await root.descriptors.pathOf(handle, at);
    if (real === null || !isWithin(root.real, real) || isUnlinked(real, at)) throw changed(showPath(root, at));
    refuseHidden(root, real);
    if (kindOf(stats) !== kind) throw changed(showPath(root, at));
    if (kind === 'file' && stats.nlink === 0) throw changed(showPath(root, at));
    if (kind === 'file' && stats.nlink > 1 && root.hardLinks === 'refuse')
      throw new ToolFailure(
        'hard_linked',
        `${quote(showPath(root, at))} has a second name on the disk, which may be outside the root; it is not shown.`,
      );
    const opened: OpenedReal = {
      handle,
      at: real,
      shown: showPath(root, real),
      kind,
      bytes: stats.size,
      pieces: () => piecesOf(handle),
      entries: async () => readEntries(root, opened),
      [Symbol.asyncDispose]: () => handle.close(),
    };
    return opened;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The kernel tells the path of what has lost its name with a mark (proc_pid_fd(5)). */
const isUnlinked = (real: string, at: string): boolean => real !== at && real.endsWith(' (deleted)');

async function* piecesOf(handle: FileHandle): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(LIMITS.chunkBytes);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function readEntries(root: Root, folder: OpenedReal): Promise<{ entries: Entry[]; cut: boolean }> {
  const entries: Entry[] = [];
  let cut = false;
  const listing = await opendir(root.descriptors.reachedAs(folder.handle, folder.at), { bufferSize: 512 });
  for await (const dirent of listing) {
    if (entries.length === LIMITS.directoryEntries) {
      cut = true;
      break;
    }
    const at = join(folder.at, dirent.name);
    if (!isHidden(root, at)) entries.push({ name: dirent.name, kind: entryKind(dirent), at });
  }
  // Where the kernel cannot list a descriptor (R1), the name must still lead to it after the reading.
  const real = await root.descriptors.pathOf(folder.handle, folder.at);
  if (real === null || !isWithin(root.real, real)) throw changed(folder.shown);
  return { entries: entries.sort((a, b) => (a.name < b.name ? -1 : 1)), cut };
}

/** The path below the root, with `/`; the root itself is `.`. */
export function showPath(root: Root, real: string): string {
  return relative(root.real, real).split(sep).join('/') || '.';
}

const FLAGS =
  constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);
const DIRECTORY = constants.O_DIRECTORY ?? 0;

function usualDescriptors(): Descriptors {
  return process.platform === 'linux' && existsSync('/proc/self/fd') ? kernelDescriptors : identityDescriptors;
}

/** What a path means: the last of it that is there, and the names behind that which are not. */
export type Located = { at: string; stats: Stats; missing: readonly string[] };

/** Goes from the root to what a path means, link by link (R2). Throws ToolFailure or a system error. */
export async function locate(root: Root, path: string): Promise<Located> {
  if (path.includes('\0')) throw new ToolFailure('invalid_path', 'A path holds no NUL character.');
  let names = namesBelow(root, root.real, path);
  let at = root.real;
  let stats = await lstat(at);
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const next = join(at, name);
    refuseHidden(root, next);
    const met = await lstatIfThere(next);
    if (met === null) {
      refuseHidden(root, join(next, ...names));
      return { at, stats, missing: [name, ...names] };
    }
    stats = met;
    if (stats.isSymbolicLink()) {
      if (++links > LIMITS.links)
        throw new ToolFailure('link_loop', `${quote(path)} leads through too many links: name the file itself.`);
      names = [...namesBelow(root, at, await readlink(next)), ...names];
      at = root.real;
      stats = await lstat(at);
    } else {
      if (names.length > 0 && !stats.isDirectory()) throw notFound(path);
      at = next;
    }
  }
  return { at, stats, missing: [] };
}

async function lstatIfThere(path: string): Promise<Stats | null> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function namesBelow(root: Root, from: string, path: string): string[] {
  const meant = resolve(from, path);
  const base = [root.real, root.given].find((known) => isWithin(known, meant));
  if (base === undefined)
    throw new ToolFailure('outside_root', 'That leads out of the root: use a path relative to it.');
  return relative(base, meant)
    .split(sep)
    .filter((name) => name !== '');
}

export function isWithin(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function isHidden(root: Root, path: string): boolean {
  return root.hidden.some((hidden) => isWithin(hidden, path));
}

export function refuseHidden(root: Root, path: string): void {
  if (isHidden(root, path))
    throw new ToolFailure(
      'hidden',
      `${quote(showPath(root, path))} is kept from tools by the operator: go on without it.`,
    );
}

function kindOf(stats: Stats): Kind | null {
  if (stats.isFile()) return 'file';
  return stats.isDirectory() ? 'directory' : null;
}

function entryKind(dirent: Dirent): Entry['kind'] {
  if (dirent.isFile()) return 'file';
  if (dirent.isDirectory()) return 'directory';
  return dirent.isSymbolicLink() ? 'link' : 'other';
}

export const changed = (path: string): ToolFailure =>
  new ToolFailure('changed', `${quote(path)} was replaced while it was opened: try again.`);

/** The system's errors in the model's words: its path, and never the system's message, which names the real one. */
export function failureOf(error: unknown, path: string): unknown {
  if (error instanceof ToolFailure || !(error instanceof Error) || !('code' in error)) return error;
  switch (error.code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return notFound(path);
    case 'ELOOP':
      return changed(path);
    case 'ENAMETOOLONG':
      return new ToolFailure('invalid_path', 'A name in this path is too long for the file system.');
    case 'ENXIO':
      return new ToolFailure('not_a_file', `${quote(path)} is neither a file nor a folder.`);
    case 'EACCES':
    case 'EPERM':
      return new ToolFailure('not_readable', `This process may not read ${quote(path)}.`);
    default:
      return typeof error.code === 'string' && error.code.startsWith('E')
        ? new ToolFailure(
            'not_readable',
            `Reading ${quote(path)} failed (${error.code}): try again or go on without it.`,
          )
        : error;
  }
}
