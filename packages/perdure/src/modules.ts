/** Modules of the user's own, loaded by Node as they are; what is wrong with one is told with its file. */
import { registerHooks } from 'node:module';
import { relative } from 'node:path';
import process from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ModelConfigError } from '@perdure/models';
import { ConfigError } from '@perdure/runtime';

const PROVIDED = ['perdure', 'perdure/client', 'perdure/ports', 'perdure/testing', 'zod'];

/** `shown` is how messages name the file. Throws ConfigError whose path begins with it. */
export async function importModule(file: string, shown: string): Promise<{ [name: string]: unknown }> {
  provideOurselves();
  imported.add(pathToFileURL(file).href);
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
  const line = lineIn(file, error);
  const elsewhere = line === '' ? placeIn(error) : '';
  return new ConfigError('invalid_config', `${shown}${line}`, `cannot be loaded: ${problem}${elsewhere}`);
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? '') : '');

/** `, at lib/words.ts:3` where the stack names a file of the user's that it imports; '' where it does not. */
function placeIn(error: unknown): string {
  for (const [, url = '', line = ''] of stackOf(error).matchAll(/(file:\/\/[^\s()]+?):(\d+)/g))
    if (imported.has(url)) return `, at ${relative(process.cwd(), fileURLToPath(url))}:${line}`;
  return '';
}

/** `:12` where the stack names a line of the file; '' where it does not. */
function lineIn(file: string, error: unknown): string {
  const stack = stackOf(error);
  const place = [pathToFileURL(file).href, file].map((name) => `${name}:`).find((name) => stack.includes(name));
  const line = place === undefined ? null : /^\d+/.exec(stack.slice(stack.indexOf(place) + place.length));
  return line === null ? '' : `:${line[0]}`;
}

/** The user's own files that were loaded, or looked for, by their URLs: those asked for, and what they import by path. */
const imported = new Set<string>();

export function importedFiles(): string[] {
  return [...imported].map((url) => fileURLToPath(url));
}

/** Notes what a file of the user's imports by its path; packages are not the user's own. */
function note(specifier: string, parent: string | undefined): void {
  if (parent === undefined || !imported.has(parent) || !/^(\.|\/|file:)/.test(specifier)) return;
  const { protocol, href } = new URL(specifier, parent);
  if (protocol === 'file:') imported.add(href);
}

let provided = false;

/** A folder with agents and no `node_modules` still finds what all of them import: this very copy. */
function provideOurselves(): void {
  if (provided) return;
  provided = true;
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  registerHooks({
    resolve(specifier, context, next) {
      note(specifier, context.parentURL);
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
