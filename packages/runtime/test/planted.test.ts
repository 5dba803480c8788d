import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plant } from './planted.ts';

test('no secret that is planted anywhere, in any of twelve encodings, is seen in what leaves a session', async () => {
  const { secrets, planted, placeholders } = await plant(1_000, 500, 7);
  assert.deepEqual([secrets, planted], [1_000, 12_000]);
  // They came by: each was there to be found.
  assert.ok(placeholders > planted / 2, String(placeholders));
});
