import type { Params, WorkspaceView } from '@perdure/contract';
import { ApiError } from '@perdure/contract';
import type { Caller } from '../api.ts';
import { effectKey } from '../log/digest.ts';
import type { Parts } from '../parts.ts';
import { isEnded } from '../streams/rest.ts';
import { LIMITS } from '../limits.ts';
import type { RunChanges } from '../workspaces/undo.ts';
import { ChangesOfRun, undone } from '../workspaces/undo.ts';
import type { Head } from '../workspaces/workspaces.ts';
import { TreeMissing } from '../workspaces/workspaces.ts';
import type { Answered, Methods } from './shared.ts';
import { ok } from './shared.ts';
import { notFound } from './views.ts';

type WorkspaceMethod =
  | 'workspaces.list'
  | 'workspaces.get'
  | 'workspaces.move'
  | 'workspaces.delete'
  | 'blobs.missing'
  | 'runs.undo';

export function workspaceMethods(parts: Parts): Pick<Methods, WorkspaceMethod> {
  const { workspaces } = parts;
  return {
    'workspaces.list': async (_caller, { cursor, limit }) => {
      const heads = await workspaces.list(cursor ?? null, limit);
      const next = heads.length < limit ? undefined : heads.at(-1)?.name;
      const views = heads.map(viewOf);
      return ok(next === undefined ? { workspaces: views } : { workspaces: views, next });
    },
    'workspaces.get': async (_caller, { workspace }) => {
      const head = await workspaces.head(workspace);
      if (head === null) throw notFound(`workspace ${workspace}`);
      const moves = head.moves.map(({ before, after, at, origin }) => ({
        ...(before === null ? {} : { before }),
        after,
        at,
        origin,
      }));
      return ok({ ...viewOf(head), moves });
    },
    'workspaces.move': async (caller, params) => ok(viewOf(await move(parts, caller, params))),
    'workspaces.delete': async (_caller, { workspace, from }) => {
      const head = await workspaces.head(workspace);
      if (head === null) throw notFound(`workspace ${workspace}`);
      if (!(await workspaces.delete(workspace, from ?? null))) throw elsewhere(workspace, head);
      return ok(viewOf(head));
    },
    'blobs.missing': async (_caller, { digests }) => ok({ missing: await workspaces.missing(new Set(digests)) }),
    'runs.undo': async (caller, params) => undo(parts, caller, params),
  };
}

async function move(parts: Parts, caller: Caller, { workspace, from, to }: Params<'workspaces.move'>): Promise<Head> {
  const { workspaces } = parts;
  const now = await workspaces.head(workspace);
  // Sent again by whoever did not hear of it.
  if (now?.tree === to) return now;
  try {
    const origin = `pushed by ${caller.actor.kind} ${caller.actor.id}`;
    const moved = await workspaces.move(workspace, {
      from: from ?? null,
      to,
      key: parts.newId(),
      origin,
      foreign: true,
    });
    if (moved.ok) return moved.head;
    throw elsewhere(workspace, moved.head);
  } catch (error) {
    if (error instanceof TreeMissing) throw new ApiError('invalid_request', error.message, { details: { path: 'to' } });
    throw error;
  }
}

function elsewhere(workspace: string, head: Head | null): ApiError {
  const message =
    head === null ? `there is no workspace ${workspace}` : `workspace ${workspace} stands at another tree`;
  return new ApiError('revision_conflict', message, { details: { workspace, tree: head?.tree ?? null } });
}

const viewOf = ({ name, revision, tree, files, bytes, updatedAt }: Head): WorkspaceView => ({
  name,
  revision,
  tree,
  files,
  bytes,
  updatedAt,
});

async function undo(parts: Parts, caller: Caller, { session, run }: Params<'runs.undo'>): Answered<'runs.undo'> {
  const view = await parts.reads.run(session, run);
  if (!isEnded(view))
    throw new ApiError(
      'invalid_state',
      `run ${run} is ${view.status}: what it changed can be undone when it has ended`,
    );
  const changes = await changesOf(parts, session, run);
  const origin = `undo of ${session}.${run} by ${caller.actor.kind} ${caller.actor.id}`;
  for (let tries = 1; ; tries += 1) {
    const plans = await planUndo(parts, changes);
    const results: { workspace: WorkspaceView; paths: string[] }[] = [];
    let isStale = false;
    for (const { head, to, paths } of plans) {
      if (paths.length === 0) {
        results.push({ workspace: viewOf(head), paths });
        continue;
      }
      const wanted = { from: head.tree, to, key: parts.newId(), origin };
      const moved = await parts.workspaces.move(head.name, wanted);
      if (moved.ok) results.push({ workspace: viewOf(moved.head), paths });
      else isStale = true;
    }
    if (!isStale) return ok({ workspaces: results });
    if (tries === LIMITS.undoTries)
      throw new ApiError('revision_conflict', 'a workspace changes all the time: what it changed is not undone yet');
  }
}

async function changesOf(
  { store, reads, sessions, workspaces, tenant }: Parts,
  session: string,
  run: string,
): Promise<RunChanges> {
  const row = await store.log.run(session, run);
  if (row === null) throw notFound(`run ${run}`);
  const state = await sessions.exclusive(session, async () => (await sessions.load(session)).state.config);
  const changes = new ChangesOfRun((state.mounts ?? []).map(({ workspace }) => workspace));
  for await (const entry of reads.entries(session)) if (entry.run === run) changes.add(entry);
  return changes.all(workspaces, (call) => effectKey(tenant, session, call));
}

type UndoPlan = { head: Head; to: string; paths: string[] };

/** All is looked at before anything is put back. Throws ApiError `revision_conflict` with the paths that others have changed. */
async function planUndo({ workspaces }: Parts, changes: RunChanges): Promise<UndoPlan[]> {
  const plans: UndoPlan[] = [];
  for (const [name, list] of changes) {
    const head = await workspaces.head(name);
    if (head === null) throw notFound(`workspace ${name}`);
    try {
      const plan = await undone(workspaces, await workspaces.tree(head.tree), list);
      if (!plan.ok) throw overtaken(name, plan.conflicts);
      plans.push({ head, to: await workspaces.keep(plan.tree), paths: plan.changed.map(({ path }) => path) });
    } catch (error) {
      if (error instanceof TreeMissing) throw new ApiError('invalid_state', error.message);
      throw error;
    }
  }
  return plans;
}

function overtaken(workspace: string, conflicts: readonly string[]): ApiError {
  const shown = conflicts.slice(0, LIMITS.toldConflicts);
  const more = conflicts.length > shown.length ? ` and ${conflicts.length - shown.length} more` : '';
  return new ApiError(
    'revision_conflict',
    `in workspace ${workspace} others have changed since: ${shown.join(', ')}${more}`,
    { details: { workspace, paths: shown } },
  );
}
