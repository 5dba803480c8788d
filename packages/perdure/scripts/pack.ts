/**
 * Makes the published package, around `npm pack`: `prepack` bundles the workspace into `dist` and puts the manifest that
 * users install in the place of the clone's; `postpack` puts the clone's back. Only `dist` stays, which git ignores.
 */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { hashSources } from '../src/engine-hash.ts';
import { declare, DOORS, SCOPE } from './declarations.ts';

type Dependencies = { [name: string]: string };
type Manifest = {
  name: string;
  version: string;
  dependencies?: Dependencies;
  optionalDependencies?: Dependencies;
  peerDependencies?: Dependencies;
  [key: string]: unknown;
};

const here = resolve(import.meta.dirname, '..');
const root = resolve(here, '../..');
const dist = join(here, 'dist');
const manifestPath = join(here, 'package.json');
const keptPath = join(dist, 'source-manifest.json');

async function prepack(): Promise<void> {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  const imported = await bundle();
  declare(join(dist, 'types'));
  copyFileSync(manifestPath, keptPath);
  copyFileSync(join(root, 'LICENSE'), join(here, 'LICENSE'));
  cpSync(join(root, 'docs/guides'), join(dist, 'guides'), { recursive: true });
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
  // Threads are files of their own, beside whatever chunk starts them.
  const threads = join(root, 'packages/stores/src/sqlite');
  const { metafile } = await build({
    entryPoints: {
      ...Object.fromEntries(DOORS.map((door) => [door, join(here, `src/${door}.ts`)])),
      cli: join(here, 'src/cli/main.ts'),
      committer: join(threads, 'committer.ts'),
      verifier: join(threads, 'verifier.ts'),
      searcher: join(threads, 'searcher.ts'),
      converter: join(root, 'packages/tools/src/web/converter.ts'),
    },
    outdir: dist,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    // A peer is what only some users install: it is loaded when it is configured.
    external: [...Object.keys(known), ...Object.keys(readManifest(manifestPath).peerDependencies ?? {})],
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
