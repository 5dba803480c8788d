// Holds each import of a source file against the import table.
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { findInCode, listImports, type Import } from './source.ts';
import { TABLE, TESTKIT_DOORS, TESTS, TOOLING, type Row } from './table.ts';

export type Manifest = {
  readonly name: string;
  readonly version?: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
};
/** The manifests by folder name; the one of the root under the empty name. */
export type Manifests = Readonly<Record<string, Manifest>>;

const SCOPE = '@perdure/';

/** The problems of one source file; `path` is relative to the root and written with slashes. */
export function checkFile(path: string, source: string, manifests: Manifests): string[] {
  const [top, name = ''] = path.split('/');
  const row = TABLE[name];
  if (top !== 'packages' || row === undefined) return [];
  const problems = listImports(source).flatMap((found) => {
    const problem = checkImport(path, name, row, found, manifests);
    return problem === undefined ? [] : [`${path}:${found.line} ${problem}`];
  });
  const bans = findBans(path, name, source);
  return [...problems, ...bans];
}

function checkImport(path: string, name: string, row: Row, found: Import, manifests: Manifests): string | undefined {
  const { specifier } = found;
  const loose = TESTS.test(path) || TOOLING.test(path);
  if (specifier.startsWith('.')) return checkRelative(path, name, specifier);
  if (specifier.startsWith('node:')) return loose ? undefined : checkNode(path, name, row, found);
  if (isBuiltin(specifier)) return `imports '${specifier}': write 'node:${specifier}'`;
  const target = packageOf(specifier);
  if (target.startsWith(SCOPE) || target === 'perdure') {
    return checkWorkspace(path, name, row, found, manifests, loose);
  }
  if (loose) return checkListed(name, target, manifests, ['dependencies', 'devDependencies']);
  if (row.libraries.includes(target)) return checkListed(name, target, manifests, ['dependencies', 'peerDependencies']);
  if (!row.typeOnly.includes(target)) return `imports '${target}', which is not in the table for ${name}`;
  if (!found.typeOnly) return `imports '${target}' at run time: only 'import type' is allowed`;
  return checkListed(name, target, manifests, ['dependencies', 'devDependencies', 'peerDependencies']);
}

function checkRelative(path: string, name: string, specifier: string): string | undefined {
  const target = posix.join(posix.dirname(path), specifier);
  if (!target.startsWith(`packages/${name}/`)) return `reaches out of its package with '${specifier}'`;
  if (!TESTS.test(path) && TESTS.test(target)) return `imports the test '${specifier}'`;
  return undefined;
}

function checkNode(path: string, name: string, row: Row, found: Import): string | undefined {
  const { specifier } = found;
  if (row.node === 'none') return `imports '${specifier}': ${name} does without Node`;
  if (row.free.some((file) => path === `packages/${name}/src/${file}`)) return undefined;
  if (row.node.except.includes(specifier)) return `imports '${specifier}', which ${name} may not: use a port`;
  const banned = row.bannedNames[specifier] ?? [];
  const taken = found.names.find((word) => banned.includes(word) || (word === '*' && banned.length > 0));
  if (taken === undefined || found.typeOnly) return undefined;
  return `imports ${taken} of '${specifier}', which ${name} may not: name what it needs, use a port for the rest`;
}

function checkWorkspace(
  path: string,
  name: string,
  row: Row,
  found: Import,
  manifests: Manifests,
  loose: boolean,
): string | undefined {
  const { specifier } = found;
  const target = packageOf(specifier);
  const folder = target === 'perdure' ? target : target.slice(SCOPE.length);
  const manifest = manifests[folder];
  if (manifest === undefined) return `imports '${target}', which does not exist`;
  const door = `.${specifier.slice(target.length)}`;
  if (manifest.exports?.[door] === undefined) return `imports '${specifier}', which ${target} does not export`;
  if (loose) return undefined;
  if (folder === name) return `imports itself by name ('${specifier}'): use a relative path`;
  if (folder === 'testkit' && TESTKIT_DOORS.includes(path)) return undefined;
  if (row.workspace.includes(folder)) return checkListed(name, target, manifests, ['dependencies']);
  if (!row.typeOnly.includes(folder)) return `imports '${target}', which is not in the table for ${name}`;
  if (!found.typeOnly) return `imports '${target}' at run time: only 'import type' is allowed`;
  return checkListed(name, target, manifests, ['dependencies', 'devDependencies']);
}

type Section = 'dependencies' | 'devDependencies' | 'peerDependencies';

function checkListed(name: string, target: string, manifests: Manifests, sections: Section[]): string | undefined {
  const listed = (manifest: Manifest | undefined): boolean =>
    sections.some((section) => manifest?.[section]?.[target] !== undefined);
  if (listed(manifests[name]) || (sections.includes('devDependencies') && listed(manifests['']))) return undefined;
  return `imports '${target}', which package.json does not list in ${sections.join(' or ')}`;
}

/** What the linter cannot say. */
function findBans(path: string, name: string, source: string): string[] {
  const at = (lines: number[], text: string): string[] => lines.map((line) => `${path}:${line} ${text}`);
  const problems = at(findInCode(source, /\bexport\s*\*/g), `exports everything: list the names`);
  if (TESTS.test(path) || TOOLING.test(path)) return problems;
  if (name === 'engine')
    problems.push(...at(findInCode(source, /(?<![.\w$])await\b/g), 'awaits: the engine is synchronous'));
  if (['stores', 'models', 'tools', 'drivers', 'gateway'].includes(name)) {
    const clock = findInCode(source, /\bnew\s+Date\s*(\(\s*\)|(?![\s(]))|(?<!new\s+)(?<![.\w$])Date\s*\(/g);
    problems.push(...at(clock, 'reads the clock: time comes through a port'));
  }
  return problems;
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
