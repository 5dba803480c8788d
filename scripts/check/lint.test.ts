// The linter's own rules, on files made for it: each ban of the design catches what it is for.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, test } from 'node:test';

const root = resolve(import.meta.dirname, '../..');
let folder = '';
let found = '';

const many = (count: number, line: string): string => `${line}\n`.repeat(count);

/** Each row: what is refused, where, the code, and the rule that says so. */
const REFUSED: readonly (readonly [string, string, string, string])[] = [
  ['Date in the engine', 'engine/src/date.ts', 'export const a = Date.now();', 'no-restricted-globals'],
  ['chance in the engine', 'engine/src/chance.ts', 'export const a = Math.random();', 'no-restricted-properties'],
  ['timers in the engine', 'engine/src/timer.ts', 'setTimeout(() => {}, 1);', 'no-restricted-globals'],
  ['fetch in the engine', 'engine/src/fetch.ts', "export const a = [fetch('x')];", 'no-restricted-globals'],
  ['the console in the engine', 'engine/src/console.ts', "console.log('x');", 'no-restricted-globals'],
  ['the process in the engine', 'engine/src/process.ts', 'export const a = process.pid;', 'no-restricted-globals'],
  ['crypto in the engine', 'engine/src/crypto.ts', 'export const a = crypto.randomUUID();', 'no-restricted-globals'],
  ['the global object in the engine', 'engine/src/global.ts', 'export const a = globalThis;', 'no-restricted-globals'],
  ['an async function in the engine', 'engine/src/async.ts', 'export const a = async () => 1;', 'no-async-await'],
  ['any in the engine', 'engine/src/any.ts', 'export const a = (b: any) => b;', 'no-explicit-any'],
  ['any in the contract', 'contract/src/any.ts', 'export const a = (b: any) => b;', 'no-explicit-any'],
  ['any in the runtime', 'runtime/src/any.ts', 'export const a = (b: any) => b;', 'no-explicit-any'],
  ['Date in the runtime', 'runtime/src/date.ts', 'export const a = new Date(1);', 'no-restricted-globals'],
  ['chance in the runtime', 'runtime/src/chance.ts', 'export const a = Math.random();', 'no-restricted-properties'],
  ['timers in the runtime', 'runtime/src/timer.ts', 'setInterval(() => {}, 1);', 'no-restricted-globals'],
  ['the process in the runtime', 'runtime/src/process.ts', 'export const a = process.env;', 'no-restricted-globals'],
  ['the clock in a store', 'stores/src/clock.ts', 'export const a = Date.now();', 'no-restricted-properties'],
  ['chance in a model', 'models/src/chance.ts', 'export const a = Math.random();', 'no-restricted-properties'],
  ['timers in a tool', 'tools/src/timer.ts', 'setImmediate(() => {});', 'no-restricted-globals'],
  ['a hidden timer in the gateway', 'gateway/src/timer.ts', 'AbortSignal.timeout(1);', 'no-restricted-properties'],
  ['the console in a package', 'gateway/src/console.ts', "console.log('x');", 'no-console'],
  ['a promise nobody awaits', 'tools/src/float.ts', 'export const a = async () => 1;\na();', 'no-floating-promises'],
  ['a loose comparison', 'tools/src/loose.ts', 'export const a = (b: string) => b == "x";', 'eqeqeq'],
  [
    'a switch that forgets a case',
    'tools/src/switch.ts',
    "export function a(b: 'x' | 'y') {\n  switch (b) {\n    case 'x':\n      return 1;\n  }\n  return 2;\n}",
    'switch-exhaustiveness-check',
  ],
  [
    'a function over 70 lines',
    'tools/src/long.ts',
    `export function a() {\n${many(70, '  b();')}}`,
    'max-lines-per-function',
  ],
  ['a file over 400 lines', 'tools/src/big.ts', many(401, 'b();'), 'max-lines'],
];

const ALLOWED: readonly (readonly [string, string])[] = [
  ['runtime/src/system.ts', 'export const a = () => [Date.now(), Math.random(), setTimeout(() => {}, 1)];'],
  ['runtime/src/any.test.ts', 'export const a = async () => Date.now();'],
  ['stores/src/date.ts', 'export const a = (at: number) => new Date(at).toISOString();'],
  ['tools/src/big.test.ts', `export function a() {\n${many(401, '  Date.now();')}}`],
  ['tools/src/named.test.ts', "import { test } from 'node:test';\ntest('x', async () => {});"],
];

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'perdure-lint-'));
  for (const file of ['.oxlintrc.json', 'tsconfig.json']) cpSync(join(root, file), join(folder, file));
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'), 'junction');
  for (const [path, code] of [...REFUSED.map(([, at, text]) => [at, text] as const), ...ALLOWED]) {
    mkdirSync(dirname(join(folder, 'packages', path)), { recursive: true });
    writeFileSync(join(folder, 'packages', path), `${code}\n`);
  }
  const command = join(root, 'node_modules/oxlint/bin/oxlint');
  found = spawnSync(process.execPath, [command, '--type-aware', '-f', 'unix'], {
    cwd: folder,
    encoding: 'utf8',
  }).stdout;
});

after(() => rmSync(folder, { recursive: true, force: true }));

for (const [what, path, , rule] of REFUSED) {
  test(`the linter refuses ${what}`, () => {
    const lines = found.split('\n').filter((line) => line.startsWith(`packages/${path}:`));
    assert.ok(
      lines.some((line) => line.includes(`(${rule})`)),
      `${rule} not among: ${lines.join('\n')}`,
    );
  });
}

for (const [path] of ALLOWED) {
  test(`the linter allows what stands in ${path}`, () => {
    assert.deepEqual(
      found.split('\n').filter((line) => line.startsWith(`packages/${path}:`)),
      [],
    );
  });
}
