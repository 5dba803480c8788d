/**
 * What a path means in what a session has mounted. The same rules as of a folder (`root.ts`): links are resolved one name
 * at a time, and one that leads out of its workspace is refused, whatever it leads to.
 */
import type { Tree, TreeNode } from '@perdure/contract';
import { isLink } from '@perdure/contract';
import type { Found, Mount } from '@perdure/runtime/ports';
import { ToolFailure } from '../../failure.ts';
import { LIMITS } from '../../limits.ts';
import type { Entry } from '../space.ts';
import { notFound, quote } from '../space.ts';

/** Above all mounts, or within one: `path` is within its tree, '' for all of it; `node` null is a folder. */
export type Located =
  | { mount: null; at: string; names: string[] }
  | { mount: Mount; found: Found; at: string; path: string; node: TreeNode | null; missing: readonly string[] };

export type Opener = (mount: Mount) => Promise<Found>;

/** Throws ToolFailure. */
export async function locate(mounts: readonly Mount[], open: Opener, path: string): Promise<Located> {
  if (path.includes('\0')) throw new ToolFailure('invalid_path', 'A path holds no NUL character.');
  const names = namesOf([], path.replace(/^\/+/, ''));
  const mount = mounts.find((each) => namesIn(each.path).every((name, index) => names[index] === name));
  if (mount === undefined) {
    const below = mounts.flatMap((each) => namesBelow(namesIn(each.path), names));
    if (below.length === 0) throw notFound(path);
    return { mount: null, at: `/${names.join('/')}`, names: [...new Set(below)].sort() };
  }
  const found = await open(mount);
  const within = walk(found.tree, names.slice(namesIn(mount.path).length), path);
  return { mount, found, at: placeIn(mount, within.path), ...within };
}

const namesIn = (path: string): string[] => path.split('/').filter((name) => name !== '');

/** The name that leads from a folder above a mount towards it. */
function namesBelow(mount: readonly string[], above: readonly string[]): string[] {
  const next = mount[above.length];
  return next !== undefined && above.every((name, index) => mount[index] === name) ? [next] : [];
}

export const placeIn = ({ path }: Mount, within: string): string =>
  within === '' ? path : `${path === '/' ? '' : path}/${within}`;

/** As tools show it. */
export const shownAt = (at: string): string => at.slice(1) || '.';

/** Lexically, as a folder's own paths are read. Throws ToolFailure `outside_root`. */
function namesOf(from: readonly string[], path: string): string[] {
  const names = [...from];
  for (const name of path.split('/')) {
    if (name === '' || name === '.') continue;
    if (name !== '..') names.push(name);
    else if (names.pop() === undefined) throw outside();
  }
  return names;
}

const outside = (): ToolFailure =>
  new ToolFailure('outside_root', 'That leads out of the root: use a path relative to it.');

type Within = Pick<Extract<Located, { mount: Mount }>, 'path' | 'node' | 'missing'>;

function walk(tree: Tree, wanted: readonly string[], asked: string): Within {
  const folders = foldersIn(tree);
  let names = [...wanted];
  let at: string[] = [];
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    const path = [...at, name].join('/');
    const node = tree.get(path);
    if (node === undefined) {
      if (!folders.has(path)) return { path: [...at, name, ...names].join('/'), node: null, missing: [name, ...names] };
      at.push(name);
    } else if (isLink(node)) {
      if (++links > LIMITS.links)
        throw new ToolFailure('link_loop', `${quote(asked)} leads through too many links: name the file itself.`);
      if (node.link.startsWith('/')) throw outside();
      names = [...namesOf(at, node.link), ...names];
      at = [];
    } else if (names.length > 0) throw notFound(asked);
    else return { path, node, missing: [] };
  }
  return { path: at.join('/'), node: null, missing: [] };
}

type Folders = ReadonlyMap<string, ReadonlyMap<string, Entry['kind']>>;
const known = new WeakMap<Tree, Folders>();

/** What each folder of a tree holds, by its path; '' is the tree itself. */
export function foldersIn(tree: Tree): Folders {
  const before = known.get(tree);
  if (before !== undefined) return before;
  const folders = new Map<string, Map<string, Entry['kind']>>([['', new Map()]]);
  const put = (path: string, kind: Entry['kind']): void => {
    const cut = path.lastIndexOf('/');
    const outer = path.slice(0, Math.max(cut, 0));
    const names = folders.get(outer) ?? new Map<string, Entry['kind']>();
    if (!folders.has(outer)) {
      folders.set(outer, names);
      put(outer, 'directory');
    }
    names.set(path.slice(cut + 1), kind);
  };
  for (const [path, node] of tree) put(path, isLink(node) ? 'link' : 'file');
  known.set(tree, folders);
  return folders;
}
