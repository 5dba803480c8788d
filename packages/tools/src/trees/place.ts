/**
 * Putting files of a tree into a folder of this machine.
 *
 * T1 A folder on the way is opened by its descriptor, and must lie where its name says: no link is ever written through,
 *    also not one that was put there a moment ago.
 * T2 What is replaced or removed is what was looked at before: a file with another content, a link with another target,
 *    or anything where nothing was, stays, and is told.
 * T3 Each file appears whole: it is written beside its place, and takes its name at once.
 */
import { constants } from 'node:fs';
import { link, lstat, mkdir, open, readlink, rename, rm, rmdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { TreeNode } from '@perdure/contract';
import { faultOfPath, isLink, sameNode } from '@perdure/contract';
import { ToolFailure } from '../failure.ts';
import type { OpenedReal, Root } from '../files/root.ts';
import { openReal } from '../files/root.ts';
import { quote } from '../files/space.ts';
import { LIMITS } from '../limits.ts';
import { nodeOf } from './scan.ts';

/** What is there, as it was seen, and what is to be there; undefined: nothing. */
export type Placement = { path: string; before: TreeNode | undefined; after: TreeNode | undefined };
export type Owner = { uid: number; gid: number };
export type PlaceOptions = {
  content: (digest: string) => Promise<Uint8Array>;
  signal: AbortSignal;
  /** Names what is written beside its place, so that two that write do not meet. */
  key: string;
  /** Whose the files are to be; missing: this process's. */
  owner?: Owner;
};

/** Throws ToolFailure `changed` (T2), `not_writable`, `invalid_path`; what was placed before stays. */
export async function placeNode(root: Root, { path, before, after }: Placement, options: PlaceOptions): Promise<void> {
  const fault = faultOfPath(path);
  if (fault !== null) throw new ToolFailure('invalid_path', `${quote(path)} ${fault}.`);
  options.signal.throwIfAborted();
  const names = path.split('/');
  const name = names.pop() ?? '';
  await using folder = await openFolder(root, names, after !== undefined, path, options.owner);
  if (folder === null) {
    if (after === undefined) return;
    throw changed(path);
  }
  const at = (each: string): string => join(root.descriptors.reachedAs(folder.handle, folder.at), each);
  if (!sameNode(await nodeAt(root, folder, at(name), name, options.signal), before)) throw changed(path);
  const temp = `.perdure-${options.key}.tmp`;
  try {
    if (after === undefined) await rm(at(name));
    else {
      await write(at(temp), after, options);
      // A link to the new file takes no name that is there; a renaming would.
      await (before === undefined && !isLink(after) ? link(at(temp), at(name)) : takeName(at(temp), at(name), before));
    }
    await folder.handle.sync();
  } catch (error) {
    throw failed(error, path);
  } finally {
    await rm(at(temp), { force: true });
  }
  if (after === undefined) await removeEmpty(root, names);
}

const TEMPORARY = /^\.perdure-[0-9a-z]{1,64}\.tmp$/;

/** One that was killed between two names of a file has left the second one: nobody loses anything by its going. */
export async function sweep(root: Root, signal: AbortSignal): Promise<void> {
  const ahead = [{ at: root.real, depth: 0 }];
  for (let folder = ahead.pop(); folder !== undefined; folder = ahead.pop()) {
    const { at, depth } = folder;
    signal.throwIfAborted();
    await using opened = await openReal(root, at, 'directory').catch(() => null);
    if (opened === null) continue;
    const { entries } = await opened.entries();
    for (const { name, kind, at: found } of entries) {
      if (kind === 'directory' && depth < LIMITS.walkedDepth && name !== 'node_modules' && name !== '.git')
        ahead.push({ at: found, depth: depth + 1 });
      else if (TEMPORARY.test(name) && (kind === 'file' || kind === 'link'))
        await rm(join(root.descriptors.reachedAs(opened.handle, opened.at), name), { force: true });
    }
  }
}

async function takeName(temp: string, name: string, before: TreeNode | undefined): Promise<void> {
  if (before !== undefined) return rename(temp, name);
  // Not every system makes a second name of a link.
  const target = await readlink(temp);
  await symlink(target, name);
}

/** The folders to a path, one below the other (T1); null: one is not there and is not to be made. The caller disposes of it. */
async function openFolder(
  root: Root,
  names: readonly string[],
  makes: boolean,
  path: string,
  owner: Owner | undefined,
): Promise<OpenedReal | null> {
  let folder = await openReal(root, root.real, 'directory');
  for (const name of names) {
    const outer = folder;
    try {
      const within = join(root.descriptors.reachedAs(outer.handle, outer.at), name);
      const there = await lstat(within).catch((error: unknown) => absent(error));
      if (there === null && !makes) return null;
      if (there === null) {
        await mkdir(within).catch((error: unknown) => {
          if (codeOf(error) !== 'EEXIST') throw error;
        });
        if (owner !== undefined) await ownFolder(root, join(outer.at, name), owner);
      }
      if (there !== null && !there.isDirectory()) throw changed(path);
      folder = await openReal(root, join(outer.at, name), 'directory');
      if (folder.at === join(outer.at, name)) continue;
      await folder[Symbol.asyncDispose]();
      throw changed(path);
    } catch (error) {
      throw failed(error, path);
    } finally {
      await outer[Symbol.asyncDispose]();
    }
  }
  return folder;
}

async function ownFolder(root: Root, at: string, { uid, gid }: Owner): Promise<void> {
  await using made = await openReal(root, at, 'directory');
  await made.handle.chown(uid, gid);
}

/** What stands at a name, nothing followed; null: what a tree cannot have. */
async function nodeAt(
  root: Root,
  folder: OpenedReal,
  within: string,
  name: string,
  signal: AbortSignal,
): Promise<TreeNode | undefined> {
  const stats = await lstat(within).catch((error: unknown) => absent(error));
  if (stats === null) return undefined;
  if (stats.isSymbolicLink()) return { link: await readlink(within) };
  if (!stats.isFile()) throw changed(name);
  await using file = await openReal(root, join(folder.at, name), 'file');
  return await nodeOf(file, signal);
}

async function write(at: string, node: TreeNode, { content, signal, owner }: PlaceOptions): Promise<void> {
  await rm(at, { force: true });
  if (isLink(node)) return symlink(node.link, at);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
  const bytes = await content(node.digest);
  const handle = await open(at, flags, node.executable === true ? 0o777 : 0o666);
  try {
    await handle.writeFile(bytes, { signal });
    if (owner !== undefined) await handle.chown(owner.uid, owner.gid);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Folders that held nothing but what was removed are no part of a tree. */
async function removeEmpty(root: Root, names: readonly string[]): Promise<void> {
  for (let depth = names.length; depth > 0; depth -= 1) {
    const outer = names.slice(0, depth - 1);
    const folder = await openFolder(root, outer, false, outer.join('/'), undefined).catch(() => null);
    if (folder === null) return;
    await using _opened = folder;
    try {
      await rmdir(join(root.descriptors.reachedAs(folder.handle, folder.at), names[depth - 1] ?? ''));
    } catch {
      // It holds something else.
      return;
    }
  }
}

function absent(error: unknown): null {
  if (codeOf(error) === 'ENOENT') return null;
  throw error;
}

const codeOf = (error: unknown): string => (error instanceof Error && 'code' in error ? String(error.code) : '');

const changed = (path: string): ToolFailure =>
  new ToolFailure('changed', `${quote(path)} is not as it was looked at: nothing was written there.`);

function failed(error: unknown, path: string): unknown {
  const code = codeOf(error);
  if (error instanceof ToolFailure || !/^E[A-Z]+$/.test(code)) return error;
  if (['EEXIST', 'ELOOP', 'ENOTDIR', 'EISDIR', 'ENOENT'].includes(code)) return changed(path);
  return new ToolFailure('not_writable', `${quote(path)} cannot be written (${code}).`);
}
