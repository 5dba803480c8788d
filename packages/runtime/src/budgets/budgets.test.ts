import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Budget } from '@perdure/engine';
import type { World as Base, WorldOptions } from '../../test/world.ts';
import { World } from '../../test/world.ts';
import { LIMITS } from '../limits.ts';
import { budgetAt } from './periods.ts';

const DAY_MS = 24 * 60 * 60_000;
/** Half a minute before the day is over, of a day in the middle of a month. */
const LATE = 1_893_456_000_000 + 20 * DAY_MS - 30_000;
const DAY = 'tenant@2030-01-20';

/** What one answer is billed with: less than any bound of it. */
const usage = { input: 10, output: 200 };
const COST = 210;
const options = (more: WorldOptions = {}): WorldOptions => ({
  script: () => ({ text: 'done', usage }),
  scripted: { maxOutputTokens: 2_000 },
  ...more,
});
const budgets = (tokens: number) => ({ host: { budgets: { day: { tokens } } } });

async function spent(world: Base, account: string): Promise<number> {
  const [row] = await world.log.accounts([account]);
  return row?.spent.tokens ?? 0;
}
const statusOf = async (world: Base, session: string) => (await world.run(session, 'r1')).status;
const waitOf = async (world: Base, session: string) =>
  (await world.call('waits.list', { session, limit: 100 })).waits[0];

