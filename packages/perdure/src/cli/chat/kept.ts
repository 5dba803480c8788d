/** What the shell keeps between two times, in the user's own configuration folder: lines that were typed, last sessions. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LIMITS } from '../../limits.ts';
import type { Environment } from '../../settings.ts';
import { configFolder } from '../remembered.ts';

const historyFile = (env: Environment): string => join(configFolder(env), 'history');
const sessionsFile = (env: Environment): string => join(configFolder(env), 'chats.json');

/** Newest first. */
export function readHistory(env: Environment): string[] {
  return (read(historyFile(env)) ?? '')
    .split('\n')
    .filter((line) => line !== '')
    .toReversed()
    .slice(0, LIMITS.historyLines);
}

export function keepHistory(env: Environment, lines: readonly string[]): void {
  const kept = lines.filter((line) => line.length <= LIMITS.historyChars).slice(0, LIMITS.historyLines);
  write(
    historyFile(env),
    kept
      .toReversed()
      .map((line) => `${line}\n`)
      .join(''),
  );
}

/** By the server's address or the data folder; the newest last. */
const sessionsSchema = z.array(z.object({ place: z.string(), session: z.string() }));

/** The session that the shell was in last at this place; null: none that is known. */
export function lastSession(env: Environment, place: string): string | null {
  return readSessions(env).find((row) => row.place === place)?.session ?? null;
}

export function keepSession(env: Environment, place: string, session: string): void {
  const rows = readSessions(env).filter((row) => row.place !== place);
  write(sessionsFile(env), `${JSON.stringify([...rows, { place, session }].slice(-LIMITS.chatPlaces))}\n`);
}

function readSessions(env: Environment): z.output<typeof sessionsSchema> {
  try {
    return sessionsSchema.parse(JSON.parse(read(sessionsFile(env)) ?? '[]'));
  } catch {
    return [];
  }
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return null;
  }
}

/** A folder that cannot be written costs the memory, not the shell. */
function write(file: string, text: string): void {
  try {
    mkdirSync(join(file, '..'), { recursive: true, mode: 0o700 });
    writeFileSync(file, text, { mode: 0o600 });
    // The mode counts only for a new file.
    chmodSync(file, 0o600);
  } catch {
    // Nothing to be told each time a line is typed.
  }
}
