import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createThread } from '../../test/thread.ts';
import type { Bug } from './index.ts';
import { BUGS } from './index.ts';

const simulated = createThread();

/** Without the bug all of these keep every promise: what is caught here is the bug. */
const SEEDS_MAX = 1_000;

const EXPECTED: Readonly<Record<Bug, RegExp>> = {
  'early-ack': /\[P1\]|\[P5\]/,
  'early-effect': /\[P5\]/,
  'one-shot-recovery': /\[P7\]/,
  'stream-gap': /\[P8\]/,
  'approval-by-name': /\[P14\]/,
  'fork-runs-open-call': /\[F1, P5\]|\[P5\]/,
  'stale-snapshot': /\[P3\]|\[P4\]|\[P10\]/,
  'unsafe-repeated': /\[P6\]/,
  'budget-settled-twice': /\[P9\]/,
  'steer-lost': /\[P1\]/,
  'cut-stream-final': /\[P6\]/,
  'compaction-drops-question': /\[C4\]/,
  'stale-holder': /\[P6\]|\[P6, lease\]/,
  'job-thought-alive': /\[J1\]/,
  'budget-above-forgotten': /\[P9\]/,
  'budget-never-freed': /\[P7\]/,
  'answer-paid-twice': /\[T5\]/,
  'head-uncompared': /\[H2\]/,
  // An upload that was acknowledged is not there.
  'head-before-body': /\[H1\]|workspaces\.move .* was refused with invalid_request/,
  'move-forgotten': /\[H3\]/,
  'job-torn': /\[H2, jobs\]/,
  'job-kept-early': /\[J1, jobs\]/,
  'job-over-others': /\[H2, jobs\]/,
  'job-conflict-unsaid': /\[H2, said\]/,
  'job-untold': /\[S5\]/,
  'undo-of-others': /\[H2, undo\]|\[undo\]/,
  'grant-too-wide': /\[G1\]/,
  'grant-remembered': /\[G3\]/,
  'grant-for-ever': /\[G3\]/,
  'grant-before-answer': /\[G2\]/,
  'grant-of-others': /\[G1, P12\]|\[G1\]/,
};

for (const bug of Object.keys(BUGS) as Bug[]) {
  test(`a known bug is caught: ${BUGS[bug]}`, async (t) => {
    const caught = await simulated.caught(bug, SEEDS_MAX);
    assert.ok(caught, `${bug} was not caught in ${SEEDS_MAX} seeds`);
    t.diagnostic(`${bug} was caught by seed ${caught.seed}: ${caught.message.split('\n')[0]}`);
    assert.match(caught.message, EXPECTED[bug], 'by the promise that it breaks');
  });
}
