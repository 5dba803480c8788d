import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualSystem } from '@perdure/testkit';
import { LIMITS } from '../limits.ts';
import { silentLogger } from '../logger.ts';
import type { GenerateOutcome } from '../ports.ts';
import { Breaker } from './breaker.ts';

const failed = (code: string): GenerateOutcome => ({
  type: 'failed',
  code,
  detail: '',
  retry: 'now',
  spent: { kind: 'none' },
});
const usage = { input: 1, cachedInput: 0, cacheWrite: 0, output: 1, reasoning: 0, source: 'provider' } as const;
const done: GenerateOutcome = { type: 'done', stop: 'end', text: '', reasoning: '', calls: [], usage, native: null };

function opened() {
  const system = createVirtualSystem();
  const breaker = new Breaker(system.clock, silentLogger);
  const fail = (times: number, code = 'overloaded'): void => {
    for (let n = 0; n < times; n += 1) breaker.heard('m', failed(code));
  };
  return { system, breaker, fail };
}

test('a breaker opens after failures in a row within its time, and says what they were', async () => {
  const { system, breaker, fail } = opened();
  fail(LIMITS.breakerFailures - 1);
  assert.equal(breaker.verdict('m'), null);
  await system.advance(LIMITS.breakerWithinMs);
  fail(LIMITS.breakerFailures - 1);
  assert.equal(breaker.verdict('m'), null, 'the first ones are too old');
  fail(1, 'timeout');
  assert.equal(breaker.verdict('m'), 'timeout');
  assert.equal(breaker.verdict('other'), null);
});

test('an answer in between begins the row anew', () => {
  const { breaker, fail } = opened();
  fail(LIMITS.breakerFailures - 1);
  breaker.heard('m', done);
  fail(LIMITS.breakerFailures - 1);
  assert.equal(breaker.verdict('m'), null);
});

test('a refusal of what was sent, or a call that was stopped, says nothing about the provider', () => {
  const { breaker, fail } = opened();
  for (const code of ['context_length', 'invalid_request', 'aborted', 'adapter_error', 'too_large'])
    fail(LIMITS.breakerFailures, code);
  assert.equal(breaker.verdict('m'), null);
});

test('after a while one request tries it: an answer closes it, a failure opens it again', async () => {
  const { system, breaker, fail } = opened();
  fail(LIMITS.breakerFailures);
  await system.advance(LIMITS.breakerOpenMs);
  assert.equal(breaker.verdict('m'), null);
  breaker.taken('m');
  assert.equal(breaker.verdict('m'), 'overloaded', 'the others wait for what comes of it');
  fail(1);
  assert.equal(breaker.verdict('m'), 'overloaded');
  await system.advance(LIMITS.breakerOpenMs);
  breaker.taken('m');
  breaker.heard('m', done);
  assert.equal(breaker.verdict('m'), null);
});

test('a trial that nobody hears of is given up', async () => {
  const { system, breaker, fail } = opened();
  fail(LIMITS.breakerFailures);
  await system.advance(LIMITS.breakerOpenMs);
  breaker.taken('m');
  await system.advance(LIMITS.breakerTryMs);
  assert.equal(breaker.verdict('m'), null);
});

test('it remembers a bounded number of models', () => {
  const { breaker } = opened();
  for (let n = 0; n < LIMITS.breakerFailures; n += 1) breaker.heard('m', failed('overloaded'));
  for (let n = 0; n <= LIMITS.breakerModels; n += 1) breaker.heard(`m${n}`, failed('overloaded'));
  assert.equal(breaker.verdict('m'), null);
});
