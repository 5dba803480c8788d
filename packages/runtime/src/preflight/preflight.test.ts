import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyRule } from '@perdure/engine';
import { createScriptedModel } from '@perdure/testkit';
import { World } from '../../test/world.ts';
import type { WorldOptions } from '../../test/world.ts';
import type { AgentOptions } from '../definitions/agents.ts';
import type { ToolOptions } from '../definitions/tool.ts';
import { agent, Agents } from '../definitions/agents.ts';
import { tool } from '../definitions/tool.ts';
import type { ModelSource } from '../ports.ts';
import { count, noCounts, preflight } from './preflight.ts';
import type { PreflightOptions, SessionPreflight } from './preflight.ts';

const never = new Promise<never>(() => {});
const pay = (over: Partial<ToolOptions<unknown>> = {}) =>
  tool({
    name: 'pay',
    description: 'Pays.',
    input: { type: 'object', properties: { to: { type: 'string' } } },
    effect: 'unsafe',
    approval: 'always',
    run: () => assert.fail('a tool was called'),
    ...over,
  });

const asksToPay: WorldOptions = { script: [{ calls: [{ name: 'pay', arguments: { to: 'a' } }] }], tools: [pay()] };

type Now = Partial<AgentOptions> & { models?: ModelSource; options?: Partial<PreflightOptions> };

/** What would be met with the agent as it is now. */
async function look(world: World, now: Now = {}): Promise<SessionPreflight[]> {
  const { models = world.model.source, options, ...over } = now;
  const definition = agent({ name: 'assistant', model: 'scripted', tools: [pay()], ...over });
  const found: SessionPreflight[] = [];
  const { store } = world.host.parts;
  const agents = new Agents([definition], models);
  for await (const one of preflight({ now: 0, store, agents, models, ...options })) found.push(one);
  return found;
}

async function parked(options: WorldOptions = asksToPay): Promise<{ world: World; session: string }> {
  const world = await World.create(options);
  const { session } = await world.open('one');
  await world.system.settle();
  return { world, session };
}

const codes = ([one]: SessionPreflight[]): string[] => one?.findings.map(({ code }) => code) ?? [];

test('an unfinished session that nothing changed for is unchanged; a finished one is not looked at', async () => {
  const { world, session } = await parked();
  const idle = await World.create({ script: () => ({ text: 'ok' }) });
  await idle.open('one');
  await idle.system.settle();
  assert.deepEqual(await look(idle), []);
  const [one, ...others] = await look(world);
  assert.deepEqual(one, { session, agent: 'assistant', status: 'waiting', verdict: 'unchanged', findings: [] });
  assert.deepEqual(others, []);
});

test('nothing is called and nothing is written', async () => {
  const { world, session } = await parked();
  const before = JSON.stringify(await world.log.get(session));
  const calls = world.model.calls.length;
  await look(world, { instructions: 'other', tools: [] });
  assert.equal(JSON.stringify(await world.log.get(session)), before);
  assert.equal(world.model.calls.length, calls);
});

test('a run that is pinned to another version says in what, and is no cause for worry', async () => {
  const { world } = await parked();
  const found = await look(world, {
    instructions: 'Be brief.',
    tools: [pay({ description: 'Pays well.', timeoutMs: 1_000 }), tool({ ...pay(), name: 'refund' })],
    limits: { turns: 7 },
  });
  assert.equal(found[0]?.verdict, 'changed');
  assert.deepEqual(found[0]?.findings[0]?.changes, [
    'instructions',
    'tool pay: description, timeoutMs 60000 → 1000',
    'tool refund: new',
    'limits: turns none → 7',
  ]);
});

test('how an agent is described to people changes nothing', async () => {
  const { world } = await parked();
  assert.equal((await look(world, { description: 'pays things' }))[0]?.verdict, 'unchanged');
});

test('a tool that an open call needs and that is gone, or is of another class, is told', async () => {
  const { world } = await parked();
  const gone = await look(world, { tools: [] });
  assert.deepEqual(codes(gone), ['pin_changed', 'tool_gone']);
  assert.equal(gone[0]?.verdict, 'attention');
  assert.partialDeepStrictEqual(gone[0]?.findings[1], { run: 'r1', call: 'r1t1c0', tool: 'pay' });
  const classed = await look(world, { tools: [pay({ effect: 'keyed' })] });
  assert.deepEqual(codes(classed), ['pin_changed', 'tool_class']);
  assert.match(classed[0]?.findings[1]?.text ?? '', /unsafe.*keyed/);
});

