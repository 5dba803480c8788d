import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from './random.ts';
import { Scheduler } from './scheduler.ts';

async function play(scheduler: Scheduler): Promise<void> {
  while (await scheduler.turn());
}

test('time advances only when nothing is due, and then to what is due next', async () => {
  const scheduler = new Scheduler(new Prng('time'), 'uniform');
  const seen: string[] = [];
  const at = (name: string, delayMs: number): void => {
    scheduler.add('o', name, delayMs, () => seen.push(`${name}@${scheduler.nowMs}`));
  };
  at('c', 500);
  at('a', 0);
  at('b', 20);
  await play(scheduler);
  assert.deepEqual(seen, ['a@0', 'b@20', 'c@500']);
});

test('what can run by itself runs to its end before the next completion', async () => {
  const scheduler = new Scheduler(new Prng('drain'), 'first');
  const seen: string[] = [];
  scheduler.add('o', 'one', 0, () => {
    void (async (): Promise<void> => {
      for (let n = 0; n < 50; n += 1) await Promise.resolve();
      seen.push('all of one');
    })();
  });
  scheduler.add('o', 'two', 0, () => seen.push('two'));
  await play(scheduler);
  assert.deepEqual(seen, ['all of one', 'two']);
});

test('what is cancelled, and what belonged to an owner that is gone, never completes', async () => {
  const scheduler = new Scheduler(new Prng('gone'), 'uniform');
  const seen: string[] = [];
  scheduler.add('gone', 'lost', 10, () => seen.push('lost'));
  scheduler.add('here', 'kept', 10, () => seen.push('kept'));
  scheduler.add('here', 'cancelled', 5, () => seen.push('cancelled')).cancel();
  scheduler.drop('gone');
  await play(scheduler);
  assert.deepEqual(seen, ['kept']);
});

test('an owner that is paused completes nothing until it goes on', async () => {
  const scheduler = new Scheduler(new Prng('pause'), 'uniform');
  const seen: string[] = [];
  scheduler.add('stopped', 'late', 10, () => seen.push(`late@${scheduler.nowMs}`));
  scheduler.add('other', 'early', 50, () => seen.push(`early@${scheduler.nowMs}`));
  scheduler.pause('stopped', 1_000);
  await play(scheduler);
  assert.deepEqual(seen, ['early@50', 'late@1000']);
});

test('a seed draws the same numbers for ever, and a fork does not depend on what was drawn before it', () => {
  const draws = (random: Prng): number[] => Array.from({ length: 5 }, () => random.between(0, 999));
  const [one, two] = [new Prng('57'), new Prng('57')];
  const expected = draws(one.fork('model'));
  draws(two);
  assert.deepEqual(draws(two.fork('model')), expected);
  assert.notDeepEqual(draws(new Prng('58')), draws(new Prng('57')));
});
