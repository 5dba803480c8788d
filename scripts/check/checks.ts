// The list of checks. Each takes the root of the repository and says ok, or what is wrong.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { listGenerators } from './generated.ts';
import { checkText } from './hygiene.ts';
import { checkFile, type Manifest, type Manifests } from './imports.ts';
import { checkLock } from './lock.ts';
import { checkManifests } from './manifests.ts';

export type Outcome = { readonly ok: boolean; readonly detail: string };
type Check = (root: string) => Promise<Outcome>;

const OUTPUT_MAX_BYTES = 16 * 1024 * 1024;
const TEXT_MAX_BYTES = 2 * 1024 * 1024;
const SOURCE = /\.(ts|tsx|mts|js|mjs)$/;

export const CHECKS: Readonly<Record<string, Check>> = {
  types: checkTypes,
  lint: async (root) =>
    tool(root, 'oxlint', ['--type-aware', '--report-unused-disable-directives', '--deny-warnings', '-f', 'unix']),
  format: async (root) => tool(root, 'oxfmt', ['--check']),
  imports: async (root) => {
    const manifests = readManifests(root);
    const sources = (await listFiles(root)).filter((path) => SOURCE.test(path));
    return outcome(sources.flatMap((path) => checkFile(path, readFileSync(join(root, path), 'utf8'), manifests)));
  },
  manifests: async (root) => outcome(checkManifests(readManifests(root))),
  lock: async (root) => outcome(checkLock(readFileSync(join(root, 'package-lock.json'), 'utf8'))),
  hygiene: async (root) => {
    const texts = (await listFiles(root)).flatMap((path) => {
      const bytes = readFileSync(join(root, path));
      return bytes.length > TEXT_MAX_BYTES || bytes.includes(0) ? [] : [{ path, text: bytes.toString('utf8') }];
    });
    return outcome(texts.flatMap(({ path, text }) => checkText(path, text)));
  },
  generated: async (root) => all(listGenerators(root).map((path) => exec(root, process.execPath, [path, '--check']))),
};

async function checkTypes(root: string): Promise<Outcome> {
  const packages = readdirSync(join(root, 'packages')).map((name) => join('packages', name));
  const own = packages.filter((path) => existsSync(join(root, path, 'tsconfig.json')) && hasSource(join(root, path)));
  return all(['.', ...own].map((path) => tool(root, 'typescript', ['-p', path, '--pretty', 'false'], 'tsc')));
}

function hasSource(path: string): boolean {
  const src = join(path, 'src');
  return existsSync(src) && readdirSync(src, { recursive: true }).some((name) => SOURCE.test(String(name)));
}

/** Runs the command of an installed package on this Node. */
async function tool(root: string, name: string, args: string[], command: string = name): Promise<Outcome> {
  const manifestPath = join(root, 'node_modules', name, 'package.json');
  const { bin } = createRequire(import.meta.url)(manifestPath) as { bin: Record<string, string> };
  const path = bin[command];
  if (path === undefined) return { ok: false, detail: `${name} has no command '${command}'` };
  return exec(root, process.execPath, [join(dirname(manifestPath), path), ...args]);
}

async function exec(root: string, command: string, args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: root, maxBuffer: OUTPUT_MAX_BYTES }, (error, stdout, stderr) => {
      const text = `${stdout}${stderr}`.trim();
      resolve({ ok: error === null, detail: text === '' ? (error?.message ?? '') : text });
    });
  });
}

async function all(outcomes: Promise<Outcome>[]): Promise<Outcome> {
  const failed = (await Promise.all(outcomes)).filter(({ ok }) => !ok);
  const lines = failed.flatMap(({ detail }) => detail.split('\n'));
  return { ok: failed.length === 0, detail: [...new Set(lines)].join('\n') };
}

function outcome(problems: readonly string[]): Outcome {
  return { ok: problems.length === 0, detail: problems.join('\n') };
}

/** Tracked files and new ones that are not ignored, as they are on disk. */
async function listFiles(root: string): Promise<string[]> {
  const { ok, detail } = await exec(root, 'git', ['ls-files', '--cached', '--others', '--exclude-standard']);
  if (!ok) throw new Error(`git ls-files failed: ${detail}`);
  return [...new Set(detail.split('\n'))].filter((path) => path !== '' && existsSync(join(root, path)));
}

function readManifests(root: string): Manifests {
  const read = (path: string): Manifest =>
    JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as Manifest;
  const folders = readdirSync(join(root, 'packages')).filter((name) =>
    existsSync(join(root, 'packages', name, 'package.json')),
  );
  const packages = folders.map((name) => [name, read(join('packages', name))] as const);
  return Object.fromEntries([['', read('.')] as const, ...packages]);
}
