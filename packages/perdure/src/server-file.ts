/** `server.json` in the data folder: where the running server is. Only its owner may read it: it holds the token. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LIMITS } from './limits.ts';

const NAME = 'server.json';
const schema = z.object({ pid: z.int().positive(), url: z.url(), token: z.string().optional() });

export type ServerInfo = { pid: number; url: string; token?: string };

export function writeServerFile(data: string, info: ServerInfo): void {
  const path = join(data, NAME);
  const fresh = `${path}.${info.pid}`;
  rmSync(fresh, { force: true });
  writeFileSync(fresh, `${JSON.stringify(info)}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(fresh, path);
}

/** What the file says; null where there is none that can be read. */
export function readServerFile(data: string): ServerInfo | null {
  try {
    const parsed = schema.parse(JSON.parse(readFileSync(join(data, NAME), 'utf8')));
    const { pid, url, token } = parsed;
    return token === undefined ? { pid, url } : { pid, url, token };
  } catch {
    return null;
  }
}

/** Removes the file if it is this process's own. */
export function removeServerFile(data: string, pid: number): void {
  if (readServerFile(data)?.pid === pid) rmSync(join(data, NAME), { force: true });
}

/** The server that runs on this data; a file that a crash left behind names a dead process, and is not believed. */
export async function runningServer(data: string): Promise<ServerInfo | null> {
  const info = readServerFile(data);
  if (info === null || !isAlive(info.pid)) return null;
  return (await answers(info.url)) ? info : null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(new URL('/health/live', url), { signal: AbortSignal.timeout(LIMITS.livenessMs) });
    return response.ok;
  } catch {
    return false;
  }
}
