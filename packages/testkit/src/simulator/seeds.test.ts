import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDisk, keepEveryPromise } from '../../test/simulated.ts';
import { ACTIONS, FAULT_NAMES, simulate } from './index.ts';

test('every promise is kept in seeds 1 to 1,000, and every fault and act was among them', async () => {
  const coverage = await keepEveryPromise(1, 1_000);
  const never = [...FAULT_NAMES, ...ACTIONS].filter((what) => coverage.total(what) === 0);
  assert.deepEqual(never, [], 'what never happens proves nothing');
});

test('one seed is one schedule: the same seed has the same trace, another seed another', async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 25; seed += 1) {
    const [first, second] = [await simulate({ seed, createDisk }), await simulate({ seed, createDisk, trace: true })];
    assert.equal(first.hash, second.hash, `seed ${seed}`);
    assert.equal(first.events, second.events);
    hashes.add(first.hash);
  }
  assert.equal(hashes.size, 25);
});
