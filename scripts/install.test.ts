import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { acquire, install, isInstalled } from './install.mjs';

function makeRoot(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'perdure-install-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  writeFileSync(join(root, 'package-lock.json'), '{}');
  return root;
}

test('an install happens once for one lock file, however many ask at the same time', async (t) => {
  const root = makeRoot(t);
  let installs = 0;
  const installer = async (): Promise<void> => {
    installs += 1;
    await new Promise((resolve) => setTimeout(resolve, 50));
    mkdirSync(join(root, 'node_modules'), { recursive: true });
  };
  await Promise.all([install(root, installer), install(root, installer), install(root, installer)]);
  await install(root, installer);
  assert.equal(installs, 1);
  assert.equal(existsSync(join(root, 'node_modules.lock')), false);
});

test('a changed lock file asks for a new install', async (t) => {
  const root = makeRoot(t);
  await install(root, async () => {});
  assert.equal(isInstalled(root), true);
  appendFileSync(join(root, 'package-lock.json'), '\n');
  assert.equal(isInstalled(root), false);
});

test('an install that fails leaves no marker and no lock', async (t) => {
  const root = makeRoot(t);
  const broken = async (): Promise<void> => Promise.reject(new Error('no network'));
  await assert.rejects(install(root, broken), /no network/);
  assert.equal(isInstalled(root), false);
  assert.equal(existsSync(join(root, 'node_modules.lock')), false);
});

test('the lock of a process that is gone is taken over', async (t) => {
  const path = join(makeRoot(t), 'node_modules.lock');
  writeFileSync(path, `99999999 ${hostname()} gone\n`);
  const release = await acquire(path, () => false);
  assert.notEqual(release, undefined);
  release?.();
  assert.equal(existsSync(path), false);
});

test('whoever waits for the lock stops when there is nothing left to do', async (t) => {
  const path = join(makeRoot(t), 'node_modules.lock');
  writeFileSync(path, `${process.pid} ${hostname()} busy\n`);
  assert.equal(await acquire(path, () => true), undefined);
});
