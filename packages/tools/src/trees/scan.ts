/**
 * What a folder of this machine holds, as a tree. It is read by the rules of `files/root.ts`: through descriptors that
 * were found to lie within, no link followed, nothing opened but regular files and folders. What cannot be in a tree is
 * left out, and told.
 */
import { createHash } from 'node:crypto';
import { readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tree, TreeFile, TreeNode } from '@perdure/contract';
import { clashesIn, faultOfNode, faultOfPath } from '@perdure/contract';
import { ToolFailure } from '../failure.ts';
import type { OpenedReal, Root } from '../files/root.ts';
import { openReal } from '../files/root.ts';
import { LIMITS } from '../limits.ts';
import type { Excludes } from './excludes.ts';

export type LeftOut = { path: string; why: string };
export type Scanned = { tree: Tree; leftOut: LeftOut[] };

/** Throws ToolFailure `too_large` for more than a workspace holds; a system's error where the folder itself cannot be read. */
export async function scanFolder(root: Root, excludes: Excludes, signal: AbortSignal): Promise<Scanned> {
  const tree = new Map<string, TreeNode>();
  const leftOut: LeftOut[] = [];
  let bytes = 0;
  const put = (path: string, node: TreeNode): void => {
    const fault = faultOfPath(path) ?? faultOfNode(node);
    if (fault !== null) return void leftOut.push({ path, why: fault });
    tree.set(path, node);
    bytes += 'bytes' in node ? node.bytes : 0;
    if (tree.size > LIMITS.treeEntries || bytes > LIMITS.treeBytes)
      throw new ToolFailure(
        'too_large',
        `The folder holds more than ${LIMITS.treeEntries} files, or ${LIMITS.treeBytes} bytes: exclude what is not needed.`,
      );
  };
  const ahead = [{ at: root.real, path: '', depth: 0 }];
  for (let folder = ahead.pop(); folder !== undefined; folder = ahead.pop()) {
    const { at, path, depth } = folder;
    signal.throwIfAborted();
    await using opened = await openReal(root, at, 'directory').catch((error: unknown) => {
      if (depth === 0) throw error;
      leftOut.push({ path, why: whyNot(error) });
      return null;
    });
    if (opened === null) continue;
    const { entries, cut } = await opened.entries();
    if (cut) throw new ToolFailure('too_large', `A folder holds more than ${LIMITS.directoryEntries} entries.`);
    for (const { name, kind, at: found } of entries) {
      const below = path === '' ? name : `${path}/${name}`;
      if (excludes(below, kind === 'directory')) continue;
      if (kind === 'directory') {
        if (depth < LIMITS.walkedDepth) ahead.push({ at: found, path: below, depth: depth + 1 });
        else leftOut.push({ path: below, why: 'lies too deep' });
      } else if (kind === 'other') leftOut.push({ path: below, why: 'is neither a file, a folder nor a link' });
      else {
        const node = await (kind === 'link' ? linkIn(root, opened, name) : fileAt(root, found, signal)).catch(whyNot);
        if (typeof node === 'string') leftOut.push({ path: below, why: node });
        else put(below, node);
      }
    }
  }
  for (const [first, path] of clashesIn([...tree.keys()].sort())) {
    tree.delete(path);
    leftOut.push({ path, why: `is on some file systems the same as ${first}` });
  }
  return { tree: new Map([...tree].sort(([a], [b]) => (a < b ? -1 : 1))), leftOut };
}

async function linkIn(root: Root, folder: OpenedReal, name: string): Promise<TreeNode> {
  return { link: await readlink(join(root.descriptors.reachedAs(folder.handle, folder.at), name)) };
}

async function fileAt(root: Root, at: string, signal: AbortSignal): Promise<TreeFile> {
  await using file = await openReal(root, at, 'file');
  return await nodeOf(file, signal);
}

/** An open file as an entry of a tree. Throws ToolFailure `too_large`. */
export async function nodeOf(file: OpenedReal, signal: AbortSignal): Promise<TreeFile> {
  const sum = createHash('sha256');
  const bytes = await readInto(file, signal, (piece) => sum.update(piece));
  const node: TreeFile = { digest: sum.digest('base64url'), bytes };
  return ((await file.handle.stat()).mode & 0o100) === 0 ? node : { ...node, executable: true };
}

async function readInto(file: OpenedReal, signal: AbortSignal, take: (piece: Uint8Array) => void): Promise<number> {
  let bytes = 0;
  for await (const piece of file.pieces()) {
    signal.throwIfAborted();
    bytes += piece.length;
    if (bytes > LIMITS.fileBytes) throw new ToolFailure('too_large', `has more than ${LIMITS.fileBytes} bytes`);
    take(piece);
  }
  return bytes;
}

/** The content that a scan found at a path. Throws ToolFailure `changed` where another one is there by now. */
export async function readScanned(root: Root, path: string, node: TreeFile, signal: AbortSignal): Promise<Buffer> {
  await using file = await openReal(root, join(root.real, ...path.split('/')), 'file');
  const pieces: Buffer[] = [];
  const sum = createHash('sha256');
  await readInto(file, signal, (piece) => {
    sum.update(piece);
    pieces.push(Buffer.from(piece));
  });
  if (sum.digest('base64url') === node.digest) return Buffer.concat(pieces);
  throw new ToolFailure('changed', `${path} was changed meanwhile: do it again.`);
}

function whyNot(error: unknown): string {
  if (error instanceof ToolFailure) return WORDS[error.code] ?? error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === '') throw error;
  return code === 'ELOOP' || code === 'ENOENT' ? 'was replaced meanwhile' : `cannot be read (${code})`;
}

const WORDS: { readonly [code: string]: string } = {
  hard_linked: 'has a second name, which may be outside the folder',
  changed: 'was replaced meanwhile',
};
