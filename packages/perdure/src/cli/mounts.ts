/** Folders of this machine that a session is given as workspaces (`--mount`). */
import { basename, resolve } from 'node:path';
import type { Client, MountInput } from '@perdure/contract';
import { mountPathSchema } from '@perdure/contract';
import { nameFor } from '../workspaces/name.ts';
import type { Context } from './context.ts';
import { UsageError } from './exit.ts';
import { tell } from './output.ts';

export type Asked = { dir: string; path: string; mode: MountInput['mode'] };

/** What `--mount` asks for; nothing has been done yet. Throws UsageError. */
export function mountsAsked({ flags, cwd }: Pick<Context, 'flags' | 'cwd'>): Asked[] {
  const { mount } = flags;
  if (!Array.isArray(mount)) return [];
  return mount.map((given: unknown) => {
    const text = String(given);
    const [, dir = '', path, ro] = /^(.+?)(?::(\/.*?))?(?::(ro))?$/s.exec(text) ?? [];
    if (dir === '') throw new UsageError(`--mount '${text}' names no folder: DIR, DIR:/PATH or DIR:/PATH:ro`);
    const at = path ?? `/${nameFor(basename(resolve(cwd, dir)))}`;
    const parsed = mountPathSchema.safeParse(at);
    if (!parsed.success) throw new UsageError(`--mount ${at} ${parsed.error.issues[0]?.message ?? 'is no path'}`);
    return { dir, path: at, mode: ro === undefined ? 'read-write' : 'read-only' };
  });
}

/** Pushes each folder, and says how a session is to mount it. Throws CommandError, UsageError and ApiError. */
export async function pushMounts(context: Context, client: Client, asked: readonly Asked[]): Promise<MountInput[]> {
  const mounts: MountInput[] = [];
  for (const { dir, path, mode } of asked) {
    const { pushFolder } = await import('./commands/workspace.ts');
    const { workspace, sent, leftOut } = await pushFolder(context, client, dir, undefined);
    const { name } = workspace;
    tell(`${dir} is workspace ${name} (${workspace.files} files, ${sent} sent), mounted at ${path}\n`);
    if (leftOut.length > 0) tell(`perdure: ${leftOut.length} left out: perdure workspace push ${dir} says which\n`);
    mounts.push({ path, workspace: name, mode });
  }
  return mounts;
}

/** What is changed stays in the workspace until somebody asks for it. */
export function tellMounts(asked: readonly Asked[], mounts: readonly MountInput[]): void {
  for (const [at, { dir, mode }] of asked.entries())
    if (mode === 'read-write') tell(`what changed: perdure workspace pull ${mounts[at]?.workspace ?? ''} ${dir}\n`);
}
