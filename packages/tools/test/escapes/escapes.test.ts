import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { describe, test } from 'node:test';
import { NOBODY, textOf, whyNoSandbox } from '../sandbox.ts';
import type { Outcome } from './attempt.ts';
import { ATTEMPTS } from './corpus.ts';

const skip = await whyNoSandbox();
const asRoot = process.getuid?.() === 0;
const AS_ROOT = asRoot ? false : 'NOT ROOT HERE, so no escape is tried as root';
const LEAST = 120;

async function attempts(user: { uid?: number; gid?: number }, ...args: string[]): Promise<Outcome[]> {
  const file = join(import.meta.dirname, 'attempt.ts');
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', file, ...args], {
    ...user,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, words] = await Promise.all([textOf(child.stdout), textOf(child.stderr), once(child, 'close')]);
  assert.equal(child.exitCode, 0, words);
  return out
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Outcome);
}

function escapesOf(outcomes: readonly Outcome[]): Outcome[] {
  const skipped = outcomes.filter((outcome) => outcome.skipped === true).length;
  if (skipped > 0) console.log(`${skipped} attempts need perl, which is not here: SKIPPED`);
  assert.ok(outcomes.length - skipped >= LEAST, `${outcomes.length - skipped} attempts were made`);
  const bombs = new Set(ATTEMPTS.flatMap(({ name, bomb }) => (bomb === true ? [name] : [])));
  return outcomes.filter(({ name, reached, succeeded }) => reached.length > 0 || (succeeded && !bombs.has(name)));
}

void describe('no attempt leaves the sandbox', { skip, concurrency: true }, () => {
  void test('as root', { skip: AS_ROOT }, async () => {
    assert.deepEqual(escapesOf(await attempts({})), []);
  });

  void test('as an ordinary user', async () => {
    assert.deepEqual(escapesOf(await attempts(asRoot ? { uid: NOBODY, gid: NOBODY } : {})), []);
  });

  void test('without the sandbox the same attempts succeed, and the judge sees each of them', async () => {
    const outcomes = await attempts(asRoot ? { uid: NOBODY, gid: NOBODY } : {}, 'bare');
    assert.ok(outcomes.length > 30);
    const unseen = outcomes.filter(({ reached, skipped }) => reached.length === 0 && skipped !== true);
    assert.deepEqual(unseen, []);
  });
});
