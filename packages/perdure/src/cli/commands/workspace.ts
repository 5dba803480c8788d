import { mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Client, Tree, TreeNode } from '@perdure/contract';
import { ApiError, diffTrees, isLink, workspaceNameSchema } from '@perdure/contract';
import type { Excludes, LeftOut } from '@perdure/tools';
import {
  CREDENTIALS,
  excludesOf,
  openTreeFolder,
  ToolFailure,
  ToolOptionsError,
  USUALLY_EXCLUDED,
} from '@perdure/tools';
import { nameFor } from '../../workspaces/name.ts';
import type { Where } from '../../workspaces/record.ts';
import { keepRecord, readRecord } from '../../workspaces/record.ts';
import { pull as pullInto } from '../../workspaces/pull.ts';
import { headOf, push as pushFrom, treeOf } from '../../workspaces/push.ts';
import { connectedOrFolder, placeOf, reading } from '../connection.ts';
import type { Context, Run } from '../context.ts';
import { isJson } from '../context.ts';
import { CommandError, EXIT, UsageError } from '../exit.ts';
import { dateTime, isAtTerminal, print, printJson, table, tell, visible } from '../output.ts';

export const push: Run = async (context) => {
  const [dir = '', name] = context.args;
  const connection = await connectedOrFolder(context, { creates: true });
  try {
    const pushed = await pushFolder(context, connection.client, dir, name);
    if (isJson(context)) printJson(pushed);
    else {
      print(`${pushed.workspace.name}\n`);
      const { files, revision } = pushed.workspace;
      tell(`${files} files, ${pushed.sent} sent, revision ${revision}${pushed.changed ? '' : ', as it was'}\n`);
      tellLeftOut(pushed.leftOut);
    }
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

/** Pushes a folder into its workspace. Throws CommandError, UsageError and ApiError. */
export async function pushFolder(context: Context, client: Client, dir: string, name: string | undefined) {
  const { folder, where } = open(context, dir, false);
  const known = readRecord(where);
  const workspace = name === undefined ? (known?.workspace ?? nameFor(where.folder)) : checkedName(name);
  const base = known?.workspace === workspace ? known.tree : null;
  const options = { client, workspace, folder, base, force: context.flags['force'] === true, signal };
  const excludes = excludesFor(context, where.folder);
  const pushed = await inWords(async () => pushFrom({ ...options, excludes, progress: telling('sent') }));
  keepRecord(where, { workspace, tree: pushed.here });
  const { here: _here, ...told } = pushed;
  return told;
}

export const pull: Run = async (context) => {
  const [ref = '', dir = ''] = context.args;
  const workspace = checkedName(ref);
  const connection = await connectedOrFolder(context);
  try {
    const { client } = connection;
    const head = await headOf(client, workspace);
    if (head === null) throw new CommandError(EXIT.failed, `there is no workspace ${workspace}`);
    const { folder, where } = open(context, dir, true);
    const known = readRecord(where);
    const base = known?.workspace === workspace ? known.tree : null;
    const options = { client, head, folder, base, force: context.flags['force'] === true, signal };
    const excludes = excludesFor(context, where.folder);
    const pulled = await inWords(async () => pullInto({ ...options, excludes, progress: telling('placed') }));
    keepRecord(where, { workspace, tree: pulled.tree });
    const { tree: _tree, ...told } = pulled;
    if (isJson(context)) printJson({ workspace: head, ...told });
    else {
      tell(`${told.placed} written, ${told.removed} removed, ${told.kept.length} changed here and kept\n`);
      tellLeftOut(told.leftOut);
    }
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

export const diff: Run = async (context) => {
  const [a = '', b = ''] = context.args;
  return reading(context, async (client) => {
    const changes = diffTrees(await treeFor(context, client, a), await treeFor(context, client, b));
    if (isJson(context)) printJson({ changes });
    else
      for (const { did, path, before, after } of changes) print(`${MARK[did]} ${visible(path)}${how(before, after)}\n`);
    if (!isJson(context) && changes.length === 0) tell('they are the same\n');
    return EXIT.ok;
  });
};

const MARK = { added: 'A', changed: 'M', deleted: 'D' };

function how(before: TreeNode | undefined, after: TreeNode | undefined): string {
  const node = after ?? before;
  if (node !== undefined && isLink(node)) return ` -> ${visible(node.link)}`;
  const isProgram = (each: TreeNode | undefined): boolean =>
    each !== undefined && !isLink(each) && each.executable === true;
  return isProgram(before) === isProgram(after) ? '' : ` (${isProgram(after) ? '' : 'no longer '}executable)`;
}

/** A workspace, `tree:DIGEST`, or a folder: a path with `/` or `.` before it. */
async function treeFor(context: Context, client: Client, ref: string): Promise<Tree> {
  if (ref.startsWith('tree:')) return treeOf(client, ref.slice('tree:'.length));
  if (/^[./~]/.test(ref) || ref.includes('/')) {
    const { folder, where } = open(context, ref, false);
    return inWords(async () => (await folder.scan(excludesFor(context, where.folder), signal)).tree);
  }
  const head = await headOf(client, checkedName(ref));
  if (head === null) throw new CommandError(EXIT.failed, `there is no workspace ${ref}: a folder is written ./${ref}`);
  return treeOf(client, head.tree);
}

export const list: Run = async (context) =>
  reading(context, async (client) => {
    const all = [];
    for (let cursor: string | undefined; ;) {
      const page = await client.call('workspaces.list', { limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
      all.push(...page.workspaces);
      cursor = page.next;
      if (cursor === undefined) break;
    }
    if (isJson(context)) printJson({ workspaces: all });
    else {
      const rows = all.map(({ name, files, bytes, revision, updatedAt }) => [
        name,
        String(files),
        String(bytes),
        String(revision),
        dateTime(updatedAt),
      ]);
      print(table([['WORKSPACE', 'FILES', 'BYTES', 'REVISION', 'CHANGED'], ...rows]));
    }
    return EXIT.ok;
  });

export const remove: Run = async (context) => {
  const workspace = checkedName(context.args[0] ?? '');
  const connection = await connectedOrFolder(context);
  try {
    const gone = await connection.client.call('workspaces.delete', { workspace });
    if (isJson(context)) printJson(gone);
    else print(`${workspace} is deleted; it stood at tree ${gone.tree}\n`);
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

export const undo: Run = async (context) => {
  const [, session = '', run = ''] = /^(ses_[0-9A-Za-z]{26})\.(r\d+)$/.exec(context.args[0] ?? '') ?? [];
  if (session === '') throw new UsageError(`'${context.args[0]}' is no run: SESSION.RUN, such as ses_....r3`);
  const connection = await connectedOrFolder(context);
  try {
    const undone = await connection.client.call('runs.undo', { session, run: run as `r${number}` });
    if (isJson(context)) printJson(undone);
    else {
      for (const { workspace, paths } of undone.workspaces)
        print(`${workspace.name}: ${paths.length === 0 ? 'as it was before already' : `${paths.length} put back`}\n`);
      if (undone.workspaces.length === 0) print(`${run} changed no workspace\n`);
    }
    return EXIT.ok;
  } finally {
    await connection.close();
  }
};

/** A folder, with what is remembered of it. `makes`: one that is not there is made. */
function open({ cwd, env, settings, given, ...rest }: Context, dir: string, makes: boolean) {
  const path = resolve(cwd, dir);
  try {
    if (makes) mkdirSync(path, { recursive: true });
    const folder = openTreeFolder(path);
    const place = placeOf({ cwd, env, settings, given, ...rest });
    const where: Where = { env, place, folder: realpathSync(path) };
    return { folder, where };
  } catch (error) {
    if (error instanceof ToolOptionsError) throw new CommandError(EXIT.failed, error.message);
    if (error instanceof Error && 'code' in error)
      throw new CommandError(EXIT.failed, `${path} cannot be a folder: ${error.message}`);
    throw error;
  }
}

const IGNORED = '.perdureignore';

/** The usual ones, then those of the folder, then those of the command: the last one that fits decides. */
function excludesFor({ flags, cwd, settings }: Context, folder: string): Excludes {
  const { exclude } = flags;
  const data = relative(folder, resolve(cwd, settings.data));
  const given = Array.isArray(exclude) ? exclude.map(String) : [];
  let own: string[] = [];
  try {
    own = readFileSync(join(folder, IGNORED), 'utf8').split('\n');
  } catch {
    // There is none that can be read.
  }
  try {
    const excludes = excludesOf([...USUALLY_EXCLUDED, ...CREDENTIALS, ...own, ...given]);
    // Where sessions are kept is no part of anything, whatever somebody takes back.
    return (path, isFolder) => path === data || excludes(path, isFolder);
  } catch (error) {
    if (error instanceof ToolFailure) throw new UsageError(`what to exclude: ${error.message}`);
    throw error;
  }
}

function checkedName(name: string): string {
  const parsed = workspaceNameSchema.safeParse(name);
  if (parsed.success) return name;
  throw new UsageError(`'${name}' ${parsed.error.issues[0]?.message ?? 'is no name of a workspace'}`);
}

/** Whoever interrupts the command ends it: what is done stays done, and done again it goes on from there. */
const { signal } = new AbortController();

/** How far it is, on one line of a terminal. */
function telling(what: string): (done: number, all: number) => void {
  if (!isAtTerminal()) return () => undefined;
  return (done, all) => tell(`\r${done} of ${all} ${what}${done === all ? '\n' : ''}`);
}

function tellLeftOut(leftOut: readonly LeftOut[]): void {
  for (const { path, why } of leftOut) tell(`perdure: left out: ${JSON.stringify(path)} ${why}\n`);
}

async function inWords<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ToolFailure) throw new CommandError(EXIT.failed, error.message);
    if (error instanceof ApiError && error.code === 'not_found') throw new CommandError(EXIT.failed, error.message);
    throw error;
  }
}
