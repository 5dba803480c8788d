import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDisk } from '../../test/simulated.ts';
import type { Boundaries } from './index.ts';
import { ACTS, eachBoundary, eachPair, SCENARIOS } from './index.ts';

const check = ({ failures, runs }: Boundaries, least: number): void => {
  assert.deepEqual(
    failures.map(({ name, error }) => `${name}: ${error.stack}`),
    [],
  );
  assert.ok(runs >= least, `${runs} runs are too few to be all`);
};

for (const calls of SCENARIOS) {
  const names = calls.join(' and ');
  test(`a run that calls ${names} keeps every promise, whatever of ${ACTS.join(', ')} comes at whichever of its boundaries`, async () => {
    check(await eachBoundary(createDisk, calls), 100);
  });

  // Every pair: npm run simulate -- --boundaries
  for (const [first, acts, crashes] of [
    ['cancel', 3, 4],
    ['compact', 5, 7],
  ] as const) {
    test(`a run that calls ${names} keeps every promise with a ${first} at one of its boundaries and a crash at a later one`, async () => {
      check(await eachPair(createDisk, calls, first, { acts, crashes }), 25);
    });
  }
}
