import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Every byte below a folder. */
export const bytesOf = (directory: string): number =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' }).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  );
