/** The server that `perdure connect` remembers, in the user's own configuration folder. Only they may read it. */
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import type { Environment } from '../settings.ts';

export type Remembered = { url: string; token?: string };
const schema = z.object({ url: z.url(), token: z.string().optional() });

/** The user's own folder for what Perdure remembers. */
export const configFolder = (env: Environment): string => {
  const given = env['XDG_CONFIG_HOME'] ?? '';
  return join(given === '' ? join(env['HOME'] ?? homedir(), '.config') : given, 'perdure');
};
const fileOf = (env: Environment): string => join(configFolder(env), 'connection.json');

/** What is remembered; null: nothing that can be read. */
export function recall(env: Environment): Remembered | null {
  try {
    const { url, token } = schema.parse(JSON.parse(readFileSync(fileOf(env), 'utf8')));
    return token === undefined ? { url } : { url, token };
  } catch {
    return null;
  }
}

export function remember(env: Environment, server: Remembered): void {
  mkdirSync(configFolder(env), { recursive: true, mode: 0o700 });
  writeFileSync(fileOf(env), `${JSON.stringify(server)}\n`, { mode: 0o600 });
  // The mode counts only for a new file.
  chmodSync(fileOf(env), 0o600);
}

export function forget(env: Environment): void {
  rmSync(fileOf(env), { force: true });
}
