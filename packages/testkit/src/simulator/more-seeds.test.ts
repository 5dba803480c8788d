// The second half of the seeds, in a file of its own: files run side by side.
import { test } from 'node:test';
import { createThread } from '../../test/thread.ts';

const simulated = createThread();

test('every promise is kept in seeds 1,001 to 2,000', async () => {
  await simulated.keepEveryPromise(1_001, 1_000);
});
