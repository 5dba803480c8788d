/** Modules of the user's own, loaded by Node as they are; what is wrong with one is told with its file. */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { ModelConfigError } from '@perdure/models';
import { ConfigError } from '@perdure/runtime';

const PROVIDED = ['perdure', 'perdure/client', 'perdure/ports', 'perdure/testing', 'zod'];

/** `shown` is how messages name the file. Throws ConfigError whose path begins with it. */
export async function importModule(file: string, shown: string): Promise<{ [name: string]: unknown }> {
  provideOurselves();
  try {
    return (await import(pathToFileURL(file).href)) as { [name: string]: unknown };
  } catch (error) {
    throw located(error, file, shown);
  }
}

/** The same error with the file before its path. */
export function located(error: unknown, file: string, shown: string): Error {
  if (error instanceof ConfigError || error instanceof ModelConfigError) {
    const code = error instanceof ConfigError ? error.code : 'invalid_config';
    const before = `${error.path}: `;
    const problem = error.message.startsWith(before) ? error.message.slice(before.length) : error.message;
    return new ConfigError(code, error.path === '' ? shown : `${shown}: ${error.path}`, problem);
  }
  const problem = error instanceof Error ? error.message : String(error);
  return new ConfigError('invalid_config', `${shown}${lineIn(file, error)}`, `cannot be loaded: ${problem}`);
}

/** `:12` where the stack names a line of the file; '' where it does not. */
function lineIn(file: string, error: unknown): string {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const place = [pathToFileURL(file).href, file].map((name) => `${name}:`).find((name) => stack.includes(name));
  const line = place === undefined ? null : /^\d+/.exec(stack.slice(stack.indexOf(place) + place.length));
  return line === null ? '' : `:${line[0]}`;
}

let provided = false;

/** A folder with agents and no `node_modules` still finds what all of them import: this very copy. */
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
