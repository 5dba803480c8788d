/** `perdure.config.ts`: found in the working directory, loaded by Node as it is. */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ModelConfigError } from '@perdure/models';
import { ConfigError } from '@perdure/runtime';
import type { Config } from './config.ts';
import { defineConfig } from './config.ts';

const NAMES = ['perdure.config.ts', 'perdure.config.mjs', 'perdure.config.js'];
const PROVIDED = ['perdure', 'perdure/client', 'perdure/ports', 'perdure/testing', 'zod'];

/** `simulation`: the export of that name beside the configuration (see `perdure simulate`). */
export type LoadedConfig = { file: string; config: Config; simulation: unknown };

/** The file that is meant: the named one, else the first of the usual names; null where there is none. */
export function findConfig(directory: string, named: string | null): string | null {
  if (named === null) return NAMES.map((name) => join(directory, name)).find((path) => existsSync(path)) ?? null;
  const file = resolve(directory, named);
  if (!existsSync(file))
    throw new ConfigError(
      'invalid_config',
      named,
      'there is no such file: name one that is there, or leave --config out',
    );
  return file;
}

/** Loads and checks a configuration. Throws ConfigError whose path begins with the file's name. */
export async function loadConfig(file: string): Promise<LoadedConfig> {
  const name = basename(file);
  provideOurselves();
  let module: { default?: unknown; simulation?: unknown };
  try {
    module = (await import(pathToFileURL(file).href)) as typeof module;
  } catch (error) {
    throw located(file, error);
  }
  const { default: exported, simulation } = module;
  if (typeof exported !== 'object' || exported === null)
    throw new ConfigError('invalid_config', name, 'has no default export: write export default defineConfig({ ... })');
  try {
    return { file, config: defineConfig(exported as Config), simulation };
  } catch (error) {
    throw located(file, error);
  }
}

/** The same error with the file before its path. */
function located(file: string, error: unknown): Error {
  const name = basename(file);
  if (error instanceof ConfigError || error instanceof ModelConfigError) {
    const code = error instanceof ConfigError ? error.code : 'invalid_config';
    const before = `${error.path}: `;
    const problem = error.message.startsWith(before) ? error.message.slice(before.length) : error.message;
    return new ConfigError(code, error.path === '' ? name : `${name}: ${error.path}`, problem);
  }
  const problem = error instanceof Error ? error.message : String(error);
  return new ConfigError('invalid_config', `${name}${lineIn(file, error)}`, `cannot be loaded: ${problem}`);
}

/** `:12` where the stack names a line of the file; '' where it does not. */
function lineIn(file: string, error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const place = [pathToFileURL(file).href, file].map((name) => `${name}:`).find((name) => stack.includes(name));
  const line = place === undefined ? null : /^\d+/.exec(stack.slice(stack.indexOf(place) + place.length));
  return line === null ? '' : `:${line[0]}`;
}

let provided = false;

/** A folder with a configuration and no `node_modules` still finds what every configuration imports: this very copy. */
function provideOurselves(): void {
  if (provided) return;
  provided = true;
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  registerHooks({
    resolve(specifier, context, next) {
      try {
        return next(specifier, context);
      } catch (error) {
        if (!PROVIDED.includes(specifier)) throw error;
        if (specifier === 'zod') return next(specifier, { ...context, parentURL: import.meta.url });
        const door = specifier.slice('perdure/'.length) || 'index';
        return next(new URL(`./${door}.${extension}`, import.meta.url).href, context);
      }
    },
  });
}
