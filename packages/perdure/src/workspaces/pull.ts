/** A workspace comes into a folder of this machine. What was changed there stays, unless it is told to go. */
import { createHash, randomBytes } from 'node:crypto';
import { posix } from 'node:path';
import type { Client, Tree, TreeNode, WorkspaceView } from '@perdure/contract';
import { foldersOf, isLink } from '@perdure/contract';
import type { Excludes, LeftOut, Plan, TreeFolder } from '@perdure/tools';
import { planPlacements } from '@perdure/tools';
import { CommandError, EXIT } from '../cli/exit.ts';
import type { Progress } from './push.ts';
import { lines, treeOf } from './push.ts';

export type Pull = {
  client: Client;
  head: WorkspaceView;
  folder: TreeFolder;
  excludes: Excludes;
  base: Tree | null;
  force: boolean;
  progress: Progress;
  signal: AbortSignal;
};
export type Pulled = { placed: number; removed: number; kept: string[]; leftOut: LeftOut[]; tree: Tree };

/** Throws CommandError, and then nothing was changed; and ToolFailure `changed` where somebody changes the folder meanwhile. */
export async function pull(options: Pull): Promise<Pulled> {
  const { client, head, folder, excludes, base, force, signal } = options;
  const { tree: there, leftOut } = placeable(await treeOf(client, head.tree), excludes);
  await folder.sweep(signal);
  const { tree: here, leftOut: unseen } = await folder.scan(excludes, signal);
  const out = new Set(leftOut.map(({ path }) => path));
  const looked = new Map([...here].filter(([path]) => !out.has(path)));
  const plan = planPlacements(base, looked, there, force);
  const inTheWay = unseen.filter(({ path }) => there.has(path) || foldersIn(there).has(path));
  refuse(head.name, plan, inTheWay);
  const { placements } = plan;
  const key = randomBytes(8).toString('hex');
  const content = async (digest: string): Promise<Uint8Array> => fetched(client, digest, signal);
  for (const [at, placement] of placements.entries()) {
    await folder.place(placement, { content, signal, key });
    options.progress(at + 1, placements.length);
  }
  const removed = placements.filter(({ after }) => after === undefined).length;
  return { placed: placements.length - removed, removed, kept: plan.kept, leftOut, tree: there };
}

/** What has no place in a folder of this machine is left out, and told. */
function placeable(tree: Tree, excludes: Excludes): { tree: Tree; leftOut: LeftOut[] } {
  const placed = new Map<string, TreeNode>();
  const leftOut: LeftOut[] = [];
  for (const [path, node] of tree) {
    const isOut = excludes(path, false) || foldersOf(path).some((folder) => excludes(folder, true));
    if (isOut) leftOut.push({ path, why: 'is excluded here' });
    else if (isLink(node) && leadsOut(path, node.link)) leftOut.push({ path, why: 'is a link that leads out' });
    else placed.set(path, node);
  }
  return { tree: placed, leftOut };
}

function leadsOut(path: string, link: string): boolean {
  const target = posix.join(posix.dirname(path), link);
  return link.startsWith('/') || target === '..' || target.startsWith('../');
}

const foldersIn = (tree: Tree): Set<string> => new Set([...tree.keys()].flatMap(foldersOf));

function refuse(workspace: string, { conflicts }: Plan, inTheWay: readonly LeftOut[]): void {
  if (inTheWay.length > 0)
    throw new CommandError(
      EXIT.failed,
      `these stand where workspace ${workspace} has files, and are none that can be replaced:\n${inTheWay.map(({ path, why }) => `  ${JSON.stringify(path)} ${why}\n`).join('')}nothing was changed`,
    );
  if (conflicts.length > 0)
    throw new CommandError(
      EXIT.failed,
      `changed here, and otherwise in workspace ${workspace}:\n${lines(conflicts)}nothing was changed; --force takes what the workspace has`,
    );
}

async function fetched(client: Client, digest: string, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = await client.getBlob(digest, { signal });
  if (createHash('sha256').update(bytes).digest('base64url') === digest) return bytes;
  throw new CommandError(EXIT.failed, `what came as ${digest} is something else: nothing of it was written`);
}
