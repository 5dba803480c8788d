/** Who we are. The manifest stands one folder up, from the source as from the bundle. */
import { readFileSync } from 'node:fs';

type Manifest = { version: string; dependencies: { [name: string]: string } };

const manifest = (): Manifest =>
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Manifest;

export function version(): string {
  return manifest().version;
}

/** The exact version of a library that we depend on. */
export function dependency(name: string): string {
  const found = manifest().dependencies[name];
  if (found === undefined) throw new TypeError(`${name} is no dependency`);
  return found;
}