describe('a budget of the tenant', () => {
  test('is drawn on by every session, and shows what is spent', async () => {
    const world = await World.create(options(budgets(100_000)));
    for (let at = 0; at < 3; at += 1) await world.open();
    await world.system.settle();
    const { budgets: shown } = await world.call('budgets.list', { limit: 10 });
    assert.deepEqual(
      shown.map(({ scope, source, periods }) => [scope, source, periods.map(({ spent: each }) => each.tokens)]),
      [['tenant', 'configuration', [3 * COST, 3 * COST, 3 * COST]]],
    );
    assert.deepEqual(shown[0]?.periods[0]?.cap, { tokens: 100_000 });
  });

  test('that is short parks a run, and says which account, what is needed, and when its period ends', async () => {
    const world = await World.create(options(budgets(1_000)));
    world.system.jump(LATE - world.system.clock.now());
    const { session } = await world.open('x'.repeat(2_000));
    assert.equal(await statusOf(world, session), 'waiting');
    const wait = await waitOf(world, session);
    assert.deepEqual([wait?.kind, wait?.shortage?.account, wait?.shortage?.limit], ['budget', DAY, 'tokens']);
    assert.equal(wait?.expiresAt, LATE + 30_000);
    assert.equal(world.model.calls.length, 0);
  });

  test('of a day lets the parked run go on when the next day begins', async () => {
    const world = await World.create(options(budgets(2_200)));
    world.system.jump(LATE - world.system.clock.now());
    const first = await world.open('x'.repeat(1_500));
    const second = await world.open('x'.repeat(1_000));
    const third = await world.open('x'.repeat(1_600));
    await world.system.settle();
    assert.deepEqual(await Promise.all([first, second, third].map(async ({ session }) => statusOf(world, session))), [
      'completed',
      'completed',
      'waiting',
    ]);
    await world.system.advance(31_000);
    assert.equal(await statusOf(world, third.session), 'completed');
    assert.deepEqual([await spent(world, DAY), await spent(world, 'tenant@2030-01-21')], [2 * COST, COST]);
    assert.equal(await spent(world, 'tenant@2030-01'), 3 * COST);
  });

  test('that was raised while nothing ran lets a parked run go on as soon as a process starts', async () => {
    const world = await World.create(options(budgets(100)));
    const { session } = await world.open();
    assert.equal(await statusOf(world, session), 'waiting');
    const next = await world.crash({ idle: true });
    await next.call('budgets.set', { scope: 'tenant', day: { tokens: 10_000 } });
    const later = await next.crash({ idle: false });
    assert.equal((await later.call('waits.list', { session, limit: 10 })).waits.length, 0, 'before anybody looks');
    assert.equal(await statusOf(later, session), 'completed');
  });

  test('lets the parked runs go on that it has room for when it is raised', async () => {
    const world = await World.create(options(budgets(100)));
    const opened = [await world.open(), await world.open(), await world.open()];
    const statuses = async () => Promise.all(opened.map(async ({ session }) => statusOf(world, session)));
    assert.deepEqual(await statuses(), ['waiting', 'waiting', 'waiting']);
    const raised = await world.call('budgets.set', { scope: 'tenant', day: { tokens: 3 * COST + 100 } });
    assert.deepEqual([raised.source, raised.revision, raised.periods[0]?.cap], ['document', 1, { tokens: 730 }]);
    await world.system.advance(10 * LIMITS.budgetLookMs);
    assert.deepEqual((await statuses()).toSorted(), ['completed', 'completed', 'waiting']);
    await world.call('budgets.set', { scope: 'tenant', day: null });
    assert.deepEqual(await statuses(), ['completed', 'completed', 'completed']);
  });

  test('lets a parked run go on when what others had reserved comes to less', async () => {
    let answer = (): void => {};
    const held = new Promise<void>((resolve) => (answer = resolve));
    const script = ({ n }: { n: number }) => ({ text: 'done', usage, ...(n === 0 ? { hold: held } : {}) });
    const world = await World.create(options({ script, ...budgets(3_500) }));
    const first = await world.open('x'.repeat(1_000));
    await world.model.called(0);
    const second = await world.open('x'.repeat(1_000));
    assert.equal(await statusOf(world, second.session), 'waiting');
    answer();
    assert.equal(await statusOf(world, first.session), 'completed');
    const { head } = await world.call('sessions.get', { session: second.session });
    await world.system.advance(2 * LIMITS.budgetLookMs);
    assert.equal(await statusOf(world, second.session), 'completed');
    assert.deepEqual((await world.kinds(second.session)).slice(head), [
      'wait.resolved',
      'turn.requested',
      'turn.settled',
      'run.ended',
    ]);
  });

  test('writes nothing to the log of a run that looks in vain', async () => {
    const world = await World.create(options(budgets(100)));
    const { session } = await world.open();
    await world.system.settle();
    const { head } = await world.call('sessions.get', { session });
    await world.system.advance(60 * LIMITS.budgetLookMs);
    assert.equal((await world.call('sessions.get', { session })).head, head);
  });

  test('finds again after a crash what is parked on it', async () => {
    const first = await World.create(options(budgets(100)));
    const { session } = await first.open();
    assert.equal(await statusOf(first, session), 'waiting');
    const second = await first.crash(options(budgets(100)));
    await second.call('budgets.set', { scope: 'tenant', day: { tokens: 90_000 } });
    assert.equal(await statusOf(second, session), 'completed');
  });

  test('is not drawn on again for what a crash lost: the attempt is charged, and the next one reserved anew', async () => {
    const first = await World.create(
      options({
        script: ({ n }) => ({ text: 'done', usage, ...(n === 0 ? { hold: new Promise(() => {}) } : {}) }),
        ...budgets(9_000),
      }),
    );
    const { session } = await first.open();
    await first.model.called(0);
    const [before] = await first.log.accounts([budgetAt('tenant', {}, first.system.clock.now()).account]);
    const second = await first.crash();
    assert.equal(await statusOf(second, session), 'completed');
    const [after] = await second.log.accounts([before?.id ?? '']);
    assert.deepEqual(after?.reserved, { tokens: 0, nanoUsd: 0 });
    assert.equal(after?.spent.tokens, (before?.reserved.tokens ?? 0) + COST);
  });

  test('is never overspent by 200 runs at once, and each of them ends or waits', async () => {
    const cap = 10_000;
    const world = await World.create(options(budgets(cap)));
    const opened = await Promise.all(Array.from({ length: 200 }, async () => world.open()));
    await world.system.advance(20 * LIMITS.budgetLookMs);
    const all = await Promise.all(opened.map(async ({ session }) => statusOf(world, session)));
    assert.deepEqual([...new Set(all)].toSorted(), ['completed', 'waiting']);
    const account = budgetAt('tenant', {}, world.system.clock.now()).account;
    const [row] = await world.log.accounts([account]);
    const done = all.filter((status) => status === 'completed').length;
    assert.equal(row?.spent.tokens, done * COST);
    assert.ok(done * COST <= cap && done * COST > cap - 600, `${done} runs of ${COST}`);
    assert.deepEqual(row?.reserved, { tokens: 0, nanoUsd: 0 });
    assert.equal(world.model.calls.length, done);
  });
});

