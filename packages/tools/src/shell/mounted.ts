/**
 * Commands on what a session has mounted. Each workspace is put into a new folder of this machine, which is the
 * command's alone; when the command has ended, what it changed is stored, and the folder is gone.
 *
 * C1 What is put there is data: links are made last, and nobody here follows one, before or after.
 * C2 What others have changed meanwhile stays; what both changed is not stored, and told (see kept.ts).
 * C3 The workspace moves once for a command, whole, after its end: a process that dies before leaves it as it was.
 * C4 What a process that was killed left behind is taken away by the next one.
 */
import { chmod, chown, lchown, lstat, mkdir, mkdtemp, open, readdir, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import type { TreeNode } from '@perdure/contract';
import { isLink, sizeOfTree } from '@perdure/contract';
import type { Found, Mount, Placed, SandboxFolder, SessionWorkspaces } from '@perdure/runtime/ports';
import { ToolFailure } from '../failure.ts';
import { quote } from '../files/space.ts';
import { told } from '../files/mounted/told.ts';
import { LIMITS } from '../limits.ts';
import { NOBODY } from '../sandbox/identity.ts';
import { leftBehind, ownMark } from '../sandbox/marks.ts';
import type { LeftOut, Owner, TreeFolder } from '../trees/index.ts';
import { excludesOf, openTreeFolder, USUALLY_EXCLUDED, withUnseen } from '../trees/index.ts';
import { keepCopy } from './kept.ts';
import { WORKSPACE } from './place.ts';

type Laid = { mount: Mount; found: Found; path: string };

/** What is mounted, as folders that one command sees. */
export type LaidMounts = {
  folders: readonly SandboxFolder[];
  /** What must be told of what is not kept. Once, when nothing of the command lives (C3). Never rejects. */
  store(): Promise<string[]>;
  /** Never rejects: what a command made unreadable even for its owner stays behind. */
  remove(): Promise<void>;
};

const NAME = 'perdure-mounted';

export const seenAt = ({ path }: Mount): string => (path === '/' ? WORKSPACE : WORKSPACE + path);

/** As the file tools name what it holds. */
const named = ({ path }: Mount): Pick<SandboxFolder, 'named'> => (path === '/' ? {} : { named: path.slice(1) });

/** Throws ToolFailure where no command can begin on it. */
export async function layMounts(workspaces: SessionWorkspaces, signal: AbortSignal): Promise<LaidMounts> {
  const { mounts } = workspaces;
  if (mounts.length === 0)
    throw new ToolFailure('not_found', 'No workspace is mounted in this session, so commands have no files here.');
  await swept();
  const base = await realpath(await mkdtemp(join(tmpdir(), `${ownMark(NAME)}-`)));
  const remove = async (): Promise<void> => rm(base, { recursive: true, force: true }).catch(() => undefined);
  try {
    // Whoever runs the command goes through, and sees no names.
    await chmod(base, 0o711);
    const laid: Laid[] = [];
    for (const mount of mounts) laid.push(await layOut(workspaces, mount, join(base, String(laid.length)), signal));
    return {
      folders: laid.map(({ mount, path }) => ({ path, at: seenAt(mount), write: mount.write, ...named(mount) })),
      async store() {
        const notes: string[] = [];
        for (const each of laid) if (each.mount.write) notes.push(...(await storeBack(workspaces, each)));
        return notes;
      },
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** C4, once in a process. */
let sweeping: Promise<void> | null = null;
const swept = async (): Promise<void> => (sweeping ??= removeLeftBehind());

/** What processes that are no more have left on this machine (C4). */
export async function removeLeftBehind(): Promise<void> {
  const folder = tmpdir();
  for (const name of leftBehind(NAME, await readdir(folder).catch(() => []))) {
    const path = join(folder, name);
    const stat = await lstat(path).catch(() => null);
    // Nobody else can have made it, nor can anybody change it any more.
    if (stat?.isDirectory() === true && stat.uid === process.getuid?.())
      await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}

async function layOut(workspaces: SessionWorkspaces, mount: Mount, path: string, signal: AbortSignal): Promise<Laid> {
  const found = await told(async () => workspaces.open(mount));
  const { bytes } = sizeOfTree(found.tree);
  if (bytes > LIMITS.mountedBytes)
    throw new ToolFailure(
      'too_large',
      `What is mounted at ${mount.path} has ${bytes} bytes: commands see at most ${LIMITS.mountedBytes}.`,
    );
  const owner = process.getuid?.() === 0 ? NOBODY : null;
  const makeFolder = async (folder: string): Promise<void> => {
    await mkdir(folder, { mode: 0o700 });
    if (owner !== null) await chown(folder, owner.uid, owner.gid);
  };
  await makeFolder(path);
  const made = new Set([path]);
  const makeFolders = async (folder: string): Promise<void> => {
    if (made.has(folder)) return;
    await makeFolders(dirname(folder));
    await makeFolder(folder);
    made.add(folder);
  };
  const links: [string, string][] = [];
  for (const [name, node] of found.tree) {
    signal.throwIfAborted();
    const at = join(path, name);
    if (isLink(node)) links.push([at, node.link]);
    else {
      await makeFolders(dirname(at));
      await writeNew(at, await told(async () => workspaces.content(node.digest)), node.executable === true, owner);
    }
  }
  // C1.
  for (const [at, target] of links) {
    await makeFolders(dirname(at));
    await symlink(target, at);
    if (owner !== null) await lchown(at, owner.uid, owner.gid);
  }
  return { mount, found, path };
}

async function writeNew(at: string, content: Uint8Array, executable: boolean, owner: Owner | null): Promise<void> {
  const handle = await open(at, 'wx', executable ? 0o777 : 0o666);
  try {
    await handle.writeFile(content);
    if (owner !== null) await handle.chown(owner.uid, owner.gid);
  } finally {
    await handle.close();
  }
}

/** What must be told of it. The command has run, so nothing of this is a failure of the call. */
async function storeBack(workspaces: SessionWorkspaces, { mount, found, path }: Laid): Promise<string[]> {
  const excludes = excludesOf(USUALLY_EXCLUDED);
  const folder = openTreeFolder(path);
  const idle = new AbortController().signal;
  try {
    const { tree, leftOut } = await folder.scan(excludes, idle);
    const here = withUnseen(tree, found.tree, excludes, leftOut);
    const notes = leftOut.map(({ path: name, why }: LeftOut) => `[not kept: ${quote(name)} ${why}]`);
    const copy = { mount, found: found.tree, here };
    const conflicts = await keepCopy(workspaces, copy, async (at, node) => placedOf(folder, at, node));
    const clash = conflicts.map((at) => `[not kept: ${quote(at)} was changed by somebody else meanwhile]`);
    return [...notes.slice(0, LIMITS.toldPaths), ...clash];
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return [`[what the command changed in ${mount.path} is not kept: ${why}]`];
  }
}

async function placedOf(folder: TreeFolder, path: string, node: TreeNode | undefined): Promise<Placed | null> {
  if (node === undefined) return null;
  if (isLink(node)) return node;
  const content = await folder.read(path, node, new AbortController().signal);
  return { content, executable: node.executable === true };
}
