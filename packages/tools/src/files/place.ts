/** Where a file is, or is to be. */
import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { ToolFailure } from '../failure.ts';
import { LIMITS } from '../limits.ts';
import { changed, locate, openReal, showPath } from './root.ts';
import type { OpenedReal, Root } from './root.ts';
import { misnamed, notFound, quote } from './space.ts';

/**
 * `folder` is open and verified: the file's own, or the deepest one that is there, with the names of those to be made
 * below it. The caller disposes of it.
 */
export type Place = AsyncDisposable & {
  readonly at: string;
  readonly name: string;
  readonly shown: string;
  folder: OpenedReal;
  toMake: string[];
};

/** Whoever may write here runs programs on the next command of whoever works in the folder. */
const PROTECTED: ReadonlySet<string> = new Set(['.git']);

/** Opens the place of a file that a model named, whether it is there or not. Throws ToolFailure or a system error. */
export async function openPlace(root: Root, path: string): Promise<Place> {
  const { at: found, stats, missing } = await locate(root, path);
  const at = join(found, ...missing);
  refuseProtected(root, at);
  if (missing.length === 0 && stats.isDirectory()) throw misnamed(path, 'file');
  if (missing.length === 0 && !stats.isFile())
    throw new ToolFailure('not_a_file', `${quote(path)} is neither a file nor a folder.`);
  if (missing.length > 0 && !stats.isDirectory()) throw notFound(path);
  if (missing.length > LIMITS.madeFolders + 1)
    throw new ToolFailure('invalid_path', `${quote(path)} needs more than ${LIMITS.madeFolders} new folders.`);
  if (missing.some((name) => /[\p{Cc}\p{Cs}]/u.test(name)))
    throw new ToolFailure('invalid_path', `${quote(path)} has characters that no name here should have.`);
  const inner = missing.length === 0 ? dirname(found) : found;
  const folder = await openReal(root, inner, 'directory');
  if (folder.at !== inner) {
    await folder[Symbol.asyncDispose]();
    throw changed(path);
  }
  const place: Place = {
    at,
    name: basename(at),
    shown: showPath(root, at),
    folder,
    toMake: missing.slice(0, -1),
    [Symbol.asyncDispose]: async () => place.folder[Symbol.asyncDispose](),
  };
  return place;
}

/** The name of something in the place's folder, reached through the folder that was verified. */
export function inFolder(root: Root, { folder }: Place, name: string): string {
  return join(root.descriptors.reachedAs(folder.handle, folder.at), name);
}

/** The folder is still the one that was verified, and where it was. */
export async function checkFolder(root: Root, { folder, shown }: Place): Promise<void> {
  if ((await root.descriptors.pathOf(folder.handle, folder.at)) !== folder.at) throw changed(shown);
}

/** Makes the folders that are missing, one below the other, each verified before anything is made in it. */
export async function makeFolders(root: Root, place: Place): Promise<void> {
  for (let name = place.toMake.shift(); name !== undefined; name = place.toMake.shift()) {
    await checkFolder(root, place);
    await mkdir(inFolder(root, place, name)).catch((error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    });
    await place.folder.handle.sync();
    const made = await openReal(root, join(place.folder.at, name), 'directory');
    const outer = place.folder;
    place.folder = made;
    await outer[Symbol.asyncDispose]();
    if (made.at !== join(outer.at, name)) throw changed(place.shown);
  }
}

function refuseProtected(root: Root, at: string): void {
  if (
    !relative(root.real, at)
      .split(sep)
      .some((name) => PROTECTED.has(name.toLowerCase()))
  )
    return;
  throw new ToolFailure(
    'protected',
    `${quote(showPath(root, at))} belongs to version control: these tools do not write there.`,
  );
}
