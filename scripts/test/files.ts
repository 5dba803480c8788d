// Which test files one command runs.
import { relative, resolve } from 'node:path';

/**
 * Tests that ask real providers cost money (`live`), and those that start a database or another server take time
 * (`services`): each kind runs when it is asked for, and then no other does.
 */
export type Kind = 'plain' | 'live' | 'services';

type Options = { readonly root: string; readonly kind: Kind; readonly wanted: readonly string[] };

const kindOf = (file: string): string => /\.(live|services)\.test\.ts$/.exec(file)?.[1] ?? 'plain';

/** Of the files found (relative to the root): those under a wanted path, or whose path contains a wanted text; all without any. */
export function chooseFiles(found: readonly string[], { root, kind, wanted }: Options): string[] {
  const texts = wanted.map((text) => relative(root, resolve(root, text)).replaceAll('\\', '/'));
  const chosen = found.filter(
    (file) => kindOf(file) === kind && (texts.length === 0 || texts.some((text) => file.includes(text))),
  );
  return [...new Set(chosen)].sort();
}
