import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '../exit.ts';
import { ruleOf } from './policy.ts';

test('a rule is what its flags say, each of them', () => {
  const flags = {
    command: ['git status', 'npm test'],
    path: ['src/**'],
    host: ['*.example.com'],
    arg: ['to=*@example.com', '/deep/n~^[0-9]+$'],
    tainted: 'web,file',
    acts: 'egress',
    'max-usd': '0.5',
    for: '7d',
    reason: 'because',
  };
  assert.deepEqual(ruleOf('deny', 'shell', flags, 1_000), {
    decision: 'deny',
    tool: 'shell',
    command: ['git status', 'npm test'],
    paths: ['src/**'],
    hosts: ['*.example.com'],
    args: { to: { glob: '*@example.com' }, '/deep/n': { regex: '^[0-9]+$' } },
    tainted: ['web', 'file'],
    acts: ['egress'],
    maxNanoUsd: 500_000_000,
    expiresAt: 1_000 + 7 * 86_400_000,
    reason: 'because',
  });
  assert.deepEqual(ruleOf('ask', '*', { tainted: 'any' }, 0), { decision: 'ask', tool: '*', tainted: true });
  assert.deepEqual(ruleOf('allow', '*', { tainted: 'none' }, 0), { decision: 'allow', tool: '*', tainted: false });
});

test('what a flag cannot say is refused', () => {
  const wrong: [string, object][] = [
    ['perhaps', {}],
    ['deny', { arg: ['to'] }],
    ['deny', { tainted: 'rain' }],
    ['deny', { acts: 'fly' }],
    ['deny', { 'max-usd': 'much' }],
    ['deny', { for: '7 weeks' }],
  ];
  for (const [decision, flags] of wrong)
    assert.throws(
      () => ruleOf(decision, '*', flags as { [name: string]: string }, 0),
      UsageError,
      JSON.stringify(flags),
    );
});
