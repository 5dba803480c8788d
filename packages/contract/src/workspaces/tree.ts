/**
 * Trees: the files of a workspace, each by the digest of its content. A tree is kept as a text that is the same for the
 * same files, so that its own digest names all of them.
 */
import { LIMITS } from '../limits.ts';
import { faultOfPath, foldersOf, foldPath } from './paths.ts';

/** `digest`: SHA-256 (base64url) of the content. */
export type TreeFile = { digest: string; bytes: number; executable?: true };
/** A symbolic link is data: where it leads is not followed out of its tree by anybody. */
export type TreeLink = { link: string };
export type TreeNode = TreeFile | TreeLink;
/** By path; a tree that was decoded is in the order of its paths. Folders are where a file is: there are no empty ones. */
export type Tree = ReadonlyMap<string, TreeNode>;

export const isLink = (node: TreeNode): node is TreeLink => 'link' in node;

/** This is no tree, or no files of one: the message says why. */
export class TreeError extends Error {
  readonly code = 'invalid_tree';
}

const DIGEST = /^[A-Za-z0-9_-]{43}$/;
const HEAD = '{"perdure":"tree","version":1,"entries":[';
const TAIL = ']}\n';

/** The text of a tree: one line an entry, in the order of the paths (UTF-16 units). Throws TreeError. */
export function encodeTree(tree: Tree): string {
  checkTree(tree);
  return textOfTree(tree);
}

function textOfTree(tree: Tree): string {
  const lines = [...tree].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, node]) => lineOf(path, node));
  return `${HEAD}${lines.length === 0 ? '' : `\n${lines.join(',\n')}\n`}${TAIL}`;
}

function lineOf(path: string, node: TreeNode): string {
  if (isLink(node)) return JSON.stringify({ path, link: node.link });
  const { digest, bytes, executable } = node;
  return JSON.stringify(executable === true ? { path, digest, bytes, executable } : { path, digest, bytes });
}

/** Only exactly what `encodeTree` writes is a tree. Throws TreeError. */
export function decodeTree(text: string): Tree {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw new TreeError('it is not JSON');
  }
  const entries = isObject(document) ? document['entries'] : undefined;
  if (!Array.isArray(entries)) throw new TreeError('it has no entries');
  const tree = new Map<string, TreeNode>();
  for (const entry of entries) {
    const path: unknown = isObject(entry) ? entry['path'] : undefined;
    if (!isObject(entry) || typeof path !== 'string') throw new TreeError('an entry has no path');
    tree.set(path, nodeOf(entry));
  }
  checkTree(tree);
  if (textOfTree(tree) !== text) throw new TreeError('it is not written as trees are: in order, each path once');
  return tree;
}

function nodeOf({ link, digest, bytes, executable }: { [name: string]: unknown }): TreeNode {
  if (typeof link === 'string') return { link };
  if (typeof digest !== 'string' || typeof bytes !== 'number') throw new TreeError('an entry is neither file nor link');
  return executable === true ? { digest, bytes, executable } : { digest, bytes };
}

const isObject = (value: unknown): value is { [name: string]: unknown } => typeof value === 'object' && value !== null;

function checkTree(tree: Tree): void {
  if (tree.size > LIMITS.treeEntries)
    throw new TreeError(`it has ${tree.size} entries: a workspace holds at most ${LIMITS.treeEntries}`);
  let bytes = 0;
  for (const [path, node] of tree) {
    const fault = faultOfPath(path) ?? faultOfNode(node);
    if (fault !== null) throw new TreeError(`${JSON.stringify(path)} ${fault}`);
    bytes += isLink(node) ? 0 : node.bytes;
  }
  if (bytes > LIMITS.treeBytes)
    throw new TreeError(`its files have ${bytes} bytes: a workspace holds at most ${LIMITS.treeBytes}`);
  const [clash] = clashesIn(tree.keys());
  if (clash !== undefined)
    throw new TreeError(
      `${JSON.stringify(clash[0])} and ${JSON.stringify(clash[1])} are one place on some file systems`,
    );
}

/** Why this cannot stand at a path; null: it can. */
export function faultOfNode(node: TreeNode): string | null {
  if (isLink(node)) {
    const { link } = node;
    if (link === '' || link.length > LIMITS.treePathChars || !link.isWellFormed() || link.includes('\0'))
      return 'is a link whose target is none';
    return null;
  }
  if (!DIGEST.test(node.digest)) return 'has no digest of a content';
  if (!Number.isSafeInteger(node.bytes) || node.bytes < 0) return 'has no size';
  return node.bytes > LIMITS.blobBytes ? `has more than ${LIMITS.blobBytes} bytes` : null;
}

/** Pairs of paths that cannot be in one tree (X3): the one that came first, and the other. */
export function clashesIn(paths: Iterable<string>): [string, string][] {
  const clashes: [string, string][] = [];
  const taken = new Map<string, string>();
  const folders = new Map<string, string>();
  for (const path of paths) {
    const folded = foldPath(path);
    const above = foldersOf(folded);
    const other = taken.get(folded) ?? folders.get(folded) ?? above.map((folder) => taken.get(folder)).find(Boolean);
    if (other !== undefined) {
      clashes.push([other, path]);
      continue;
    }
    taken.set(folded, path);
    for (const folder of above) if (!folders.has(folder)) folders.set(folder, path);
  }
  return clashes;
}

export const sameNode = (a: TreeNode | undefined, b: TreeNode | undefined): boolean => {
  if (a === undefined || b === undefined) return a === b;
  if (isLink(a) || isLink(b)) return isLink(a) && isLink(b) && a.link === b.link;
  return a.digest === b.digest && a.executable === b.executable;
};

/** What became of one path; the order is that of the paths. */
export type TreeChange = { path: string; did: 'added' | 'changed' | 'deleted'; before?: TreeNode; after?: TreeNode };

export function diffTrees(before: Tree, after: Tree): TreeChange[] {
  const changes: TreeChange[] = [];
  for (const path of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [old, fresh] = [before.get(path), after.get(path)];
    if (sameNode(old, fresh)) continue;
    if (old === undefined && fresh !== undefined) changes.push({ path, did: 'added', after: fresh });
    else if (old !== undefined && fresh === undefined) changes.push({ path, did: 'deleted', before: old });
    else if (old !== undefined && fresh !== undefined)
      changes.push({ path, did: 'changed', before: old, after: fresh });
  }
  return changes;
}

/**
 * What changed from `base` to `theirs`, done in `ours`. A path that changed otherwise in both is a conflict, and so are
 * two that cannot be in one tree; then nothing is merged.
 */
export function mergeTrees(
  base: Tree,
  ours: Tree,
  theirs: Tree,
): { ok: true; tree: Tree } | { ok: false; conflicts: string[] } {
  const merged = new Map(ours);
  const conflicts: string[] = [];
  for (const { path, after } of diffTrees(base, theirs)) {
    const now = ours.get(path);
    if (sameNode(now, after)) continue;
    if (!sameNode(now, base.get(path))) conflicts.push(path);
    else if (after === undefined) merged.delete(path);
    else merged.set(path, after);
  }
  for (const [, path] of clashesIn(merged.keys())) conflicts.push(path);
  return conflicts.length > 0 ? { ok: false, conflicts } : { ok: true, tree: merged };
}

/** How many files and links a tree has, and the bytes of its files. */
export function sizeOfTree(tree: Tree): { files: number; bytes: number } {
  let bytes = 0;
  for (const node of tree.values()) bytes += isLink(node) ? 0 : node.bytes;
  return { files: tree.size, bytes };
}
