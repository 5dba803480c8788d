/**
 * What programs need of `/etc` and everybody may read. Small files are copied, larger ones and folders with many are mounted:
 * after each mount bubblewrap reads what is mounted anew, which was most of what a start took.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { LIMITS } from '../limits.ts';

const ETC = '/etc';
const NAMES = [
  'alternatives',
  'ca-certificates',
  'ca-certificates.conf',
  'debian_version',
  'gitconfig',
  'ld.so.cache',
  'ld.so.conf',
  'ld.so.conf.d',
  'localtime',
  'magic',
  'mime.types',
  'nsswitch.conf',
  'os-release',
  'pki/ca-trust/extracted',
  'pki/tls/certs',
  'protocols',
  'services',
  'ssl/certs',
  'ssl/openssl.cnf',
  'terminfo',
];

export type Part =
  /** Copied from a descriptor. */
  | { kind: 'file'; at: string; fd: number }
  | { kind: 'link'; at: string; target: string }
  | { kind: 'folder'; at: string }
  | { kind: 'mount'; at: string };
export type Etc = Disposable & { parts: readonly Part[] };

/** As it stands now; whoever asked closes it. */
export function openEtc(folder: string = ETC): Etc {
  const parts: Part[] = [];
  for (const name of NAMES) {
    const at = join(folder, name);
    const found = partsOf(at, LIMITS.etcFolderEntries, true);
    if (found !== null) parts.push(...found);
    else parts.push({ kind: 'mount', at });
  }
  return { parts, [Symbol.dispose]: () => close(parts) };
}

/** Null: it is better mounted, or nobody can tell. `follow`: it is what its name leads to. */
function partsOf(at: string, room: number, follow: boolean): Part[] | null {
  try {
    const stat = follow ? statSync(at, { throwIfNoEntry: false }) : lstatSync(at);
    if (stat === undefined) return [];
    if (stat.isSymbolicLink()) return [{ kind: 'link', at, target: readlinkSync(at) }];
    // What not everybody may read is not there, whoever this process is.
    if ((stat.mode & 0o004) === 0) return [];
    if (stat.isFile()) return fileAt(at, follow);
    if (!stat.isDirectory()) return [];
    // One that takes more than a block of its disk has many, and reading them takes longer than a mount.
    return stat.size > LIMITS.etcFolderBytes ? null : folderAt(at, room);
  } catch {
    return [];
  }
}

function fileAt(at: string, follow: boolean): Part[] | null {
  const fd = openSync(at, constants.O_RDONLY | constants.O_NONBLOCK | (follow ? 0 : constants.O_NOFOLLOW));
  const opened = fstatSync(fd);
  if (opened.isFile() && (opened.mode & 0o004) !== 0 && opened.size <= LIMITS.etcFileBytes)
    return [{ kind: 'file', at, fd }];
  closeSync(fd);
  return null;
}

function folderAt(at: string, room: number): Part[] | null {
  const names = readdirSync(at);
  if (names.length > room) return null;
  const parts: Part[] = [{ kind: 'folder', at }];
  for (const name of names) {
    const found = partsOf(join(at, name), room - parts.length, false);
    if (found !== null && parts.length + found.length <= LIMITS.etcFolderEntries) parts.push(...found);
    else {
      close([...parts, ...(found ?? [])]);
      return null;
    }
  }
  return parts;
}

function close(parts: readonly Part[]): void {
  for (const part of parts) if (part.kind === 'file') closeSync(part.fd);
}
