import { compileGlob } from '../files/patterns.ts';
import { LIMITS } from '../limits.ts';
import { ToolFailure } from '../failure.ts';

/** Folders that are made anew from others, or belong to whoever works there. */
export const USUALLY_EXCLUDED: readonly string[] = ['.git/', 'node_modules/', '.perdure/', '.perdure-*.tmp'];

/** What usually holds credentials: nothing that a model should be given because it lay in the folder. */
export const CREDENTIALS: readonly string[] = ['.env', '.env.*', '!.env.example', '.npmrc', '.netrc', '.ssh/'];

/** Whether what stands at a path is left out; `folder`: it is one, and all it holds is left out with it. */
export type Excludes = (path: string, folder: boolean) => boolean;

/**
 * Lines as in a `.gitignore`: globs, one that ends with `/` for folders alone, one that begins with `/` or has one inside
 * for paths from the top, `!` takes back, `#` is a note; the last one that fits decides. Throws ToolFailure
 * `invalid_pattern`.
 */
export function excludesOf(lines: readonly string[]): Excludes {
  const rules = lines.flatMap((line) => {
    const text = line.trim();
    if (text === '' || text.startsWith('#')) return [];
    const taken = text.startsWith('!');
    const named = taken ? text.slice(1) : text;
    const onlyFolders = named.endsWith('/');
    const glob = onlyFolders ? named.slice(0, -1) : named;
    const top = glob.startsWith('/');
    const matches = compileGlob(top ? glob.slice(1) : glob);
    const isFlat = top && !glob.slice(1).includes('/');
    return [{ taken, onlyFolders, fits: (path: string) => matches(path) && !(isFlat && path.includes('/')) }];
  });
  if (rules.length > LIMITS.excludes)
    throw new ToolFailure(
      'invalid_pattern',
      `There are ${rules.length} patterns: at most ${LIMITS.excludes} are read.`,
    );
  return (path, folder) => {
    const rule = rules.findLast(({ onlyFolders, fits }) => (folder || !onlyFolders) && fits(path));
    return rule !== undefined && !rule.taken;
  };
}
