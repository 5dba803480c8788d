/**
 * What a run has changed in workspaces, and how that is put back. A change is told by the log, beside its call; one whose
 * call nobody heard the end of is found by the call's key in the head.
 */
import type { Entry, Tree, TreeChange, TreeNode } from '@perdure/contract';
import { diffTrees, mergeTrees, sameNode } from '@perdure/contract';
import type { TreeChanged } from '@perdure/engine';
import type { Digest } from '../ports.ts';
import type { Head, Move, Workspaces } from './workspaces.ts';

/** Of each workspace, oldest first. */
export type RunChanges = Map<string, RunChange[]>;
export type RunChange = { before: Digest; after: Digest };

/** Takes the entries of one run, in their order. `keyOf`: the key of a call. */
export class ChangesOfRun {
  readonly #told = new Map<string, TreeChanged>();
  /** Calls that may have changed something. */
  readonly #calls = new Set<string>();
  readonly #mounted: Set<string>;

  constructor(mounted: Iterable<string>) {
    this.#mounted = new Set(mounted);
  }

  add(entry: Entry): void {
    if (entry.kind === 'run.queued')
      for (const { workspace } of entry.data.config?.mounts ?? []) this.#mounted.add(workspace);
    if (entry.kind === 'call.requested' && entry.data.class !== 'pure') this.#calls.add(entry.effect ?? '');
    if (entry.kind !== 'workspace.changed') return;
    this.#told.set(JSON.stringify([entry.effect, entry.data.workspace]), entry.data);
    this.#mounted.add(entry.data.workspace);
  }

  async all(workspaces: Workspaces, keyOf: (call: string) => string): Promise<RunChanges> {
    const heads = new Map<string, Head>();
    for (const name of this.#mounted) {
      const head = await workspaces.head(name);
      if (head !== null) heads.set(name, head);
    }
    const all: RunChanges = new Map();
    for (const name of this.#mounted) {
      const changes = this.#changesIn(name, heads.get(name)?.moves ?? [], keyOf);
      if (changes.length > 0) all.set(name, changes);
    }
    return all;
  }

  /** A job may have changed it after calls that came later, and be told later still: the head knows in which order. */
  #changesIn(name: string, moves: readonly Move[], keyOf: (call: string) => string): RunChange[] {
    const places = new Map(moves.map(({ key }, place) => [key, place]));
    const found: (RunChange & { place: number })[] = [];
    for (const call of this.#calls) {
      // What the head no longer remembers came before all that it does.
      const place = places.get(keyOf(call)) ?? -1;
      const move = this.#told.get(JSON.stringify([call, name])) ?? moves[place];
      if (move === undefined || move.before === null || move.before === move.after) continue;
      found.push({ before: move.before, after: move.after, place });
    }
    return found.toSorted((one, other) => one.place - other.place).map(({ before, after }) => ({ before, after }));
  }
}

export type Undone = { ok: true; tree: Tree; changed: TreeChange[] } | { ok: false; conflicts: string[] };

/**
 * What a workspace is without these changes. A path is as it was before the first of them that changed it; one that others
 * have changed since, or in between, is a conflict, unless it is so already. Throws TreeMissing.
 */
export async function undone(
  workspaces: Workspaces,
  now: Tree,
  changes: readonly { before: Digest; after: Digest }[],
): Promise<Undone> {
  /** Of the paths that were changed, what they were before and are after. */
  const before = new Map<string, TreeNode>();
  const after = new Map<string, TreeNode>();
  const touched = new Set<string>();
  const between: string[] = [];
  for (const change of changes) {
    for (const { path, before: old, after: fresh } of diffTrees(
      await workspaces.tree(change.before),
      await workspaces.tree(change.after),
    )) {
      if (!touched.has(path)) put(before, path, old);
      else if (!sameNode(after.get(path), old)) between.push(path);
      touched.add(path);
      put(after, path, fresh);
    }
  }
  const conflicts = between.filter((path) => !sameNode(now.get(path), before.get(path)));
  if (conflicts.length > 0) return { ok: false, conflicts: [...new Set(conflicts)] };
  const merged = mergeTrees(after, now, before);
  return merged.ok ? { ...merged, changed: diffTrees(now, merged.tree) } : merged;
}

function put(tree: Map<string, TreeNode>, path: string, node: TreeNode | undefined): void {
  if (node === undefined) tree.delete(path);
  else tree.set(path, node);
}
