import assert from 'node:assert/strict';
import { test } from 'node:test';
import { budgetAt, isCapping } from './periods.ts';

test('a period is a day, a month, or all of time in UTC, and ends where the next one begins', () => {
  const hours = 7 * 60 * 60_000;
  for (let at = Date.UTC(1970, 0, 1); at < Date.UTC(2105, 0, 1); at += 11 * hours) {
    const date = new Date(at);
    const iso = date.toISOString();
    const { account, accounts } = budgetAt('tenant', {}, at);
    const [day, month, total] = accounts;
    assert.deepEqual(
      [account, day?.id, month?.id, total?.id],
      [`tenant@${iso.slice(0, 10)}`, `tenant@${iso.slice(0, 10)}`, `tenant@${iso.slice(0, 7)}`, 'tenant@total'],
    );
    assert.equal(day?.endsAt, Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 1), iso);
    assert.equal(month?.endsAt, Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1), iso);
    assert.equal(total?.endsAt, null);
  }
});

test('the last moment of a day is of that day, and the next one is not', () => {
  const midnight = Date.UTC(2028, 2, 1);
  const idAt = (at: number) => budgetAt('agent/desk', {}, at).account;
  assert.deepEqual([idAt(midnight - 1), idAt(midnight)], ['agent/desk@2028-02-29', 'agent/desk@2028-03-01']);
});

test('a budget without a cap is none; a cap of nothing is one', () => {
  assert.equal(isCapping(undefined), false);
  assert.equal(isCapping({ day: {}, total: {} }), false);
  assert.equal(isCapping({ month: { tokens: 0 } }), true);
});
