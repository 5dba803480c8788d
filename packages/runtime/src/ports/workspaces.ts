/** Workspaces of a session, as its tools reach them. */
import type { Tree } from '@perdure/contract';
import type { Digest } from '@perdure/engine';

/** `path`: absolute, where tools find it; no mount lies in another one. */
export type Mount = { path: string; workspace: string; write: boolean };

/** A tree as it was found, and what names it. */
export type Found = { digest: Digest; tree: Tree };

/** What is to stand at a path: a content, or what stood in a tree before. */
export type Placed = { content: Uint8Array; executable: boolean } | { link: string };

export interface SessionWorkspaces {
  readonly mounts: readonly Mount[];
  /** Where its workspace stands now. Throws WorkspaceError. */
  open(mount: Mount): Promise<Found>;
  /** What this very call has changed there in an earlier attempt, from what to what; null: nothing. Throws WorkspaceError. */
  earlier(mount: Mount): Promise<{ before: Found; after: Found } | null>;
  /** Throws WorkspaceError. */
  content(digest: Digest): Promise<Uint8Array>;
  /**
   * Changes the workspace, all or nothing, if it still stands at `from`: by path what is to stand there, null for nothing.
   * A call does so once for each mount: asked again, also by a later attempt, nothing changes twice. False: it stands
   * elsewhere by now, and nothing changed. Throws WorkspaceError.
   */
  change(mount: Mount, from: Found, changes: ReadonlyMap<string, Placed | null>): Promise<boolean>;
}

export type WorkspaceErrorCode = 'no_workspace' | 'read_only' | 'damaged' | 'invalid_tree';

/** Nothing was changed; the message says what to do. */
export class WorkspaceError extends Error {
  override readonly name = 'WorkspaceError';
  readonly code: WorkspaceErrorCode;
  constructor(code: WorkspaceErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
