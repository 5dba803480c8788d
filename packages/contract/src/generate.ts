// Writes the generated artifacts of the contract; with `--check` it fails when one is stale.
//   node packages/contract/src/generate.ts [--check] [folder]
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { buildOpenApi } from './openapi.ts';
import { buildOpenRpc } from './openrpc.ts';

const DOCUMENTS = { 'openapi.json': buildOpenApi, 'openrpc.json': buildOpenRpc };

const args = process.argv.slice(2);
const folder = args.find((arg) => !arg.startsWith('-')) ?? resolve(import.meta.dirname, '..');
for (const [name, build] of Object.entries(DOCUMENTS)) {
  const path = join(folder, name);
  const text = `${JSON.stringify(build(), null, 2)}\n`;
  if (!args.includes('--check')) {
    writeFileSync(path, text);
    continue;
  }
  const kept = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (kept === text) continue;
  console.error(`${path} is stale: run node packages/contract/src/generate.ts`);
  process.exitCode = 1;
}