describe('a budget of an agent or a session', () => {
  test('caps that one alone, below the tenant’s', async () => {
    const agent = { budgets: { total: { tokens: 100 } } };
    const world = await World.create(options({ agent, ...budgets(100_000) }));
    const { session } = await world.open();
    assert.equal((await waitOf(world, session))?.shortage?.account, 'agent/assistant@total');
    assert.equal((await waitOf(world, session))?.expiresAt, undefined);
    await world.call('budgets.set', { scope: 'agent', name: 'assistant', total: { tokens: 90_000 } });
    assert.equal(await statusOf(world, session), 'completed');
    await world.call('budgets.set', { scope: 'session', name: session, month: { nanoUsd: 100 } });
    const { run } = await world.call('runs.start', { session, input: 'again', mode: 'queue', priority: 0 });
    assert.equal((await world.run(session, run.id)).status, 'waiting');
    assert.match((await waitOf(world, session))?.shortage?.account ?? '', /^session\/ses_\w+@2030-01$/);
    const other = await world.open();
    assert.equal(await statusOf(world, other.session), 'completed');
    const { budgets: all } = await world.call('budgets.list', { limit: 10 });
    assert.deepEqual(
      all.map(({ scope, name }) => [scope, name]),
      [
        ['agent', 'assistant'],
        ['session', session],
        ['tenant', undefined],
      ],
    );
  });

  test('is changed by who has seen it, and refused where it names nobody', async () => {
    const world = await World.create(options());
    const set = { scope: 'tenant', day: { tokens: 5 } } as const;
    assert.equal((await world.call('budgets.set', { ...set, ifRevision: 0 })).revision, 1);
    assert.equal(await world.code('budgets.set', { ...set, ifRevision: 0 }), 'revision_conflict');
    assert.equal(await world.code('budgets.set', { scope: 'tenant', name: 'desk', day: null }), 'invalid_request');
    assert.equal(await world.code('budgets.set', { scope: 'agent', day: null }), 'invalid_request');
    assert.equal(await world.code('budgets.set', { scope: 'agent', name: 'No Such', day: null }), 'invalid_request');
    const name = `ses_${'0'.repeat(26)}`;
    assert.equal(await world.code('budgets.set', { scope: 'session', name, day: null }), 'not_found');
    const early = await world.call('budgets.set', { scope: 'agent', name: 'nosuch', day: { tokens: 5 } });
    assert.match(early.notices?.join() ?? '', /^no agent nosuch is defined here/);
    const known = await world.call('budgets.set', { scope: 'agent', name: 'assistant', day: { tokens: 5 } });
    assert.equal(known.notices, undefined);
    const kept = await world.call('budgets.set', { scope: 'tenant', day: { nanoUsd: 7 } });
    assert.deepEqual(kept.periods[0]?.cap, { tokens: 5, nanoUsd: 7 });
  });

  test('that was configured may be lifted by a document, and counts again when that lifts nothing', async () => {
    const world = await World.create(options(budgets(100)));
    await world.call('budgets.set', { scope: 'tenant', day: { tokens: null } });
    const { session } = await world.open();
    assert.equal(await statusOf(world, session), 'completed');
    assert.deepEqual((await world.call('budgets.list', { limit: 10 })).budgets, []);
  });
});

test('an answer to a wait raises no budget above the session: it says what does', async () => {
  const world = await World.create(options(budgets(100)));
  const { session } = await world.open();
  await world.system.settle();
  const refused = await world.refused('waits.resolve', { session, wait: 'w1', answer: { cap: { tokens: 9_000 } } });
  assert.equal(refused.code, 'invalid_request');
  assert.match(refused.message, /tenant@2030-01-\d\d is a budget above the session: raise it with budget set/);
  await world.call('waits.resolve', { session, wait: 'w1', answer: { decision: 'deny' } });
  assert.equal(await statusOf(world, session), 'limited');
});

test('what another process changes is obeyed within seconds, and at once where the account is open', async () => {
  const first = await World.create(options({ shared: true }));
  const second = await World.create(options({ beside: first, idle: true }));
  await second.host.parts.budgets.start();
  await second.call('budgets.set', { scope: 'tenant', day: { tokens: 100 } });
  await first.system.advance(LIMITS.budgetsReadMs + 1);
  const { session } = await first.open();
  assert.equal(await statusOf(first, session), 'waiting');
  await second.call('budgets.set', { scope: 'tenant', day: { tokens: 9_000 } });
  await first.system.advance(2 * LIMITS.budgetLookMs);
  assert.equal(await statusOf(first, session), 'completed');
  const [drawn] = first.host.parts.budgets.of(session, 'assistant', first.system.clock.now()) as Budget[];
  assert.equal(drawn?.accounts[0]?.id, drawn?.account);
});
