/**
 * The workspaces of one call. Each call moves a head under its own key (H3), so that an attempt which comes after one that
 * was lost finds what that one did, and what is to be told of the call is read from the head, whichever attempt did it.
 */
import type { Tree, TreeNode } from '@perdure/contract';
import { TreeError } from '@perdure/contract';
import type { Mount as Mounted, TreeChanged } from '@perdure/engine';
import type { BlobStore, Digest, Found, Mount, Placed, SessionWorkspaces } from '../ports.ts';
import { WorkspaceError } from '../ports.ts';
import type { Workspaces } from './workspaces.ts';
import { TreeMissing } from './workspaces.ts';

export type Call = { key: string; session: string; call: string };

/** As the tools of a call reach what its run has mounted. */
export function mountedFor(
  { workspaces, blobs }: { workspaces: Workspaces; blobs: BlobStore },
  mounted: readonly Mounted[],
  { key, session, call }: Call,
): SessionWorkspaces {
  const headOf = async ({ path, workspace }: Mount) => {
    const head = await workspaces.head(workspace);
    if (head !== null) return head;
    throw new WorkspaceError('no_workspace', `the workspace ${workspace} that is mounted at ${path} is not there`);
  };
  const found = async (digest: Digest): Promise<Found> =>
    honest(async () => ({ digest, tree: await workspaces.tree(digest) }));
  return {
    mounts: mounted.map(({ path, workspace, mode }) => ({ path, workspace, write: mode === 'read-write' })),
    open: async (mount) => found((await headOf(mount)).tree),
    async earlier(mount) {
      const { moves } = await headOf(mount);
      const move = moves.findLast((each) => each.key === key);
      if (move === undefined || move.before === null) return null;
      return { before: await found(move.before), after: await found(move.after) };
    },
    async content(digest) {
      const bytes = await blobs.get(digest);
      if (bytes !== null) return bytes;
      throw new WorkspaceError('damaged', `the content ${digest} is lost`);
    },
    async change(mount, from, changes) {
      if (!mount.write)
        throw new WorkspaceError('read_only', `what is mounted at ${mount.path} is there to be read only`);
      return honest(async () => {
        const to = await workspaces.keep(await changed(blobs, from.tree, changes));
        const origin = `${session}/${call}`;
        const wanted = { from: from.digest, to, key, origin };
        try {
          return (await workspaces.move(mount.workspace, wanted)).ok;
        } catch (error) {
          // Nobody can tell whether it was taken. Asked again under the same key, it happens once (H3).
          if (error instanceof TreeMissing) throw error;
          return (await workspaces.move(mount.workspace, wanted)).ok;
        }
      });
    },
  };
}

/** H1: the contents come first. */
async function changed(blobs: BlobStore, tree: Tree, changes: ReadonlyMap<string, Placed | null>): Promise<Tree> {
  const next = new Map<string, TreeNode>(tree);
  for (const [path, placed] of changes) {
    if (placed === null) next.delete(path);
    else if ('link' in placed) next.set(path, placed);
    else {
      const { content, executable } = placed;
      const file = { digest: await blobs.put(content), bytes: content.length };
      next.set(path, executable ? { ...file, executable } : file);
    }
  }
  return next;
}

async function honest<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TreeMissing) throw new WorkspaceError('damaged', error.message);
    if (error instanceof TreeError) throw new WorkspaceError('invalid_tree', error.message);
    throw error;
  }
}

/** The workspaces that may be changed. */
export const writable = (mounted: readonly Mounted[]): string[] =>
  mounted.flatMap(({ workspace, mode }) => (mode === 'read-write' ? [workspace] : []));

/** What was changed in these workspaces under the key of a call, whichever of its attempts did. */
export async function changesBy(workspaces: Workspaces, names: readonly string[], key: string): Promise<TreeChanged[]> {
  const changes: TreeChanged[] = [];
  for (const workspace of names) {
    const move = (await workspaces.head(workspace))?.moves.findLast((each) => each.key === key);
    if (move === undefined || move.before === null || move.before === move.after) continue;
    changes.push({ workspace, before: move.before, after: move.after });
  }
  return changes;
}
