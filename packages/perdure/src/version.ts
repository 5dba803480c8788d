/** Who we are. The manifest stands one folder up, from the source as from the bundle. */
import { readFileSync } from 'node:fs';

type Manifest = { version: string };

export function version(): string {
  return (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Manifest).version;
}
