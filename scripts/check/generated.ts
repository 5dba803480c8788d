// Files that a program writes and the repository keeps: each generator is run with `--check`, which fails on a stale file.
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const GENERATORS: readonly string[] = ['packages/contract/src/generate.ts', 'packages/contract/scripts/generate.ts'];

export function listGenerators(root: string): string[] {
  return GENERATORS.filter((path) => existsSync(join(root, path)));
}
