/** Which engine this is: snapshots of another one are not believed. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Put in place by the build of the published package, whose engine is part of its bundle. */
declare const PERDURE_ENGINE_HASH: string | undefined;

/** SHA-256 (hex) over the engine's sources, by name: the same for the same sources, in the clone and in the package. */
export function engineHash(): string {
  if (typeof PERDURE_ENGINE_HASH === 'string') return PERDURE_ENGINE_HASH;
  return hashSources(dirname(fileURLToPath(import.meta.resolve('@perdure/engine'))));
}

export function hashSources(directory: string): string {
  const hash = createHash('sha256');
  const names = readdirSync(directory).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  for (const name of names.toSorted()) {
    const bytes = readFileSync(join(directory, name));
    hash.update(`${name} ${bytes.length}\n`).update(bytes);
  }
  return hash.digest('hex');
}
