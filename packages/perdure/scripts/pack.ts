/**
 * Makes the published package, around `npm pack`: `prepack` bundles the workspace into `dist` and puts the manifest that
 * users install in the place of the clone's; `postpack` puts the clone's back. Only `dist` stays, which git ignores.
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { build } from 'esbuild';
import { hashSources } from '../src/engine-hash.ts';

type Dependencies = { [name: string]: string };
type Manifest = {
  name: string;
  version: string;
  dependencies?: Dependencies;
  optionalDependencies?: Dependencies;
  [key: string]: unknown;
};

const here = resolve(import.meta.dirname, '..');
const root = resolve(here, '../..');
const dist = join(here, 'dist');
const manifestPath = join(here, 'package.json');
const keptPath = join(dist, 'source-manifest.json');
const SCOPE = '@perdure/';
/** What users import: `perdure`, and `perdure/NAME` for the others. */
const DOORS = ['index', 'client', 'ports', 'testing'];
const SPECIFIERS = /((?:\bfrom|\bimport\(|\bimport)\s*)(['"])([^'"]+)\2/g;

async function prepack(): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  const imported = await bundle();
  declare();
  copyFileSync(manifestPath, keptPath);
  copyFileSync(join(root, 'LICENSE'), join(here, 'LICENSE'));
  writeFileSync(`${manifestPath}.new`, `${JSON.stringify(publishedManifest(imported), null, 2)}\n`);
  renameSync(`${manifestPath}.new`, manifestPath);
}

function postpack(): void {
  if (existsSync(keptPath)) renameSync(keptPath, manifestPath);
  rmSync(join(here, 'LICENSE'), { force: true });
}

/** Every library that the workspace's packages may import, with its one version. */
function libraries(): Dependencies {
  const all: Dependencies = {};
  for (const name of readdirSync(join(root, 'packages'))) {
    const path = join(root, 'packages', name, 'package.json');
    if (existsSync(path)) Object.assign(all, readManifest(path).dependencies);
  }
  return Object.fromEntries(Object.entries(all).filter(([name]) => !name.startsWith(SCOPE)));
}

/** Bundles the workspace's own code; gives the libraries that the bundle imports. */
async function bundle(): Promise<Dependencies> {
  const known = libraries();
  // The threads of the store are files of their own, beside whatever chunk starts them.
  const threads = join(root, 'packages/stores/src/sqlite');
  const { metafile } = await build({
    entryPoints: {
      ...Object.fromEntries(DOORS.map((door) => [door, join(here, `src/${door}.ts`)])),
      cli: join(here, 'src/cli/main.ts'),
      committer: join(threads, 'committer.ts'),
      verifier: join(threads, 'verifier.ts'),
    },
    outdir: dist,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    external: Object.keys(known),
    define: { PERDURE_ENGINE_HASH: JSON.stringify(hashSources(join(root, 'packages/engine/src'))) },
    metafile: true,
    logLevel: 'warning',
  });
  const paths = Object.values(metafile.outputs).flatMap(({ imports }) => imports.filter(({ external }) => external));
  const used = new Set(paths.map(({ path }) => packageOf(path)));
  const sorted = Object.entries(known).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(sorted.filter(([name]) => used.has(name)));
}

const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** Declarations of the public interface and of all it refers to, with the workspace's packages as folders beside it. */
function declare(): void {
  const types = join(dist, 'types');
  const config = join(dist, 'tsconfig.json');
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
    const { exports } = readManifest(path) as { exports?: Dependencies };
    return Object.entries(exports ?? {}).map(([door, file]) => ({
      specifier: `${SCOPE}${folder}${door.slice(1)}`,
      file: join(root, 'packages', folder, file),
    }));
  });
}

/** What users install: the bundle with the libraries it imports, and nothing of the workspace. */
function publishedManifest(dependencies: Dependencies): Manifest {
  const source = readManifest(manifestPath);
  const { scripts: _scripts, devDependencies: _development, ...kept } = source;
  return {
    ...kept,
    exports: {
      ...Object.fromEntries(
        DOORS.map((door) => [
          door === 'index' ? '.' : `./${door}`,
          { types: `./dist/types/perdure/src/${door}.d.ts`, default: `./dist/${door}.js` },
        ]),
      ),
      './package.json': './package.json',
    },
    dependencies,
  };
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(path, 'utf8')) as Manifest;
}

const [step] = process.argv.slice(2);
if (step === 'prepack') await prepack();
else if (step === 'postpack') postpack();
else throw new Error('pack.ts takes prepack or postpack');
