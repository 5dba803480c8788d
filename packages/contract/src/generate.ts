// Writes the generated artifact of the contract; with `--check` it fails when that is stale.
//   node packages/contract/src/generate.ts [--check] [path]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { buildOpenApi } from './openapi.ts';

const args = process.argv.slice(2);
const path = args.find((arg) => !arg.startsWith('-')) ?? resolve(import.meta.dirname, '../openapi.json');
const text = `${JSON.stringify(buildOpenApi(), null, 2)}\n`;
if (args.includes('--check')) {
  const kept = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (kept !== text) {
    console.error(`${path} is stale: run node packages/contract/src/generate.ts`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(path, text);
}
