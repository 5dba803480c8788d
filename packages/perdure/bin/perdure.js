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
// A clone may hold a `dist` from an earlier build; its source is what the reader means.
runNode(node, [existsSync(source) ? source : bundled, ...process.argv.slice(2)]);
