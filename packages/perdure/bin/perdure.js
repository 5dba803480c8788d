#!/usr/bin/env node
// The `perdure` command. It may be started by an old Node, so it only finds the right one and hands over.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findNode, missingNodeMessage, runNode } from './node-binary.js';

const bundled = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const source = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const node = findNode(import.meta.url);

if (node === undefined) {
  process.stderr.write(`perdure: ${missingNodeMessage()}\n`);
  process.exit(1);
}
// A clone may hold a `dist` from an earlier build; its source is what the reader means. The published package has no source.
const entry = [source, bundled].find((path) => existsSync(path));
if (entry === undefined) {
  process.stderr.write('perdure: this copy holds no program (neither dist/cli.js nor src/cli/main.ts)\n');
  process.exit(1);
}
runNode(node, [entry, ...process.argv.slice(2)]);
