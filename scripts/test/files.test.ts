import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseFiles, type Kind } from './files.ts';

const found = [
  'packages/b/test/x.live.test.ts',
  'packages/b/test/x.test.ts',
  'packages/b/test/x.services.test.ts',
  'packages/a/src/live.test.ts',
];
const choose = (kind: Kind, ...wanted: string[]) => chooseFiles(found, { root: '/repository', kind, wanted });

test('a test that asks real providers, or starts services, runs only when such tests are asked for, and then alone', () => {
  assert.deepEqual(choose('plain'), ['packages/a/src/live.test.ts', 'packages/b/test/x.test.ts']);
  assert.deepEqual(choose('plain', 'packages/b'), ['packages/b/test/x.test.ts']);
  assert.deepEqual(choose('plain', 'packages/b/test/x.live.test.ts'), []);
  assert.deepEqual(choose('live'), ['packages/b/test/x.live.test.ts']);
  assert.deepEqual(choose('live', 'packages/a'), []);
  assert.deepEqual(choose('services'), ['packages/b/test/x.services.test.ts']);
});

test('files are named by a path from here or by a part of one', () => {
  assert.deepEqual(choose('plain', '/repository/packages/a', 'x.test'), choose('plain'));
});
