/**
 * What a command, or a job, has changed in its copy of a workspace, stored in one move.
 *
 * C2 What others have changed meanwhile stays; what both changed is not stored, and told.
 */
import type { Tree, TreeNode } from '@perdure/contract';
import { diffTrees, mergeTrees } from '@perdure/contract';
import type { Mount, Placed, SessionWorkspaces } from '@perdure/runtime/ports';
import { ToolFailure } from '../failure.ts';
import { told } from '../files/mounted/told.ts';
import { LIMITS } from '../limits.ts';

/** `found`: what the copy was made of; `here`: what it is now. */
export type Copy = { mount: Mount; found: Tree; here: Tree };

/**
 * The paths that were changed otherwise meanwhile, and are not stored; all others are, at once. `placed` gives what stands
 * at a path of the copy. Throws ToolFailure `changed` where the workspace never stands still, or
 * where an earlier attempt of the call has changed it.
 */
export async function keepCopy(
  workspaces: SessionWorkspaces,
  { mount, found, here }: Copy,
  placed: (path: string, node: TreeNode | undefined) => Promise<Placed | null>,
): Promise<string[]> {
  const mine = new Map(diffTrees(found, here).map(({ path, after }) => [path, after]));
  if (mine.size === 0) return [];
  // A call changes it once: of one that a person let go again, only what it did first is kept.
  if ((await told(async () => workspaces.earlier(mount))) !== null)
    throw new ToolFailure('changed', 'an earlier attempt of this call has changed it before.');
  for (let tries = 0; tries < LIMITS.workspaceTries; tries += 1) {
    const now = await told(async () => workspaces.open(mount));
    const merged = mergeTrees(found, now.tree, here);
    const conflicts = new Set(merged.ok ? [] : merged.conflicts);
    const changes = new Map<string, Placed | null>();
    for (const [path, node] of mine) if (!conflicts.has(path)) changes.set(path, await placed(path, node));
    if (changes.size === 0 || (await told(async () => workspaces.change(mount, now, changes)))) return [...conflicts];
  }
  throw new ToolFailure('changed', 'it changes all the time.');
}
