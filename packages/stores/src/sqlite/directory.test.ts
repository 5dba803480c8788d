import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { StoreError } from '../errors.ts';
import { makeDirectory } from './directory.ts';

test('a folder is made with what is missing above it, and made again without harm', (t) => {
  const root = mkdtempSync(join(tmpdir(), 'perdure-directory-'));
  t.after(() => rmSync(root, { recursive: true }));
  makeDirectory(join(root, 'a/b/c'));
  makeDirectory(join(root, 'a/b/c'));
  assert.ok(existsSync(join(root, 'a/b/c')));
});

test('where no folder can be made the answer is an error, not an endless try', (t) => {
  if (process.platform !== 'linux') return t.skip('needs /proc');
  assert.throws(
    () => makeDirectory('/proc/nope/data'),
    (error) => error instanceof StoreError && error.code === 'unavailable' && error.message.includes('/proc/nope'),
  );
});
