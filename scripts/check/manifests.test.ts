import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from './imports.ts';
import { checkManifests } from './manifests.ts';

const store: Manifest = { name: '@perdure/stores', private: true, dependencies: { '@perdure/runtime': '0.1.0' } };

function assertRefused(folder: string, manifest: Manifest, answer: RegExp): void {
  const problems = checkManifests({ [folder]: manifest });
  assert.equal(problems.length, 1, problems.join('\n'));
  assert.match(problems[0] ?? '', answer);
}

test('a manifest within the table passes', () => {
  assert.deepEqual(checkManifests({ stores: store }), []);
});

test('a dependency outside the table is refused', () => {
  assertRefused('stores', { ...store, dependencies: { express: '1.0.0' } }, /not in the table/);
});

test('the testkit is a devDependency or nothing', () => {
  assertRefused('stores', { ...store, dependencies: { '@perdure/testkit': '0.1.0' } }, /not in the table/);
  assert.deepEqual(checkManifests({ stores: { ...store, devDependencies: { '@perdure/testkit': '0.1.0' } } }), []);
});

test('a version that is not exact is refused', () => {
  for (const version of ['^1.0.0', '~1.0.0', '1.x', 'latest', '*', 'git+ssh://host/x']) {
    assertRefused('stores', { ...store, devDependencies: { picomatch: version } }, /not pinned exactly/);
  }
});

test('two versions of one library are refused', () => {
  const tools: Manifest = { name: '@perdure/tools', private: true, dependencies: { zod: '4.0.1' } };
  const contract: Manifest = { name: '@perdure/contract', private: true, dependencies: { zod: '4.0.0' } };
  assert.match(checkManifests({ contract, tools }).join(), /differs/);
});

test('a package without a row in the table is refused', () => {
  assertRefused('extra', { name: '@perdure/extra', private: true }, /no row/);
});

test('an install script is refused', () => {
  assertRefused('stores', { ...store, scripts: { postinstall: 'true' } }, /install script/);
});

test('only perdure may be published', () => {
  assertRefused('stores', { name: '@perdure/stores' }, /only perdure/);
});
