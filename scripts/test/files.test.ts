import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseFiles } from './files.ts';

const found = ['packages/b/test/x.live.test.ts', 'packages/b/test/x.test.ts', 'packages/a/src/live.test.ts'];
const choose = (live: boolean, ...wanted: string[]) => chooseFiles(found, { root: '/repository', live, wanted });

test('a test that asks real providers runs only when such tests are asked for, and then alone', () => {
  assert.deepEqual(choose(false), ['packages/a/src/live.test.ts', 'packages/b/test/x.test.ts']);
  assert.deepEqual(choose(false, 'packages/b'), ['packages/b/test/x.test.ts']);
  assert.deepEqual(choose(false, 'packages/b/test/x.live.test.ts'), []);
  assert.deepEqual(choose(true), ['packages/b/test/x.live.test.ts']);
  assert.deepEqual(choose(true, 'packages/a'), []);
});

test('files are named by a path from here or by a part of one', () => {
  assert.deepEqual(choose(false, '/repository/packages/a', 'x.test'), choose(false));
});
