import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Params } from '@perdure/contract';
import type { Entry, PolicyRule } from '@perdure/engine';
import { World } from '../../test/world.ts';
import type { WorldOptions } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import { decodeFrame } from '../log/frame.ts';

const deny: PolicyRule = { decision: 'deny', tool: 'pay', args: { to: { glob: 'mallory*' } }, reason: 'not to them' };

/** A till, and what was paid out of it. */
function worldOf(...turns: { to: string }[][]): { paid: string[]; world: (more?: WorldOptions) => Promise<World> } {
  const paid: string[] = [];
  const pay = tool({
    name: 'pay',
    description: 'Pays.',
    input: { type: 'object', properties: { to: { type: 'string' } } },
    approval: 'always',
    run: (args) => {
      paid.push((args as { to: string }).to);
      return 'paid';
    },
  });
  const calls = turns.map((turn) => ({ calls: turn.map((args) => ({ name: 'pay', arguments: args })) }));
  const script = [...calls, { text: 'ok' }];
  return { paid, world: async (more = {}) => World.create({ tools: [pay], script, ...more }) };
}
type Wait = { id: string; digest?: string | undefined };
async function waits(world: World, session: string): Promise<Wait[]> {
  await world.system.settle();
  return (await world.call('waits.list', { session, limit: 9 })).waits;
}
async function approve(world: World, session: string, wait: Wait | undefined, more: object = {}): Promise<void> {
  assert.ok(wait, 'nothing waits');
  const answer = { decision: 'approve', digest: wait.digest ?? '', ...more } as Params<'waits.resolve'>['answer'];
  await world.call('waits.resolve', { session, wait: wait.id as `w${number}`, answer });
  await world.system.settle();
}
async function ends(world: World, session: string): Promise<Extract<Entry, { kind: 'call.settled' }>[]> {
  const frames = await world.log.read(session, { after: 0, limit: 100 });
  return frames
    .flatMap((frame) => decodeFrame(frame))
    .flatMap((entry) => (entry.kind === 'call.settled' ? [entry] : []));
}

test('a rule that denies is not lifted by an approval that was given before it was there', async () => {
  const { paid, world: create } = worldOf([{ to: 'alice' }, { to: 'mallory' }]);
  const world = await create();
  const { session } = await world.open();
  const [first, second] = await waits(world, session);
  // It is approved, and stands behind one that is not.
  await approve(world, session, second);
  await world.call('policies.add', { scope: 'tenant', rule: deny });
  await approve(world, session, first);
  assert.deepEqual(paid, ['alice']);
  const [, denied] = await ends(world, session);
  const rule = 'rule of tenant (revision 1) deny pay (to like mallory*): not to them';
  assert.deepEqual([denied?.data.outcome, denied?.data.code, denied?.data.rule], ['denied', 'policy', rule]);
  const policy = await world.host.parts.store.blobs.get(denied?.data.policy ?? '');
  assert.match(Buffer.from(policy ?? []).toString(), /not to them/);
  assert.ok(denied?.refs?.includes(denied.data.policy ?? ''), 'what stood in force is kept with the entry');
  const { messages } = await world.call('messages.list', { session, limit: 10 });
  const step = messages.flatMap(({ steps = [] }) => steps)[1];
  assert.deepEqual([step?.status, step?.code], ['denied', 'policy']);
  assert.match(String(step?.result), /Not run: .*not to them/);
  assert.equal((await world.run(session, 'r1')).status, 'completed');
});

test('a rule that denies is not lifted by an approval that comes after it', async () => {
  const { paid, world: create } = worldOf([{ to: 'mallory' }]);
  const world = await create();
  const { session } = await world.open();
  const [wait] = await waits(world, session);
  await world.call('policies.add', { scope: `session:${session}`, rule: deny });
  await approve(world, session, wait);
  assert.deepEqual(paid, []);
  assert.deepEqual(
    (await ends(world, session)).map(({ data }) => data.outcome),
    ['denied'],
  );
});

test('what another process files by then counts, where processes share the store', async () => {
  const { paid, world: create } = worldOf([{ to: 'mallory' }]);
  const world = await create({ shared: true });
  const { session } = await world.open();
  const [wait] = await waits(world, session);
  const beside = await create({ beside: world, idle: true });
  await beside.call('policies.add', { scope: 'agent:assistant', rule: deny });
  await approve(world, session, wait);
  assert.deepEqual(paid, []);
});

test('other rules than those that deny change nothing of what was approved', async () => {
  const { paid, world: create } = worldOf([{ to: 'mallory' }]);
  const world = await create();
  const { session } = await world.open();
  const [wait] = await waits(world, session);
  for (const rule of [
    { decision: 'ask', tool: '*' },
    { ...deny, tool: 'push' },
    { ...deny, args: { to: { glob: 'alice' } } },
    { ...deny, expiresAt: world.system.clock.now() + 1_000 },
  ] as PolicyRule[])
    await world.call('policies.add', { scope: 'tenant', rule });
  await world.system.advance(1_000);
  await approve(world, session, wait);
  assert.deepEqual(paid, ['mallory']);
});

