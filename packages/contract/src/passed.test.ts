import assert from 'node:assert/strict';
import { test } from 'node:test';
import { becauseOf, passedOn } from './passed.ts';

test('why a model is not the first of its route is said of each one before it, in words', () => {
  assert.equal(becauseOf([]), '');
  const passed = passedOn(['a/one', 'b/two', 'c/three'], ['overloaded', 'breaker:auth']);
  assert.equal(
    becauseOf(passed),
    'because a/one is overloaded, and b/two refuses the key (its circuit breaker is open)',
  );
  assert.equal(
    becauseOf([{ model: 'a/one', code: 'unaffordable' }]),
    'because a/one costs more than the budget has left',
  );
});

test('a code that this build has no words for is told as it is', () => {
  assert.equal(becauseOf([{ model: 'a/one', code: 'tired' }]), 'because a/one failed (tired)');
});
