import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mode, Policies, PolicyRule } from '@perdure/engine';
import { matchesTool } from './patterns.ts';
import type { Ruling } from './policy.ts';
import { decisionOf, joinPolicies, judged, ruleOn as rule } from './policy.ts';

type Declared = { name: string } & Parameters<typeof judged>[1];
const ruleOn = ({ name, ...declared }: Declared, policies: Policies): Ruling =>
  rule(judged(name, declared, {}), { policies, filed: [], standing: { at: 0, taint: [], nanoUsd: 0 } });

const MODES: (Mode | undefined)[] = [undefined, 'ask', 'accept-edits', 'read-only', 'bypass'];
const CLASSES = ['pure', 'keyed', 'unsafe'] as const;
const APPROVALS = ['always', 'never'] as const;
const RULES: PolicyRule['decision'][] = ['deny', 'ask', 'allow'];

/** All subsets of the three rules, in both orders. */
const ruleSets: PolicyRule[][] = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((bits) => {
  const set = RULES.filter((_, index) => (bits & (1 << index)) !== 0).map((decision) => ({ decision, tool: 'pay' }));
  return [set, set.toReversed()];
});

test('the order of the design holds for every rule, mode, approval and class', () => {
  let checked = 0;
  for (const mode of MODES)
    for (const rules of ruleSets)
      for (const approval of APPROVALS)
        for (const [effect, edits] of CLASSES.flatMap((each) => [[each, false] as const, [each, true] as const])) {
          const has = (decision: PolicyRule['decision']): boolean => rules.some((rule) => rule.decision === decision);
          const { verdict } = ruleOn(
            { name: 'pay', effect, approval, edits },
            { ...(mode === undefined ? {} : { mode }), rules },
          );
          const asks = has('ask') || approval === 'always';
          const lifted = mode === 'bypass' || (mode === 'accept-edits' && edits && !has('ask'));
          const expected =
            has('deny') || (mode === 'read-only' && effect !== 'pure')
              ? 'deny'
              : asks && !has('allow') && !lifted
                ? 'ask'
                : 'allow';
          assert.equal(verdict, expected, JSON.stringify({ mode, rules, approval, effect, edits }));
          checked += 1;
        }
  assert.equal(checked, 5 * 16 * 2 * 6);
});

test('no mode and no grant lifts a denial', () => {
  for (const mode of MODES) {
    const rules: PolicyRule[] = [
      { decision: 'allow', tool: '*' },
      { decision: 'deny', tool: 'pay', reason: 'too dear' },
    ];
    const ruling = ruleOn(
      { name: 'pay', effect: 'pure', approval: 'never' },
      { ...(mode === undefined ? {} : { mode }), rules },
    );
    assert.deepEqual(ruling, { verdict: 'deny', rule: 'rule deny pay: too dear' });
  }
});

test('the mode accept-edits lets a tool for edits pass, but not where a rule asks, and no other tool', () => {
  const edit = { name: 'edit_file', effect: 'keyed', approval: 'always', edits: true } as const;
  const mode = 'accept-edits';
  assert.deepEqual(ruleOn(edit, { mode }), { verdict: 'allow', rule: 'mode accept-edits' });
  assert.equal(ruleOn(edit, { mode, rules: [{ decision: 'ask', tool: 'edit_*' }] }).verdict, 'ask');
  assert.equal(ruleOn({ ...edit, edits: false }, { mode }).verdict, 'ask');
});

test('a ruling says which rule decided', () => {
  const call = { name: 'pay', effect: 'unsafe', approval: 'always' } as const;
  assert.equal(ruleOn(call, {}).rule, 'the tool asks for approval');
  assert.equal(ruleOn(call, { mode: 'bypass' }).rule, 'mode bypass');
  assert.equal(ruleOn(call, { rules: [{ decision: 'allow', tool: 'p*' }] }).rule, 'rule allow p*');
});

test('a pattern stands for names as it says, and for no others', () => {
  const cases: [string, string, boolean][] = [
    ['pay', 'pay', true],
    ['pay', 'pays', false],
    ['*', '', true],
    ['p*', 'pay', true],
    ['p*', 'apay', false],
    ['*y', 'pay', true],
    ['p*y', 'py', true],
    ['p*p', 'p', false],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['*a*a', 'a', false],
    ['p.y', 'pay', false],
  ];
  for (const [pattern, name, expected] of cases)
    assert.equal(matchesTool(pattern, name), expected, `${pattern} ${name}`);
  const hostile = `${'a*'.repeat(2_000)}b`;
  assert.equal(matchesTool(hostile, 'a'.repeat(20_000)), false);
});

test('rules of several places add up: none of them is lost to another one', () => {
  const deny: PolicyRule = { decision: 'deny', tool: 'pay' };
  const allow: PolicyRule = { decision: 'allow', tool: 'pay' };
  const joined = joinPolicies({ mode: 'read-only', rules: [deny], approvalTtlMs: 5 }, undefined, {
    mode: 'bypass',
    rules: [allow],
  });
  assert.deepEqual(joined, { mode: 'bypass', rules: [deny, allow], approvalTtlMs: 5 });
  assert.deepEqual(joinPolicies({ rules: [deny] }, { rules: [] }), { rules: [deny] });
  assert.deepEqual(joinPolicies({}, undefined), {});
});

test('an approval may expire, at a time that the step has from its clock', () => {
  const ask = { verdict: 'ask', rule: 'r' } as const;
  assert.deepEqual(decisionOf(ask, {}, 100, null), { verdict: 'ask' });
  assert.deepEqual(decisionOf(ask, { approvalTtlMs: 50 }, 100, null), { verdict: 'ask', expiresAt: 150 });
  assert.deepEqual(decisionOf({ verdict: 'allow', rule: 'r' }, { approvalTtlMs: 50 }, 100, null), { verdict: 'allow' });
});
