import assert from 'node:assert/strict';
import { it } from 'node:test';
import { located, mergeConfig, runConfig } from './config.ts';
import type { Config } from './values.ts';

it('what a run says goes before what its session says; limits and policies member by member', () => {
  const base = { model: 'a', effort: 'low', limits: { turns: 5 }, policies: { mode: 'ask' } } as const;
  assert.deepEqual(mergeConfig(base, { model: 'b', limits: { calls: 6 }, policies: { approvalTtlMs: 7 } }), {
    model: 'b',
    effort: 'low',
    limits: { turns: 5, calls: 6 },
    policies: { mode: 'ask', approvalTtlMs: 7 },
  });
  assert.deepEqual(mergeConfig(base, {}), base);
  assert.deepEqual(mergeConfig({}, base), base);
  assert.deepEqual(mergeConfig({}, {}), {});
});

it('rules of a run are added to those of its session, and lift none of them', () => {
  const deny = { decision: 'deny', tool: 'pay' } as const;
  const allow = { decision: 'allow', tool: '*' } as const;
  const session: Config = { policies: { mode: 'ask', rules: [deny] } };
  assert.deepEqual(runConfig(session, { policies: { mode: 'bypass', rules: [allow] } }), {
    policies: { mode: 'bypass', rules: [deny, allow] },
  });
  assert.deepEqual(runConfig({ model: 'a' }, { model: 'b' }), { model: 'b' });
});

it('instructions are where the entry is that brought them', () => {
  assert.deepEqual(located({ instructions: { digest: 'd', bytes: 1 } }, 9), {
    instructions: { digest: 'd', bytes: 1, seq: 9 },
  });
  assert.deepEqual(located({ model: 'a' }, 9), { model: 'a' });
});
