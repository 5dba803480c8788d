import assert from 'node:assert/strict';
import { it } from 'node:test';
import { given, open, send } from '@perdure/testkit/spec';
import { fraction, retryAt } from './backoff.ts';
import { LIMITS } from './limits.ts';

const run = () => {
  const found = given(open(), send('one')).state.runs.get('r1');
  assert.ok(found);
  return found;
};

it('jitter is seeded: the same name gives the same fraction, and names spread', () => {
  assert.equal(fraction('a'), fraction('a'));
  const tenths = new Set<number>();
  for (let i = 0; i < 200; i += 1) {
    const at = fraction(`ses_${i}/r1t1#0`);
    assert.ok(at >= 0 && at < 1);
    tenths.add(Math.floor(at * 10));
  }
  assert.equal(tenths.size, 10);
});

it('a backoff is whole milliseconds, and never longer than its maximum', () => {
  for (let failures = 0; failures < LIMITS.attempts - 1; failures += 1) {
    const at = retryAt('now', failures, run(), 'seed', 7);
    assert.ok(at !== null && Number.isInteger(at) && at > 7 && at <= 7 + LIMITS.backoffMaxMs);
  }
});

it('Retry-After is a floor, not a ceiling', () => {
  const at = retryAt({ afterMs: 1 }, 3, run(), 'seed', 0);
  assert.ok(at !== null && at >= LIMITS.backoffBaseMs * 4);
});
