// `npm run check`: everything that can be said about the repository without running it.
//   npm run check                 all checks, in parallel
//   npm run check -- lint types   some of them
import { resolve } from 'node:path';
import { CHECKS, type Outcome } from './check/checks.ts';

const root = resolve(import.meta.dirname, '..');
const asked = process.argv.slice(2);
const names = asked.length === 0 ? Object.keys(CHECKS) : asked;
const unknown = names.filter((name) => CHECKS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(`no check named ${unknown.join(', ')}; there are: ${Object.keys(CHECKS).join(', ')}\n`);
  process.exit(1);
}

const passed = await Promise.all(names.map(runCheck));
const failed = passed.filter((ok) => !ok).length;
process.stdout.write(`${names.length - failed} checks ok, ${failed} failed\n`);
process.exitCode = failed > 0 ? 1 : 0;

async function runCheck(name: string): Promise<boolean> {
  const startedAt = performance.now();
  const outcome = await CHECKS[name]!(root).catch((error: unknown): Outcome => ({
    ok: false,
    detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
  }));
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`${outcome.ok ? 'ok    ' : 'failed'}  ${name}  ${seconds} s\n`);
  if (!outcome.ok) process.stdout.write(`${outcome.detail.trimEnd().replace(/^(?=.)/gm, '        ')}\n`);
  return outcome.ok;
}
