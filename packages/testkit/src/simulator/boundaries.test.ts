import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createThread } from '../../test/thread.ts';
import type { Boundaries } from './index.ts';
import { ACTS, SCENARIOS } from './index.ts';

const simulated = createThread();

const check = ({ failures, runs }: Boundaries, least: number): void => {
  assert.deepEqual(
    failures.map(({ name, error }) => `${name}: ${error.stack}`),
    [],
  );
  assert.ok(runs >= least, `${runs} runs are too few to be all`);
};

/** What asks a person and changes files takes its time: here every third, the others by the script. */
const LONG = 'write_file';

for (const calls of SCENARIOS) {
  const isLong = calls.includes(LONG);
  const names = calls.join(' and ');
  test(`a run that calls ${names} keeps every promise, whatever of ${ACTS.join(', ')} comes at ${isLong ? 'every third' : 'whichever'} of its boundaries`, async () => {
    check(await simulated.eachBoundary(calls, isLong ? 3 : 1), 100);
  });

  // Every pair: npm run simulate -- --boundaries
  for (const [first, acts, crashes] of [
    ['cancel', 3, 4],
    ['compact', 5, 7],
  ] as const) {
    if (isLong && first === 'compact') continue;
    test(`a run that calls ${names} keeps every promise with a ${first} at one of its boundaries and a crash at a later one`, async () => {
      check(
        await simulated.eachPair(calls, first, isLong ? { acts: 3 * acts, crashes: 3 * crashes } : { acts, crashes }),
        25,
      );
    });
  }
}
