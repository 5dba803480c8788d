import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLock, completeLock, missingFromLock } from './lock.ts';

const lock = {
  packages: {
    'packages/a': { version: '1.0.0' },
    'node_modules/a': { resolved: 'packages/a', link: true },
    'node_modules/tool': { version: '1.0.0', dev: true, optionalDependencies: { '@tool/linux-x64-musl': '1.0.0' } },
  },
};

test('a lock that names a download address is refused', () => {
  const named = { packages: { 'node_modules/b': { version: '1.0.0', resolved: 'https://host/b-1.0.0.tgz' } } };
  assert.match(checkLock(JSON.stringify(named)).join(), /downloaded/);
});

test('a link to a workspace is no download', () => {
  assert.deepEqual(checkLock(JSON.stringify({ packages: { 'node_modules/a': lock.packages['node_modules/a'] } })), []);
});

test('a lock without the binary of some platform is refused, and can be completed', () => {
  assert.match(checkLock(JSON.stringify(lock)).join(), /linux-x64-musl is missing/);
  const complete = completeLock(lock);
  assert.deepEqual(missingFromLock(complete), []);
  assert.deepEqual(complete.packages['node_modules/@tool/linux-x64-musl'], {
    version: '1.0.0',
    os: ['linux'],
    cpu: ['x64'],
    libc: ['musl'],
    dev: true,
    optional: true,
  });
});
