import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LIMITS } from '../../limits.ts';
import { filesBelow } from './watch.ts';

test('files are looked for up to their bound, and it is said when there are more', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-watch-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  mkdirSync(join(folder, 'a'));
  for (let n = 0; n < LIMITS.watchedFiles; n += 1) writeFileSync(join(folder, 'a', String(n)), '');
  const all = filesBelow(folder);
  assert.deepEqual([all.files.length, all.more], [LIMITS.watchedFiles, false]);
  writeFileSync(join(folder, 'one.more'), '');
  const { files, more } = filesBelow(folder);
  assert.deepEqual([files.length, more], [LIMITS.watchedFiles, true]);
  assert.deepEqual(filesBelow(join(folder, 'none')), { files: [], more: false });
});
