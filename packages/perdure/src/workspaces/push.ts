/** A folder of this machine becomes a workspace, or a workspace what was changed in the folder. Only what is missing is sent. */
import type { Client, Tree, TreeFile, WorkspaceView } from '@perdure/contract';
import { ApiError, decodeTree, encodeTree, isLink, LIMITS, mergeTrees } from '@perdure/contract';
import type { Excludes, LeftOut, TreeFolder } from '@perdure/tools';
import { withUnseen } from '@perdure/tools';
import { CommandError, EXIT } from '../cli/exit.ts';
import { LIMITS as OWN } from '../limits.ts';

export type Progress = (done: number, all: number) => void;
export type Push = {
  client: Client;
  workspace: string;
  folder: TreeFolder;
  excludes: Excludes;
  /** How the folder and the workspace were when they were last the same; null: never. */
  base: Tree | null;
  force: boolean;
  progress: Progress;
  signal: AbortSignal;
};
export type Pushed = { workspace: WorkspaceView; sent: number; leftOut: LeftOut[]; here: Tree; changed: boolean };

/** Throws CommandError where the workspace was changed in another way, and ApiError. */
export async function push(options: Push): Promise<Pushed> {
  const { client, workspace, folder, excludes, base, signal } = options;
  const { tree: here, leftOut } = await folder.scan(excludes, signal);
  const seen = withUnseen(here, base, excludes, leftOut);
  for (let tries = 1; ; tries += 1) {
    const head = await headOf(client, workspace);
    const there = head === null ? null : await treeOf(client, head.tree);
    const wanted = there === null ? seen : wantedOf(options, there, seen);
    const sent = await sendMissing(options, wanted, here);
    const bytes = Buffer.from(encodeTree(wanted));
    const { digest: to } = await client.putBlob(new Uint8Array(bytes), { signal });
    try {
      const from = head === null ? {} : { from: head.tree };
      const view = await client.call('workspaces.move', { workspace, ...from, to }, { signal });
      return { workspace: view, sent, leftOut, here: seen, changed: head?.tree !== to };
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'revision_conflict') || tries === OWN.pushTries) throw error;
    }
  }
}

function wantedOf({ workspace, base, force }: Push, there: Tree, here: Tree): Tree {
  if (force || encodeTree(there) === encodeTree(here)) return here;
  if (base === null)
    throw new CommandError(
      EXIT.failed,
      `there is a workspace ${workspace}, and this folder was neither pushed to it nor pulled from it: pull it first, give another name, or replace it with --force`,
    );
  const merged = mergeTrees(base, there, here);
  if (merged.ok) return merged.tree;
  throw new CommandError(
    EXIT.failed,
    `changed here and in workspace ${workspace}:\n${lines(merged.conflicts)}pull it first, or replace what is there with --force`,
  );
}

export function lines(paths: readonly string[]): string {
  const shown = paths.slice(0, OWN.toldPaths).map((path) => `  ${JSON.stringify(path)}\n`);
  return paths.length > shown.length ? `${shown.join('')}  and ${paths.length - shown.length} more\n` : shown.join('');
}

async function sendMissing({ client, folder, progress, signal }: Push, wanted: Tree, here: Tree): Promise<number> {
  const files = new Map<string, { path: string; node: TreeFile }>();
  for (const [path, node] of here)
    if (!isLink(node) && wanted.get(path) !== undefined) files.set(node.digest, { path, node });
  const missing: string[] = [];
  const digests = [...files.keys()];
  for (let from = 0; from < digests.length; from += LIMITS.askedBlobs) {
    const asked = digests.slice(from, from + LIMITS.askedBlobs);
    missing.push(...(await client.call('blobs.missing', { digests: asked }, { signal })).missing);
  }
  let done = 0;
  const queue = missing.values();
  const send = async (): Promise<void> => {
    for (const digest of queue) {
      const file = files.get(digest);
      if (file === undefined) continue;
      const bytes = await folder.read(file.path, file.node, signal);
      await client.putBlob(new Uint8Array(bytes), { signal });
      progress(++done, missing.length);
    }
  };
  await Promise.all(Array.from({ length: OWN.blobsAtOnce }, send));
  return missing.length;
}

/** Null: there is no such workspace. */
export async function headOf(client: Client, workspace: string): Promise<WorkspaceView | null> {
  try {
    return await client.call('workspaces.get', { workspace });
  } catch (error) {
    if (error instanceof ApiError && error.code === 'not_found') return null;
    throw error;
  }
}

/** Throws TreeError for what is no tree. */
export async function treeOf(client: Client, digest: string): Promise<Tree> {
  return decodeTree(Buffer.from(await client.getBlob(digest)).toString());
}
