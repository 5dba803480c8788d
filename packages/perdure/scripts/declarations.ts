/** The public interface as declarations: what the package carries, and what its reference is read from. */
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';

const here = resolve(import.meta.dirname, '..');
const root = resolve(here, '../..');
export const SCOPE = '@perdure/';
/** What users import: `perdure`, and `perdure/NAME` for the others. */
export const DOORS = ['index', 'client', 'ports', 'testing'];
const SPECIFIERS = /((?:\bfrom|\bimport\(|\bimport)\s*)(['"])([^'"]+)\2/g;

/**
 * Writes declarations of the public interface, and of all it refers to, into the folder `types`, with the workspace's
 * packages as folders in it.
 */
export function declare(types: string): void {
  mkdirSync(dirname(types), { recursive: true });
  const config = `${types}.tsconfig.json`;
  const compilerOptions = {
    noEmit: false,
    declaration: true,
    emitDeclarationOnly: true,
    allowJs: false,
    checkJs: false,
    // Whether the types hold is the check's to say; here they are only written.
    noCheck: true,
    rootDir: join(root, 'packages'),
    outDir: types,
    // Found by path, the workspace's packages count as sources, whose declarations are written.
    paths: Object.fromEntries(doors().map(({ specifier, file }) => [specifier, [file]])),
  };
  const files = DOORS.map((door) => join(here, `src/${door}.ts`));
  writeFileSync(config, JSON.stringify({ extends: join(root, 'tsconfig.json'), compilerOptions, files, include: [] }));
  const require = createRequire(import.meta.url);
  const typescript = require.resolve('typescript/package.json');
  const { bin } = require(typescript) as { bin: { tsc: string } };
  execFileSync(process.execPath, [join(dirname(typescript), bin.tsc), '-p', config], { stdio: 'inherit' });
  rmSync(config);
  const all = globSync('**/*.d.ts', { cwd: types }).map((name) => join(types, name));
  for (const path of all) relocate(types, path);
  const needed = new Set<string>();
  for (const door of DOORS) reachable(join(types, `perdure/src/${door}.d.ts`), needed);
  for (const path of all) if (!needed.has(path)) rmSync(path);
}

/** A declaration file and all that it refers to. */
function reachable(path: string, seen = new Set<string>()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const [, , , specifier = ''] of readFileSync(path, 'utf8').matchAll(SPECIFIERS))
    if (specifier.startsWith('.')) reachable(join(dirname(path), specifier.replace(/\.js$/, '.d.ts')), seen);
  return seen;
}

/** `@perdure/engine` → `../../engine/src/index.js`; `./ids.ts` → `./ids.js`. */
function relocate(types: string, path: string): void {
  const text = readFileSync(path, 'utf8');
  const moved = text.replace(SPECIFIERS, (_all, before: string, quote: string, specifier: string) => {
    const target = specifier.startsWith(SCOPE) ? sourceOf(types, path, specifier) : specifier;
    return `${before}${quote}${target.replace(/^(\..*)\.ts$/, '$1.js')}${quote}`;
  });
  writeFileSync(path, moved);
}

function sourceOf(types: string, from: string, specifier: string): string {
  const door = doors().find((candidate) => candidate.specifier === specifier);
  if (door === undefined) throw new Error(`${specifier} is not exported`);
  const target = join(types, relative(join(root, 'packages'), door.file));
  const path = relative(dirname(from), target).replaceAll('\\', '/');
  return path.startsWith('.') ? path : `./${path}`;
}

/** What the workspace's packages export, and the file behind it. */
function doors(): { specifier: string; file: string }[] {
  return readdirSync(join(root, 'packages')).flatMap((folder) => {
    const path = join(root, 'packages', folder, 'package.json');
    if (!existsSync(path)) return [];
    const { exports } = JSON.parse(readFileSync(path, 'utf8')) as { exports?: { [door: string]: string } };
    return Object.entries(exports ?? {}).map(([door, file]) => ({
      specifier: `${SCOPE}${folder}${door.slice(1)}`,
      file: join(root, 'packages', folder, file),
    }));
  });
}
