/** Workspaces as they are answered. */
import { z } from 'zod';
import { blobDigestSchema, workspaceNameSchema } from '../values.ts';

const count = z.int().min(0);

/** One move of a workspace from a tree to another one. */
export const treeMoveSchema = z.strictObject({
  /** Missing: it was made by this move. */
  before: blobDigestSchema.exactOptional(),
  after: blobDigestSchema,
  at: z.int(),
  /** What moved it: a call, as `session/call`; or who pushed, or undid, what. */
  origin: z.string(),
});
export const workspaceViewSchema = z.strictObject({
  name: workspaceNameSchema,
  /** Grows with each move. */
  revision: count,
  /** The tree it stands at: a blob, with an entry for each file (`GET /blobs/{digest}`). */
  tree: blobDigestSchema,
  files: count,
  bytes: count,
  updatedAt: z.int(),
});
export type WorkspaceView = z.output<typeof workspaceViewSchema>;
