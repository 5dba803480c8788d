/**
 * What rules deny in the folders that a command sees.
 *
 * K1 The folders are walked before the command begins, no link followed. What is denied is covered: a folder by an empty
 *    one, anything else by an empty file that nobody may read. What cannot be looked into is covered, too; where there is
 *    more than can be walked, nothing begins.
 * K2 The folders above are mounted onto themselves. The kernel renames no mount point, so what is covered stays at the path
 *    that its rule names, also for the commands that follow.
 * K3 All is covered in a mount namespace around the sandbox, by mount(8), which makes no mount point: whatever is planted on
 *    the way, nothing comes into being anywhere (compare M2). That each cover lies where it should is read from the kernel
 *    before the sandbox begins.
 */
import { readdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import type { SandboxOptions } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import type { OpenFolder } from './folders.ts';

/** By absolute path, a character a byte (latin1): a name may be no text. */
export type Covers = {
  /** From the outermost on. */
  above: readonly string[];
  folders: readonly string[];
  files: readonly string[];
};
type Found = { above: Set<string>; folders: string[]; files: string[]; walked: number; limits: Limits };
type Limits = { coveredEntries: number; covers: number; walkedDepth: number };
type Folder = { path: string; below: string; depth: number };

/** Null: nothing is denied. Throws SandboxError `invalid_folder` where there is too much to look at. */
export async function findCovers(
  folders: readonly OpenFolder[],
  denies: NonNullable<SandboxOptions['denies']>,
  limits: Limits = LIMITS,
): Promise<Covers | null> {
  const found: Found = { above: new Set(), folders: [], files: [], walked: 0, limits };
  for (const folder of folders) await walk(folder, denies, found);
  const { above, folders: covered, files } = found;
  if (covered.length + files.length === 0) return null;
  return { above: [...above].toSorted((a, b) => a.length - b.length), folders: covered, files };
}

async function walk(root: OpenFolder, denies: NonNullable<SandboxOptions['denies']>, found: Found): Promise<void> {
  const named = root.named === undefined ? '' : `${root.named}/`;
  const ahead: Folder[] = [{ path: bytesOf(root.path), below: '', depth: 0 }];
  for (let folder = ahead.pop(); folder !== undefined; folder = ahead.pop()) {
    const { path, below, depth } = folder;
    const entries = await readdir(Buffer.from(path, 'latin1'), { withFileTypes: true, encoding: 'buffer' }).catch(
      (error: unknown) => (isGone(error) && depth > 0 ? [] : null),
    );
    if (entries === null && depth === 0) throw refused(`${root.at} cannot be searched for what rules deny to commands`);
    if (entries === null) {
      cover(found, root, path, 'folders');
      continue;
    }
    for (const entry of entries) {
      found.walked += 1;
      if (found.walked > found.limits.coveredEntries)
        throw tooMuch(root, 'holds', found.limits.coveredEntries, 'files and folders');
      // What a link leads to is ruled on by its own path.
      if (entry.isSymbolicLink()) continue;
      const at = `${path}/${entry.name.toString('latin1')}`;
      const name = below + entry.name.toString();
      const place = { below: named + name, here: `${root.path}/${name}`, there: `${root.at}/${name}` };
      if (denies(place)) cover(found, root, at, entry.isDirectory() ? 'folders' : 'files');
      else if (entry.isDirectory() && depth === found.limits.walkedDepth) cover(found, root, at, 'folders');
      else if (entry.isDirectory()) ahead.push({ path: at, below: `${name}/`, depth: depth + 1 });
    }
  }
}

function cover(found: Found, root: OpenFolder, path: string, kind: 'folders' | 'files'): void {
  found[kind].push(path);
  const top = bytesOf(root.path).length;
  for (let cut = path.lastIndexOf('/'); cut > top; cut = path.lastIndexOf('/', cut - 1)) {
    const outer = path.slice(0, cut);
    if (found.above.has(outer)) break;
    found.above.add(outer);
  }
  if (found.above.size + found.folders.length + found.files.length > found.limits.covers)
    throw tooMuch(root, 'needs', found.limits.covers, 'places covered that rules deny');
}

const bytesOf = (path: string): string => Buffer.from(path).toString('latin1');
const isGone = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
const refused = (message: string): SandboxError => new SandboxError('invalid_folder', message);
const tooMuch = ({ at }: OpenFolder, verb: string, most: number, what: string): SandboxError =>
  refused(
    `${at} ${verb} more than ${most} ${what}: give commands a smaller folder (root, read), deny the folder that holds them, or take tools that run commands out of the rules on paths`,
  );

const MOUNTS = ['/usr/bin/mount', '/bin/mount'];

/**
 * Runs as root of a user namespace of its own, over this machine as it is, and becomes bubblewrap. The covers lie on two file
 * systems in memory, at a place where no folder may lie (M3); the second hides the first.
 */
const SCRIPT = `fail() { echo "$1" >&2; exit 1; }
mount="$1" fd="$2"
shift 2
mapfile -t -d '' -u "$fd" list || fail 'nobody says what is to be covered'
exec {fd}<&-
put() { "$mount" -c -n "$@" 2>/dev/null; }
declare -A lies
look() {
  local device from at
  lies=()
  while read -r _ _ device from at _; do lies["$at"]="$device $from"; done < /proc/self/mountinfo
}
lay() {
  put -t tmpfs -o size=4k,nr_inodes=4,mode=0755 none /sys || fail 'nothing can be covered here: no mounts can be made'
  [[ "$1" == folder ]] || (umask 0777; : > /sys/file) || fail 'nothing can be covered here'
  put -o remount,ro none /sys || fail 'nothing can be covered here'
  look
  laid="\${lies[/sys]%% *}"
}
# Whoever runs the command goes no way to it, nor can open one: then nothing is to be covered.
closed() {
  local at="$1"
  while at="\${at%/*}" && [[ -n "$at" ]]; do [[ ! -d "$at" || -x "$at" ]] || return 0; done
  return 1
}
wanted=()
cover() {
  local n kind=above path
  for ((n = 0; n < \${#list[@]}; n += 3)); do
    path="\${list[n + 1]}"
    [[ "\${list[n]}" == "$kind" ]] || lay "\${list[n]}"
    kind="\${list[n]}"
    case "$kind" in
      above) put --rbind -- "$path" "$path" && wanted[n]=any ;;
      file) put --bind -- /sys/file "$path" && wanted[n]="$laid /file" ;;
      folder) put --bind -- /sys "$path" && wanted[n]="$laid /" ;;
    esac || { closed "$path" && wanted[n]=closed; } || return 1
  done
}
covered() {
  local n place
  look
  for ((n = 0; n < \${#list[@]}; n += 3)); do
    place="\${lies["\${list[n + 2]}"]}"
    case "\${wanted[n]}" in
      '') return 1 ;;
      closed) ;;
      any) [[ -n "$place" ]] || return 1 ;;
      *) [[ "$place" == "\${wanted[n]}" ]] || return 1 ;;
    esac
  done
}
# An error within goes on behind this line: there nothing begins.
cover && covered && exec "$@"
fail 'what rules deny to commands was moved while it was covered: try again'`;

/**
 * The arguments of bubblewrap that cover, and then begin what follows them. It reads what it is to do, and what to cover, from
 * two descriptors. Throws SandboxError `sandbox_unavailable`.
 */
export function covering(program: string, fds: { around: number; list: number }): string[] {
  const mount = MOUNTS.find((path) => existsSync(path));
  if (mount === undefined)
    throw new SandboxError(
      'sandbox_unavailable',
      'mount is not installed, and what rules deny to commands is covered by it: install util-linux',
    );
  const script = ['/bin/bash', '--norc', '--noprofile', '-c', SCRIPT, 'covers', mount, String(fds.list)];
  return ['--args', String(fds.around), '--', ...script, program];
}

/** To mount, in folders that their owner has closed to himself, too, and to map root in the sandbox (user_namespaces(7)). */
const ABLE = ['CAP_SYS_ADMIN', 'CAP_DAC_OVERRIDE', 'CAP_SETFCAP'].flatMap((capability) => ['--cap-add', capability]);

/** What bubblewrap is to do around the sandbox. */
export const AROUND = [
  '--dev-bind',
  '/',
  '/',
  '--unshare-user',
  '--uid',
  '0',
  '--gid',
  '0',
  ...ABLE,
  '--die-with-parent',
];

/** As the script reads them: each by kind, path, and path as the kernel tells it (proc_pid_mountinfo(5)). */
export function writtenOut({ above, folders, files }: Covers): Buffer {
  const rows = (kind: string, paths: readonly string[]): string[] =>
    paths.flatMap((path) => [kind, path, path.replaceAll(/[ \t\n\\]/g, octal)]);
  const fields = [...rows('above', above), ...rows('file', files), ...rows('folder', folders)];
  return Buffer.from(fields.map((field) => `${field}\0`).join(''), 'latin1');
}

const octal = (char: string): string => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`;
