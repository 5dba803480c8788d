// Starts every script of the repository: installs what package-lock.json asks for, finds the pinned Node, hands over.
// Plain JavaScript for Node 18 and newer, without dependencies: it runs before anything is installed.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findNode, missingNodeMessage, runNode } from '../packages/perdure/bin/node-binary.js';
import { install } from './install.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** What each npm script runs: an entry and the arguments that come before the caller's own. */
const ENTRIES = new Map([
  ['start', ['packages/perdure/src/cli/main.ts', 'up']],
  ['perdure', ['packages/perdure/src/cli/main.ts']],
  ['test', ['scripts/test.ts']],
  ['test:live', ['scripts/test.ts', '--live']],
  ['test:services', ['scripts/test.ts', '--services']],
  ['check', ['scripts/check.ts']],
  ['format', ['scripts/format.ts']],
  ['lint', ['scripts/check.ts', 'lint']],
  ['types', ['scripts/check.ts', 'types']],
  ['simulate', ['scripts/simulate.ts']],
  ['bench', ['bench/main.ts']],
  ['torture', ['scripts/torture.ts']],
  ['golden', ['scripts/golden.ts']],
  ['docs', ['packages/perdure/scripts/reference.ts']],
]);

const [name = '', ...rest] = process.argv.slice(2);
const [entry, ...first] = ENTRIES.get(name) ?? [];
if (entry === undefined) fail(`unknown script '${name}'; there are: ${[...ENTRIES.keys()].join(', ')}`);
const file = join(root, entry);
if (!existsSync(file)) fail(`'${name}' does not exist yet (${entry})`);

try {
  await install(root);
} catch (error) {
  fail(error instanceof Error ? error.message : String(error));
}
const node = findNode(import.meta.url);
if (node === undefined) fail(missingNodeMessage());
runNode(node, [file, ...first, ...rest]);

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  process.stderr.write(`perdure: ${message}\n`);
  process.exit(1);
}
