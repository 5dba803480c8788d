import type { Mount, State } from '@perdure/engine';
import { LIMITS } from '../limits.ts';
import type { Parts } from '../parts.ts';

/** What is mounted, each with where it stood as the session knew it: mounted, or last changed by itself. */
export const mountsAsKnown = ({ config, trees }: Pick<State, 'config' | 'trees'>): Mount[] =>
  (config.mounts ?? []).map((mount) => ({ ...mount, tree: trees.get(mount.workspace) ?? mount.tree }));

/**
 * A fork has workspaces of its own, each as the session it comes from knew it. Nobody else's work is in them, and nothing
 * it does is seen by others. Made again for the same session, they are the same ones. Throws TreeMissing.
 */
export async function forkMounts(
  { workspaces }: Pick<Parts, 'workspaces'>,
  session: string,
  mounts: readonly Mount[],
): Promise<Mount[]> {
  const own: Mount[] = [];
  for (const mount of mounts) {
    const workspace = forkedName(mount.workspace, session);
    const key = `fork ${session}`;
    await workspaces.move(workspace, { from: null, to: mount.tree, key, origin: `forked for ${session}` });
    own.push({ ...mount, workspace });
  }
  return own;
}

function forkedName(workspace: string, session: string): string {
  const base = workspace.replace(/-fork-[0-9a-z]+$/, '').slice(0, LIMITS.forkedNameChars);
  return `${base.replace(/[._-]+$/, '')}-fork-${session.slice(-LIMITS.forkedSuffixChars).toLowerCase()}`;
}
