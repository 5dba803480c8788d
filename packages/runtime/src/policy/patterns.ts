/**
 * Patterns of rules. All of them are run by RE2, whose time grows with the text alone (FAULTS S23); compiled once.
 */
import { RE2JS } from 're2js';
import { LIMITS } from '../limits.ts';

export type Matcher = (text: string) => boolean;
type Kind = 'glob' | 'regex' | 'path' | 'host';

const compiled = new Map<string, Matcher | null>();

/** Null: it is no such pattern. `loose`: as a rule that asks or denies reads it, where writing differently is no way round. */
export function matcherOf(kind: Kind, pattern: string, loose: boolean): Matcher | null {
  const key = `${kind} ${String(loose)} ${pattern}`;
  const known = compiled.get(key);
  if (known !== undefined) return known;
  if (compiled.size >= LIMITS.compiledPatterns) compiled.clear();
  const made = make(kind, pattern, loose);
  compiled.set(key, made);
  return made;
}

function make(kind: Kind, pattern: string, loose: boolean): Matcher | null {
  try {
    const flags = RE2JS.DOTALL | (loose && kind !== 'regex' ? RE2JS.CASE_INSENSITIVE : 0);
    if (kind === 'regex') {
      const regex = RE2JS.compile(pattern);
      return (text) => regex.test(text);
    }
    const source = { glob: globSource, path: pathSource, host: hostSource }[kind](pattern, loose);
    const regex = RE2JS.compile(`^(?:${source})$`, flags);
    return (text) => regex.test(text);
  } catch {
    return null;
  }
}

const globSource = (pattern: string): string =>
  pattern
    .split('*')
    .map((part) => RE2JS.quote(part))
    .join('.*');

/** `*` and `?` stay within a name, `**` stands for any number of folders, and at the end for the folder itself as well. */
function pathSource(pattern: string, loose: boolean): string {
  const plain = pattern.normalize('NFC').replace(/^(?:\.\/)+/, '');
  const body = plain
    .split(/(\/\*\*$|^\*\*\/|\/\*\*\/|\*\*|\*|\?)/)
    .map((part) => PATH_TOKENS[part] ?? RE2JS.quote(part))
    .join('');
  if (!loose) return body;
  // Where a workspace begins is not known here: what a relative glob forbids is forbidden below any folder. And with a folder
  // all that is in it.
  return `${plain.startsWith('/') ? '' : '(?:/|(?:\\.\\./)+)?(?:.*/)?'}(?:${body})(?:/.*)?`;
}
const PATH_TOKENS: { readonly [token: string]: string } = {
  '/**': '(?:/.*)?',
  '**/': '(?:.*/)?',
  '/**/': '/(?:.*/)?',
  '**': '.*',
  '*': '[^/]*',
  '?': '[^/]',
};

const hostSource = (pattern: string): string => globSource(pattern.toLowerCase().replace(/\.$/, ''));

/** `*` stands for any run of characters; everything else for itself. */
export const matchesTool = (pattern: string, name: string): boolean =>
  matcherOf('glob', pattern, false)?.(name) ?? false;

/** A path as globs read it: no empty names, no `.`, and `..` only where it leads out. */
export function normalPath(path: string): string {
  const names: string[] = [];
  for (const name of path.normalize('NFC').replaceAll('\\', '/').split('/')) {
    if (name === '' || name === '.') continue;
    if (name === '..' && names.length > 0 && names.at(-1) !== '..') names.pop();
    else if (name !== '..' || !path.startsWith('/')) names.push(name);
  }
  const joined = names.join('/');
  return path.startsWith('/') ? `/${joined}` : joined === '' ? '.' : joined;
}

/** Whether anything at or below a folder may match the glob. */
export function mayMatchBelow(glob: string, folder: string): boolean {
  if (matcherOf('path', glob, true)?.(folder) !== false) return true;
  // Up to its first wildcard a glob is a folder, too.
  const fixed = normalPath(glob.split(/[*?]/)[0] ?? '').toLowerCase();
  const place = folder.toLowerCase();
  // Nobody knows here what lies beneath a folder outside.
  const outside = place === '/' || place.startsWith('..') || (place.startsWith('/') && !glob.startsWith('/'));
  if (outside || fixed === '.' || place === '.' || /^[*?]/.test(glob)) return true;
  return fixed.startsWith(`${place}/`) || place.includes(fixed);
}