test('another schema is told, and whether the arguments that were recorded fit it', async () => {
  const { world } = await parked();
  const wider = { type: 'object', properties: { to: { type: 'string' }, note: { type: 'string' } } };
  const fits = await look(world, { tools: [pay({ input: wider })] });
  assert.deepEqual(codes(fits), ['pin_changed', 'tool_schema']);
  assert.match(fits[0]?.findings[1]?.text ?? '', /arguments fit/);
  const narrow = { type: 'object', properties: { to: { type: 'integer' } } };
  const unfit = await look(world, { tools: [pay({ input: narrow })] });
  assert.match(unfit[0]?.findings[1]?.text ?? '', /do not fit: arguments\/to must be integer/);
});

test('an approval that would be decided otherwise now is told, with the rule', async () => {
  const { world } = await parked();
  const allowed = await look(world, { policies: { mode: 'bypass' } });
  assert.deepEqual(codes(allowed), ['pin_changed', 'approval_differs']);
  assert.match(allowed[0]?.findings[1]?.text ?? '', /run without one: mode bypass/);
  assert.equal(allowed[0]?.findings[1]?.wait, 'w1');
  const denied = await look(world, { policies: { rules: [{ decision: 'deny', tool: 'p*' }] } });
  assert.match(denied[0]?.findings[1]?.text ?? '', /be denied: rule deny p\*/);
  const unasked = await look(world, { tools: [pay({ approval: 'never' })] });
  assert.deepEqual(codes(unasked), ['pin_changed', 'approval_differs']);
});

test('a call that was allowed and is under way is told where it would now ask, or be denied', async () => {
  const free = pay({ approval: 'never', run: async () => never });
  const { world } = await parked({ ...asksToPay, tools: [free] });
  assert.equal((await look(world, { tools: [free] }))[0]?.verdict, 'unchanged');
  const asks = await look(world, { tools: [pay()] });
  assert.match(asks[0]?.findings.at(-1)?.text ?? '', /was allowed.*would now ask/);
});

test('a call that a person has approved is not asked about again', async () => {
  const slow = pay({ run: async () => never });
  const { world, session } = await parked({ ...asksToPay, tools: [slow] });
  const [wait] = (await world.call('waits.list', { session, limit: 10 })).waits;
  const answer = { decision: 'approve', digest: wait?.digest ?? '' } as const;
  await world.call('waits.resolve', { session, wait: 'w1', answer });
  await world.system.settle();
  assert.equal((await look(world, { tools: [slow] }))[0]?.verdict, 'unchanged');
});

test('an approval that a document asked for, and a call that a grant allowed, are as they were', async () => {
  const free = pay({ approval: 'never', run: async () => never });
  const asked = await World.create({ ...asksToPay, tools: [free] });
  await asked.call('policies.add', { scope: 'agent:assistant', rule: { decision: 'ask', tool: 'pay' } });
  await asked.open('one');
  await asked.system.settle();
  assert.equal((await look(asked, { tools: [free] }))[0]?.verdict, 'unchanged');
  const worded = await look(asked, { tools: [free], instructions: 'Be brief.' });
  assert.deepEqual(codes(worded), ['pin_changed']);

  const slow = pay({ run: async () => never });
  const granted = await World.create({ ...asksToPay, tools: [slow] });
  await granted.call('policies.add', { scope: 'tenant', rule: { decision: 'allow', tool: 'pay' } });
  await granted.open('one');
  await granted.system.settle();
  assert.equal((await look(granted, { tools: [slow] }))[0]?.verdict, 'unchanged');
});

test('documents that are another now are told only where they deny what waits, or runs: that wins', async () => {
  const free = pay({ approval: 'never' });
  const rule: PolicyRule = { decision: 'ask', tool: 'pay' };
  const world = await World.create({ ...asksToPay, tools: [free] });
  await world.call('policies.set', { scope: 'tenant', rules: [rule] });
  await world.open('one');
  await world.system.settle();
  for (const rules of [[], [{ ...rule, decision: 'allow' as const }], [rule, { ...rule, tool: '*' }]]) {
    await world.call('policies.set', { scope: 'tenant', rules });
    assert.equal((await look(world, { tools: [free] }))[0]?.verdict, 'unchanged');
  }
  await world.call('policies.set', { scope: 'tenant', rules: [rule, { ...rule, decision: 'deny', reason: 'audit' }] });
  const denied = await look(world, { tools: [free] });
  assert.deepEqual([codes(denied), denied[0]?.verdict], [['approval_differs'], 'attention']);
  assert.match(
    denied[0]?.findings[0]?.text ?? '',
    /would now be denied: rule of tenant \(revision \d\) deny pay: audit/,
  );
});

