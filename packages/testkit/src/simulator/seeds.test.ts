import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createThread } from '../../test/thread.ts';

const simulated = createThread();

test('every promise is kept in seeds 1 to 1,000, and every fault and act was among them', async () => {
  const never = await simulated.keepEveryPromise(1, 1_000);
  assert.deepEqual(never, [], 'what never happens proves nothing');
});

test('one seed is one schedule: the same seed has the same trace, another seed another', async () => {
  const hashes = new Set<string>();
  for (let seed = 1; seed <= 25; seed += 1) {
    const [first, second] = [await simulated.trace(seed, false), await simulated.trace(seed, true)];
    assert.deepEqual(first, second, `seed ${seed}`);
    hashes.add(first.hash);
  }
  assert.equal(hashes.size, 25);
});
