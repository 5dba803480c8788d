/**
 * Paths within a tree.
 *
 * X1 A path means the same place in every folder that a tree is put into, on every system: what some system would read
 *    otherwise (a device, a drive, another spelling of a name) is no path of a tree.
 * X2 No path leads out of the folder, or into what version control or Perdure itself keeps there.
 * X3 No two paths of a tree are one place where a file system ignores case or how a character is composed, and none lies
 *    below a file or a link.
 */
import { LIMITS } from '../limits.ts';

/** Names that a file system or a program takes for something else than a file of this name. */
const DEVICES = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?$/;
/** `.git` as HFS+ and NTFS may spell it, and the folder in which Perdure keeps what it knows of a folder. */
const KEPT_APART: ReadonlySet<string> = new Set(['.git', 'git~1', '.perdure']);
// oxlint-disable-next-line no-control-regex -- they are what is refused
const UNFIT = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\\:*?"<>|]/;

const utf8 = new TextEncoder();

/** Why this is no path of a file in a tree, as it follows the path in a sentence; null: it is one. */
export function faultOfPath(path: string): string | null {
  if (path === '') return 'is empty';
  if (path.length > LIMITS.treePathChars) return `is longer than ${LIMITS.treePathChars} characters`;
  if (!path.isWellFormed()) return 'is not well-formed Unicode';
  if (path.startsWith('/')) return 'is absolute';
  const names = path.split('/');
  if (names.length > LIMITS.treeDepth) return `lies in more than ${LIMITS.treeDepth} folders`;
  for (const name of names) {
    const fault = faultOfName(name);
    if (fault !== null) return fault;
  }
  return null;
}

function faultOfName(name: string): string | null {
  if (name === '' || name === '.' || name === '..') return 'has an empty name, . or .. in it';
  if (utf8.encode(name).length > LIMITS.treeNameBytes) return `has a name of more than ${LIMITS.treeNameBytes} bytes`;
  if (UNFIT.test(name)) return 'has a character that no name has on every system';
  if (/[. ]$/.test(name)) return 'has a name that ends with a dot or a space';
  const folded = foldName(name);
  // Before a dot, spaces are passed over as well.
  if (DEVICES.test(folded.replace(/ +(?=\.|$)/g, ''))) return 'has a name that is a device on some systems';
  if (isKeptApart(name)) return 'belongs to version control, or to Perdure';
  return null;
}

/** Whether a path lies in what version control or Perdure keeps in a folder, however a file system spells that (X2). */
export function isKeptApart(path: string): boolean {
  return path.split('/').some((name) => KEPT_APART.has(foldName(name).replace(/[. ]+$/, '')));
}

/** Equal for names that some file system takes for one: in any case, composed in any way, with what is not seen or without. */
function foldName(name: string): string {
  return name
    .normalize('NFKC')
    .replaceAll(/[\p{Cf}\p{Default_Ignorable_Code_Point}]/gu, '')
    .toUpperCase()
    .toLowerCase()
    .normalize('NFC');
}

/** Equal for paths that are one place on some file system (X3). */
export function foldPath(path: string): string {
  return path.split('/').map(foldName).join('/');
}

/** The folders that a path lies in, the outermost first; the root is not among them. */
export function foldersOf(path: string): string[] {
  const folders: string[] = [];
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) folders.push(path.slice(0, at));
  return folders;
}