test('what an approver makes of the arguments is denied as if the model had asked for it', async () => {
  const { paid, world: create } = worldOf([{ to: 'alice' }], [{ to: 'alice' }]);
  const world = await create({ agent: { policies: { rules: [deny] } } });
  const { session } = await world.open();
  const [first] = await waits(world, session);
  await approve(world, session, first, { arguments: { to: 'mallory' } });
  assert.deepEqual(paid, []);
  const [denied] = await ends(world, session);
  assert.deepEqual(
    [denied?.data.outcome, denied?.data.rule, denied?.data.policy],
    ['denied', 'rule deny pay (to like mallory*): not to them', undefined],
  );
  const [second] = await waits(world, session);
  await approve(world, session, second, { arguments: { to: 'bob' } });
  assert.deepEqual(paid, ['bob']);
});

test('a call that needed no approval and was held back is denied by what was filed meanwhile', async () => {
  const { paid, world: create } = worldOf([{ to: 'alice' }, { to: 'mallory' }]);
  const world = await create({ agent: { policies: { rules: [{ ...deny, decision: 'allow' }] } } });
  const { session } = await world.open();
  const [first] = await waits(world, session);
  await world.call('policies.add', { scope: 'tenant', rule: deny });
  await approve(world, session, first);
  assert.deepEqual(paid, ['alice']);
});

test('an approval of a call that its process dropped is looked at by the next one with the rules of then', async () => {
  const { paid, world: create } = worldOf([{ to: 'mallory' }]);
  const world = await create();
  const { session } = await world.open();
  const [wait] = await waits(world, session);
  await world.call('runs.hold', { session, run: 'r1' });
  await approve(world, session, wait);
  await world.call('policies.add', { scope: 'tenant', rule: deny });
  const next = await world.crash();
  await next.call('runs.release', { session, run: 'r1' });
  await next.system.settle();
  assert.deepEqual(paid, []);
  assert.deepEqual(
    (await ends(next, session)).map(({ data }) => data.outcome),
    ['denied'],
  );
});

test('where nothing was filed since it was ruled on, a call is not ruled on again', async () => {
  const { paid, world: create } = worldOf([{ to: 'alice' }], [{ to: 'bob' }]);
  const world = await create();
  await world.call('policies.add', { scope: 'tenant', rule: { decision: 'ask', tool: '*' } });
  const { session } = await world.open();
  const pay = world.host.parts.agents.get('assistant')?.tools.get('pay');
  assert.ok(pay);
  let looked = 0;
  Object.defineProperty(pay, 'names', {
    get: () => {
      looked += 1;
      return undefined;
    },
  });
  const [first] = await waits(world, session);
  looked = 0;
  await approve(world, session, first);
  assert.deepEqual([paid, looked], [['alice'], 0]);
  const [second] = await waits(world, session);
  looked = 0;
  await world.call('policies.add', { scope: 'tenant', rule: deny });
  await approve(world, session, second);
  assert.deepEqual([paid, looked], [['alice', 'bob'], 1]);
});

test('what a grant allowed does not run when it was revoked by then', async () => {
  for (const isRevoked of [true, false]) {
    const ran: string[] = [];
    const tools = ['pay', 'push'].map((name) =>
      tool({ name, description: name, input: { type: 'object' }, approval: 'always', run: () => `${ran.push(name)}` }),
    );
    const script = [['pay'], ['push', 'pay']].map((names) => ({
      calls: names.map((name) => ({ name, arguments: {} })),
    }));
    const world = await World.create({ tools, script: [...script, { text: 'ok' }] });
    const { session } = await world.open();
    const [first] = await waits(world, session);
    await approve(world, session, first, { grant: { scope: 'session' } });
    // The grant lets it go, and it stands behind a call that waits.
    const [second, ...more] = await waits(world, session);
    assert.deepEqual(more, []);
    const scope = `session:${session}`;
    const [grant] = (await world.call('policies.get', { scope })).grants;
    if (isRevoked) await world.call('policies.revoke', { scope, grant: grant?.id ?? '' });
    await approve(world, session, second);
    assert.deepEqual(ran, isRevoked ? ['pay', 'push'] : ['pay', 'push', 'pay']);
    const last = (await ends(world, session)).at(-1)?.data;
    assert.deepEqual([last?.outcome, last?.code ?? null], isRevoked ? ['denied', 'policy'] : ['done', null]);
    if (isRevoked) assert.equal(last?.rule, `grant ${scope}.${grant?.id} allowed it, and was revoked`);
  }
});
