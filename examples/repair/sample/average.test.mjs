import assert from 'node:assert/strict';
import { test } from 'node:test';
import { average } from './average.mjs';

void test('the average of 2, 4 and 6 is 4', () => {
  assert.equal(average([2, 4, 6]), 4);
});
