import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WaitView } from '@perdure/contract';
import { answerSchema } from '@perdure/contract';
import { answerOf, choicesOf, described } from './answers.ts';
import { UsageError } from './exit.ts';

const wait = (kind: WaitView['kind'], more: Partial<WaitView> = {}): WaitView => ({
  id: 'w1',
  session: 'ses_1',
  run: 'r1',
  kind,
  openedAt: 0,
  ...more,
});
const shortage = { account: 'ses_1', limit: 'tokens', needed: 9, free: 1 } as const;
const approval = wait('approval', { digest: 'd' });

test('each kind of wait takes its own words, and makes of them what the contract takes', () => {
  const cases = [
    [approval, 'approve', { decision: 'approve', digest: 'd' }],
    [approval, 'y', { decision: 'approve', digest: 'd' }],
    [approval, ' no ', { decision: 'deny', digest: 'd' }],
    [wait('question'), 'Blue, please', { answer: 'Blue, please' }],
    [wait('question', { choices: ['red', 'blue'] }), '2', { answer: 'blue' }],
    [wait('question', { choices: ['red', 'blue'] }), 'red', { answer: 'red' }],
    [wait('outcome'), 'retry', { outcome: 'retry' }],
    [wait('budget'), 'tokens=5000', { cap: { tokens: 5000 } }],
    [wait('budget'), 'usd=2.5', { cap: { nanoUsd: 2_500_000_000 } }],
    [wait('budget'), 'deny', { decision: 'deny' }],
    [wait('tool'), 'gone', { decision: 'gone' }],
  ] as const;
  for (const [open, said, answer] of cases) {
    assert.deepEqual(answerOf(open, said), answer);
    assert.ok(answerSchema.safeParse(answer).success);
  }
});

test('an approval carries the digest that was shown, and may carry a note and other arguments', () => {
  const answer = answerOf(approval, 'approve', { note: 'fine', arguments: '{"amount": 2}' });
  assert.deepEqual(answer, { decision: 'approve', digest: 'd', note: 'fine', arguments: { amount: 2 } });
});

test('words that a wait does not take are refused, and so is what would be ignored', () => {
  const refused: [WaitView, string, object?][] = [
    [approval, 'maybe'],
    [approval, 'deny', { arguments: '{}' }],
    [approval, 'approve', { arguments: '[1]' }],
    [approval, 'approve', { arguments: '{' }],
    [approval, 'approve', { content: 'x' }],
    [wait('question'), 'x', { note: 'y' }],
    [wait('outcome'), 'fine'],
    [wait('budget'), 'tokens=1.5'],
    [wait('budget'), 'more'],
    [wait('budget', { shortage: { ...shortage, account: 'tenant@2030-01-05' } }), 'tokens=5000'],
    [wait('tool'), ''],
    [wait('timer'), 'x'],
    [wait('callback'), 'x'],
  ];
  for (const [open, said, more] of refused)
    assert.throws(() => answerOf(open, said, more), UsageError, `${open.kind} ${said}`);
});

test('an approval is described by what would run', () => {
  const call = {
    id: 'r1t1c0',
    name: 'pay',
    arguments: { amount: 3 },
    class: 'unsafe' as const,
    attempt: 0,
    rule: 'mode ask',
  };
  assert.equal(described({ ...approval, call }), 'approve pay {"amount":3} (mode ask)');
});

test('a wait offers no answer that would be refused: what is above the session is raised by its own command', () => {
  const above = (account: string): string | null => choicesOf(wait('budget', { shortage: { ...shortage, account } }));
  assert.equal(above('ses_1'), 'tokens=N, usd=N or deny');
  assert.equal(above('tenant@2030-01-05'), 'deny; or raise it: perdure budget set --day CAP');
  assert.equal(above('agent/desk@2030-01'), 'deny; or raise it: perdure budget set --agent desk --month CAP');
  assert.equal(above('session/ses_1@total'), 'deny; or raise it: perdure budget set --session ses_1 --total CAP');
  assert.equal(choicesOf(approval), 'approve or deny');
  assert.equal(choicesOf({ ...approval, offer: { decision: 'allow', tool: 'x' } }), 'approve, deny or always');
});
