import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Explanation } from '@perdure/contract';
import { explained } from './explain.ts';

const explanation = (text: string): Explanation => ({
  run: 'r1',
  status: 'running',
  agent: 'clerk',
  model: 'b/two',
  passed: [{ model: 'a/one', code: 'overloaded' }],
  turns: 2,
  calls: 0,
  retries: 0,
  usage: { input: 1, cachedInput: 0, cacheWrite: 0, output: 1, reasoning: 0, source: 'provider' },
  cost: { nanoUsd: 0, price: null },
  causes: [{ code: 'ended', text }],
});

test('an explanation says once why a run is not on its first model', () => {
  const because = 'because a/one is overloaded';
  assert.match(explained('r1', explanation('It has completed.')), /model b\/two because a\/one is overloaded\n/);
  const said = explained('r1', explanation(`It waits for the answer of b/two (${because}).`));
  assert.equal(said.split(because).length, 2);
});
