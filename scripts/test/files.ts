// Which test files one command runs.
import { relative, resolve } from 'node:path';

/** Tests that ask real providers cost money: they run when they are asked for, and then no others do. */
const LIVE = /\.live\.test\.ts$/;

type Options = { readonly root: string; readonly live: boolean; readonly wanted: readonly string[] };

/** Of the files found (relative to the root): those under a wanted path, or whose path contains a wanted text; all without any. */
export function chooseFiles(found: readonly string[], { root, live, wanted }: Options): string[] {
  const texts = wanted.map((text) => relative(root, resolve(root, text)).replaceAll('\\', '/'));
  const chosen = found.filter(
    (file) => LIVE.test(file) === live && (texts.length === 0 || texts.some((text) => file.includes(text))),
  );
  return [...new Set(chosen)].sort();
}
