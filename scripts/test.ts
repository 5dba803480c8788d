// `npm test`: every test file of the repository on Node's own runner.
//   npm test                          all
//   npm test -- packages/engine       the files under a path, or whose path contains the text
//   npm test -- --name='a law'        the tests whose name matches the pattern
//   npm test -- --all                 name each test, not only each file
//   npm run test:live                 the tests that ask real providers, whose keys are in the environment or in .env
//   npm run test:services             the tests that start a database or another server, where its binaries are installed
// The last line is `N passed, N failed`, with `, N skipped` when there are any.
import { globSync, mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { run } from 'node:test';
import { parseArgs } from 'node:util';
import { chooseFiles, type Kind } from './test/files.ts';
import { Report } from './test/report.ts';

const PATTERNS = ['packages/**/src/**/*.test.ts', 'packages/**/test/**/*.test.ts', 'scripts/**/*.test.ts'];
const FILE_TIMEOUT_MS = 240_000;
/** Of a file whose tests wait for others: a provider, servers that are killed and come back. */
const FOREIGN_FILE_TIMEOUT_MS = 900_000;

const root = resolve(import.meta.dirname, '..');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', multiple: true, short: 't' },
    'test-name-pattern': { type: 'string', multiple: true },
    all: { type: 'boolean', default: false },
    timeout: { type: 'string' },
    live: { type: 'boolean', default: false },
    services: { type: 'boolean', default: false },
  },
});
const kind: Kind = values.live ? 'live' : values.services ? 'services' : 'plain';
// One file more than there are processors: many wait for a process, a disk or a port. Servers have theirs to themselves.
const spare = kind === 'plain' ? 1 : 0;
const names = [...(values.name ?? []), ...(values['test-name-pattern'] ?? [])];
const report = new Report({
  all: values.all || values.live,
  mayIdle: kind !== 'plain',
  filtered: names.length > 0,
  write: (text) => process.stdout.write(text),
  root,
});
const files = findFiles();
// Every test file is a process, and many start the command: what one has compiled serves the others.
const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
process.env['NODE_COMPILE_CACHE'] ??= compiled;

if (files.length === 0) {
  process.stderr.write(`no test file matches ${positionals.join(' ') || PATTERNS.join(' ')}\n`);
} else {
  const stream = run({
    files,
    cwd: root,
    concurrency: Math.max(2, Math.min(availableParallelism() + spare, 8)),
    timeout: Number(values.timeout ?? (kind === 'plain' ? FILE_TIMEOUT_MS : FOREIGN_FILE_TIMEOUT_MS)),
    ...(names.length > 0 ? { testNamePatterns: names.map((name) => new RegExp(name)) } : {}),
  });
  for await (const event of stream) report.take(event);
}
process.exitCode = report.end();
rmSync(compiled, { recursive: true, force: true });

function findFiles(): string[] {
  const found = globSync(PATTERNS, { cwd: root, exclude: (path) => /(^|\/)(node_modules|dist)(\/|$)/.test(path) });
  const chosen = chooseFiles(found, { root, kind, wanted: positionals });
  return chosen.map((file) => resolve(root, file));
}
