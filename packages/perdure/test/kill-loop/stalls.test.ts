import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Entry } from '@perdure/contract';
import { answered, open, send, Spec } from '@perdure/testkit/spec';
import type { Hold } from './custody.ts';
import type { Disturbed } from './stalls.ts';
import { measureStalls } from './stalls.ts';

const LEASE_MS = 1_500;
const quiet: Disturbed = { deaths: new Map(), stored: [], unmanned: [], untimed: [] };
const hold = (life: number, at: number, until: number): Hold => ({ node: `node/${life}`, life, at, until });

/** One session that asks a model at 1,000 and has its answer at 9,000, ms of any clock. */
function stood(holds: readonly Hold[], disturbed: Partial<Disturbed> = {}) {
  const { log } = new Spec({ by: { kind: 'system', id: 'perform' } })
    .given(open(), send('one'), { pass: 8_000 })
    .given(answered('r1t1', []));
  const records = [{ id: 's', entries: log as unknown as Entry[] }];
  const { stuck, free, held } = measureStalls(records, { of: () => holds }, { ...quiet, ...disturbed }, LEASE_MS);
  return { stuck: stuck.map(({ life, at, ms }) => [life, at, ms]), free: free.longestMs, held: held.longestMs };
}

test('a session that nobody takes for longer than the lease and a second is stuck, whoever takes it then', () => {
  const { stuck, free } = stood([hold(1, 900, 1_200), hold(2, 8_990, 10_000)]);
  assert.deepEqual([stuck, free], [[[null, 1_200, 7_790]], 7_790]);
});

test('a session of which its holder hears nothing is stuck, and each death of one that had it counts by itself', () => {
  // What a loaded machine takes is measured in the same steps: of these alone nobody could be said to be stuck.
  assert.deepEqual(stood([hold(1, 900, 10_000)]).held, 8_000);
  const taken = [hold(1, 900, 1_100), hold(2, 3_500, 3_600), hold(3, 6_000, 6_100), hold(4, 8_500, 10_000)];
  const { stuck, free } = stood(taken);
  assert.deepEqual([stuck, free], [[], 2_400]);
});

test('the time in which nobody could have gone on is not counted', () => {
  const taken = [hold(1, 900, 1_200), hold(2, 8_990, 10_000)];
  const away = { stored: [{ at: 1_500, until: 5_000 }], unmanned: [{ at: 4_000, until: 7_000 }] };
  assert.deepEqual(stood(taken, away), { stuck: [], free: 2_290, held: 200 });
});
