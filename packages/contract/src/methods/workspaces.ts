/** Rows on workspaces: trees of files by digest, under names that move from tree to tree. */
import { z } from 'zod';
import { LIMITS } from '../limits.ts';
import { blobDigestSchema, workspaceNameSchema } from '../values.ts';
import { treeMoveSchema, workspaceViewSchema } from '../workspaces/views.ts';
import { cursor, limit, next, onRun } from './method.ts';
import type { Method } from './method.ts';

const workspace = workspaceNameSchema;
const digest = blobDigestSchema;

export const WORKSPACE_METHODS = {
  'workspaces.list': {
    verb: 'GET',
    path: '/workspaces',
    params: z.strictObject({ cursor, limit }),
    result: z.strictObject({ workspaces: z.array(workspaceViewSchema), next }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'Workspaces, by name',
  },
  'workspaces.get': {
    verb: 'GET',
    path: '/workspaces/{workspace}',
    params: z.strictObject({ workspace }),
    result: z.strictObject({ ...workspaceViewSchema.shape, moves: z.array(treeMoveSchema) }),
    status: [200],
    errors: ['not_found'],
    scope: 'read',
    summary: 'One workspace, with the last moves it made, oldest first',
  },
  'workspaces.move': {
    verb: 'PUT',
    path: '/workspaces/{workspace}',
    params: z.strictObject({
      workspace,
      /** Where it stands; missing: there is none by this name yet. */
      from: digest.exactOptional(),
      /** The tree, which was stored as a blob, after what its entries name. */
      to: digest,
    }),
    result: workspaceViewSchema,
    status: [200],
    errors: ['revision_conflict', 'storage_full'],
    scope: 'write',
    summary:
      'Moves a workspace from the tree it stands at to another one, or makes it; refused where it stands elsewhere, and where a content of the tree is not here. Standing there already, it stays',
  },
  'workspaces.delete': {
    verb: 'DELETE',
    path: '/workspaces/{workspace}',
    params: z.strictObject({ workspace, from: digest.exactOptional() }),
    result: workspaceViewSchema,
    status: [200],
    errors: ['not_found', 'revision_conflict', 'storage_full'],
    scope: 'write',
    summary: 'Takes a workspace away: sessions that have it mounted find nothing there',
  },
  'blobs.missing': {
    verb: 'POST',
    path: '/blobs/missing',
    params: z.strictObject({ digests: z.array(digest).max(LIMITS.askedBlobs) }),
    result: z.strictObject({ missing: z.array(digest) }),
    status: [200],
    errors: [],
    scope: 'read',
    summary: 'Which of these contents are not here yet: only those have to be sent',
  },
  'runs.undo': {
    verb: 'POST',
    path: '/sessions/{session}/runs/{run}/undo',
    params: onRun,
    result: z.strictObject({
      workspaces: z.array(z.strictObject({ workspace: workspaceViewSchema, paths: z.array(z.string()) })),
    }),
    status: [200],
    errors: ['not_found', 'invalid_state', 'revision_conflict', 'storage_full'],
    scope: 'write',
    summary:
      'Puts back what a run that has ended changed in workspaces, path by path; refused as a whole where somebody has changed one of the paths since. Done before, it changes nothing',
  },
} as const satisfies { [name: string]: Method };