test('a configuration is judged with the documents that stand beside it, as the running system judges', async () => {
  const world = await World.create({ ...asksToPay, tools: [pay()] });
  await world.open('one');
  await world.system.settle();
  await world.call('policies.add', { scope: 'tenant', rule: { decision: 'ask', tool: 'pay' } });
  // By its configuration alone it would run without an approval.
  assert.deepEqual(codes(await look(world, { tools: [pay({ approval: 'never' })] })), ['pin_changed']);
  const bypassed = await look(world, { policies: { mode: 'bypass' } });
  assert.match(bypassed[0]?.findings.at(-1)?.text ?? '', /run without one: mode bypass/);
  await world.call('policies.add', { scope: 'tenant', rule: { decision: 'deny', tool: 'p*' } });
  const denied = await look(world, { policies: { mode: 'bypass' } });
  assert.match(denied[0]?.findings.at(-1)?.text ?? '', /be denied: rule of tenant/);
});

test('a call that was allowed before its own turn cost what a rule asks about is as it was', async () => {
  const free = pay({ approval: 'never', run: async () => never });
  const rules: PolicyRule[] = [{ decision: 'ask', tool: '*', maxNanoUsd: 0 }];
  const { world } = await parked({ ...asksToPay, tools: [free], agent: { policies: { rules } } });
  assert.deepEqual(await world.kinds((await world.call('sessions.list', { limit: 1 })).sessions[0]?.id ?? ''), [
    'session.opened',
    'run.queued',
    'run.started',
    'turn.requested',
    'turn.settled',
    'call.requested',
    'call.attempted',
  ]);
  assert.equal((await look(world, { tools: [free], policies: { rules } }))[0]?.verdict, 'unchanged');
});

test('an agent that is not defined any more is told for each of its sessions', async () => {
  const { world } = await parked();
  assert.deepEqual(codes(await look(world, { name: 'another' })), ['agent_gone']);
});

test('a model that a run goes on with, or the next would start with, and that is not to be had is told', async () => {
  const { world } = await parked();
  const none: ModelSource = {
    ...world.model.source,
    resolve: (id) => ({ ok: false, message: `the key for ${id} is missing` }),
  };
  const found = await look(world, { models: none });
  assert.deepEqual(codes(found), ['model_unavailable', 'model_unavailable']);
  assert.match(found[0]?.findings[0]?.text ?? '', /r1 goes on with scripted: the key/);
});

test('a model without a price under a cap of money is told', async () => {
  const config = { limits: { nanoUsd: 1_000_000_000 } };
  const world = await World.create(asksToPay);
  await world.open('one', { config });
  await world.system.settle();
  const unpriced = createScriptedModel([], { price: null }).source;
  const found = await look(world, { models: unpriced });
  assert.deepEqual(codes(found), ['model_unpriced']);
  assert.equal(found[0]?.verdict, 'attention');
});

test('a queued run that could not start is told by its name', async () => {
  const { world, session } = await parked();
  await world.call('runs.start', {
    session,
    input: 'two',
    mode: 'queue',
    priority: 0,
    config: { maxOutputTokens: 10 },
  });
  const unknown: ModelSource = { ...world.model.source, resolve: () => ({ ok: false, message: 'no such provider' }) };
  const found = await look(world, { models: unknown });
  assert.partialDeepStrictEqual(found[0]?.findings.at(-1), { code: 'model_unavailable', run: 'r2' });
});

test('a log that this build cannot fold is told with the place, and one that leads elsewhere, too', async () => {
  const { world, session } = await parked();
  const stored = world.disk.tenants.get('default')?.sessions.get(session);
  assert.ok(stored);
  const { index } = stored;
  stored.index = { ...index, revision: 7 };
  const differs = await look(world);
  assert.deepEqual([codes(differs), differs[0]?.verdict], [['fold_differs'], 'failed']);
  assert.match(differs[0]?.findings[0]?.text ?? '', /another revision/);
  stored.index = index;
  const [first, second] = stored.frames;
  assert.ok(first && second);
  const text = Buffer.from(second.bytes).toString().replace('"turn.settled"', '"turn.dreamt"');
  stored.frames[1] = { ...second, bytes: Buffer.from(text) };
  const failed = await look(world);
  assert.deepEqual([codes(failed), failed[0]?.findings[0]?.seq], [['fold_failed'], second.first]);
  assert.match(failed[0]?.findings[0]?.text ?? '', /turn\.dreamt/);
});

test('sessions that are skipped are not looked at, and each that is counts once', async () => {
  const { world, session } = await parked();
  assert.deepEqual(await look(world, { options: { skip: (id) => id === session } }), []);
  const counts = noCounts();
  for (const one of await look(world, { instructions: 'x' })) count(counts, one);
  assert.deepEqual(counts, { sessions: 1, unchanged: 0, changed: 1, attention: 0, failed: 0 });
});
