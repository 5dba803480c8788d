/** The variables of a process: its own, and those of `.env` in the working directory, which come second. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { SettingError } from './errors.ts';
import type { Environment } from './settings.ts';

/** What `.env` in a directory says; empty where there is none. Throws SettingError when it cannot be read. */
export function readDotenv(directory: string): Environment {
  try {
    return parseEnv(readFileSync(join(directory, '.env'), 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {};
    throw new SettingError('.env', error instanceof Error ? error.message : String(error));
  }
}

/** Both as one. An empty variable is not set: it neither counts nor hides what `.env` says. */
export function merged(env: Environment, dotenv: Environment): Environment {
  return { ...filled(dotenv), ...filled(env) };
}

function filled(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''));
}
