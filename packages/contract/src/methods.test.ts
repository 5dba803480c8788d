import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHANNELS } from './channels.ts';
import { METHODS, pathParams } from './methods.ts';
import type { Params, Result } from './methods.ts';

// Held at compile time: what the runtime is given and must give back.
const started: Params<'runs.start'> = { session: 's', input: 'hi', mode: 'queue', priority: 0 };
const receipt: Result<'waits.resolve'> = { seq: 1, run: 'r1', wait: 'w1' };

test('each name in a path is a parameter, and no two rows share verb and path but for a stream beside its list', () => {
  assert.ok(started && receipt);
  const seen = new Set<string>();
  for (const [name, row] of [...Object.entries(METHODS), ...Object.entries(CHANNELS)]) {
    for (const param of pathParams(row.path)) assert.ok(param in row.params.shape, `${name}: ${param}`);
    const route = `${row.verb} ${row.path}`;
    if (name !== 'events.stream') assert.ok(!seen.has(route), route);
    seen.add(route);
  }
});

test('a parameter that is the whole body is one of the parameters, alone beside the path', () => {
  for (const [name, row] of Object.entries(METHODS)) {
    if (!('body' in row)) continue;
    const inPath = pathParams(row.path);
    const rest = Object.keys(row.params.shape).filter((key) => !inPath.includes(key));
    assert.deepEqual(rest, [row.body], name);
  }
});

const SES = `ses_${'a'.repeat(26)}`;

test('unknown members are refused with their path', () => {
  const parsed = METHODS['runs.start'].params.safeParse({
    session: SES,
    input: [{ type: 'text', text: 'x' }],
    config: { limits: { turn: 3 } },
  });
  assert.ok(!parsed.success);
  assert.deepEqual(
    parsed.error.issues.map((issue) => [issue.code, issue.path]),
    [['unrecognized_keys', ['config', 'limits']]],
  );
});

test('each answer of the design is taken, and a mixture is not', () => {
  const fits = (answer: unknown) =>
    METHODS['waits.resolve'].params.safeParse({ session: SES, wait: 'w1', answer }).success;
  const answers = [
    { decision: 'approve', digest: 'd', arguments: { a: 1 }, note: 'n' },
    { decision: 'deny', digest: 'd' },
    { answer: 'blue' },
    { outcome: 'done', content: 'paid' },
    { outcome: 'retry', note: 'safe' },
    { cap: { nanoUsd: 5 } },
    { decision: 'deny' },
    { decision: 'back' },
  ];
  for (const answer of answers) assert.ok(fits(answer), JSON.stringify(answer));
  for (const answer of [{}, { decision: 'approve' }, { answer: 'x', outcome: 'done' }, { cap: {} }, { cap: 3 }]) {
    assert.ok(!fits(answer), JSON.stringify(answer));
  }
});

test('timeoutMs without wait is refused, not ignored', () => {
  const { params } = METHODS['runs.create'];
  assert.ok(params.safeParse({ input: 'x', wait: true, timeoutMs: 5 }).success);
  assert.ok(!params.safeParse({ input: 'x', timeoutMs: 5 }).success);
});
