import type { Tree, TreeNode } from '@perdure/contract';
import { foldersOf, sameNode } from '@perdure/contract';
import type { Excludes } from './excludes.ts';
import type { Placement } from './place.ts';
import type { LeftOut } from './scan.ts';

export type Plan = {
  placements: Placement[];
  /** Changed here and not there: they stay. */
  kept: string[];
  /** Changed here and, otherwise, there. */
  conflicts: string[];
};

/**
 * What has to be done in a folder for it to be as `wanted`. `base`: how the folder and the workspace were when they were
 * last the same; null: they never were. What was changed here alone stays; with `force` all becomes as it is wanted.
 */
export function planPlacements(base: Tree | null, here: Tree, wanted: Tree, force: boolean): Plan {
  const plan: Plan = { placements: [], kept: [], conflicts: [] };
  for (const path of [...new Set([...here.keys(), ...wanted.keys()])].sort()) {
    const [before, after, known] = [here.get(path), wanted.get(path), base?.get(path)];
    if (sameNode(before, after)) continue;
    const place = (): void => void plan.placements.push({ path, before, after });
    if (sameNode(before, known)) place();
    else if (sameNode(after, known)) {
      if (force && isOfBase(known)) place();
      else plan.kept.push(path);
    } else if (force) place();
    else plan.conflicts.push(path);
  }
  // First what goes, so that a folder can stand where a file was.
  plan.placements.sort((a, b) => Number(a.after !== undefined) - Number(b.after !== undefined));
  return plan;
}

/** What only is here was never part of the workspace: nobody asks for it to go. */
const isOfBase = (known: TreeNode | undefined): boolean => known !== undefined;

/** What was not looked at has not changed here: it stays as it is known. */
export function withUnseen(here: Tree, base: Tree | null, excludes: Excludes, leftOut: readonly LeftOut[]): Tree {
  const out = new Set(leftOut.map(({ path }) => path));
  const all = new Map<string, TreeNode>(here);
  for (const [path, node] of base ?? []) {
    const folders = foldersOf(path);
    const unseen =
      excludes(path, false) || out.has(path) || folders.some((folder) => excludes(folder, true) || out.has(folder));
    if (unseen && !here.has(path)) all.set(path, node);
  }
  return all;
}
