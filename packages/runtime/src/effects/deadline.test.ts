import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualSystem } from '@perdure/testkit';
import { bounded } from './deadline.ts';

const bounds = { timeoutMs: 100, graceMs: 10, signal: new AbortController().signal };
const after = async <T>(system: ReturnType<typeof createVirtualSystem>, ms: number, value: T): Promise<T> =>
  new Promise((resolve) => void system.timers.set(ms, () => resolve(value)));

test('work that comes back in time is its value, or what it threw', async () => {
  const system = createVirtualSystem();
  assert.deepEqual(await bounded(system.timers, bounds, async () => 7), { ended: 'value', value: 7 });
  const error = new Error('broken');
  assert.deepEqual(await bounded(system.timers, bounds, async () => Promise.reject(error)), { ended: 'thrown', error });
  const sync = bounded(system.timers, bounds, () => {
    throw error;
  });
  assert.deepEqual(await sync, { ended: 'thrown', error });
  assert.equal(system.timersSet, 0);
});

test('what somebody else has written may give its value at once, or as a promise of another make', async () => {
  const system = createVirtualSystem();
  // oxlint-disable-next-line unicorn/no-thenable -- that is what is meant
  const thenable = { then: (resolve: (value: number) => void) => resolve(7) };
  for (const given of [7, thenable])
    assert.deepEqual(await bounded(system.timers, bounds, () => given as never), { ended: 'value', value: 7 });
});

test('when the time is over its signal aborts, and what it then gives or throws within the grace is heard', async () => {
  const system = createVirtualSystem();
  const obeys = bounded(system.timers, bounds, async (signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    return String(signal.reason);
  });
  const throws = bounded(system.timers, bounds, async (signal) => {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    throw new Error('stopped');
  });
  await system.advance(100);
  assert.deepEqual(await obeys, { ended: 'value', value: 'timeout' });
  assert.deepEqual(await throws, { ended: 'timeout' });
  assert.equal(system.timersSet, 0);
});

test('what does not obey is given up after the grace; what it says later is nothing, and no rejection is left alone', async () => {
  const system = createVirtualSystem();
  const late = bounded(system.timers, bounds, async () => after(system, 500, 'late'));
  const fails = bounded(system.timers, bounds, async () => {
    await after(system, 500, 0);
    throw new Error('late');
  });
  await system.advance(109);
  let over = false;
  void late.then(() => (over = true));
  await system.settle();
  assert.equal(over, false);
  await system.advance(1);
  assert.deepEqual(await late, { ended: 'timeout' });
  assert.deepEqual(await fails, { ended: 'timeout' });
  await system.advance(1_000);
  assert.equal(system.timersSet, 0);
});

test('an abort from outside stops work that runs, and work that has not begun', async () => {
  const system = createVirtualSystem();
  const controller = new AbortController();
  const running = bounded(system.timers, { ...bounds, signal: controller.signal }, async () => new Promise(() => {}));
  controller.abort('drain');
  await system.advance(10);
  assert.deepEqual(await running, { ended: 'aborted' });
  const already = bounded(system.timers, { ...bounds, signal: controller.signal }, async ({ aborted, reason }) => [
    aborted,
    reason,
  ]);
  assert.deepEqual(await already, { ended: 'value', value: [true, 'drain'] });
  assert.equal(system.timersSet, 0);
});
