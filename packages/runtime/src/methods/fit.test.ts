import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Params } from '@perdure/contract';
import type { WorldOptions } from '../../test/world.ts';
import { World } from '../../test/world.ts';
import { agent } from '../definitions/agents.ts';
import { tool } from '../definitions/tool.ts';

const rates = { input: 10, cachedInput: 10, cacheWrite: 10, output: 20, source: 'made up', date: '2026-01-01' };
/** One model has a tier and a larger output; the other one is unknown to everybody. */
const scripted: NonNullable<WorldOptions['scripted']> = {
  models: ['scripted', 'plain'],
  info: (model) => {
    if (model === 'scripted/unknown') return { known: false, price: null };
    if (model === 'plain') return { maxOutputTokens: 2_000, effort: [] };
    return { tiers: { flex: { id: 'flex', ...rates } }, effort: ['low', 'high'] };
  },
};
const look = tool({
  name: 'look',
  description: 'Looks.',
  input: { type: 'object' },
  effect: 'pure',
  run: () => 'seen',
});
const script = () => ({ text: 'ok' });
type Patch = NonNullable<Params<'runs.create'>['config']>;

test('what a model or the agent cannot give is refused where it is asked for, and says what', async () => {
  const world = await World.create({ scripted, script, tools: [look] });
  const { session } = await world.open();
  const cases: [Patch, string, RegExp][] = [
    [{ maxOutputTokens: 4_097 }, 'maxOutputTokens', /scripted gives at most 4096 tokens/],
    [{ model: ['scripted', 'plain'], maxOutputTokens: 4_000 }, 'maxOutputTokens', /plain gives at most 2000/],
    [{ effort: 'medium' }, 'effort', /scripted takes efforts low, high, not medium/],
    [{ model: 'plain', effort: 'low' }, 'effort', /plain takes no levels of effort/],
    [{ tier: 'priority' }, 'tier', /scripted is not known to be sold with tier priority/],
    [{ model: ['scripted', 'plain'], tier: 'flex' }, 'tier', /model plain/],
    [{ compaction: { model: 'nowhere/x' } }, 'compaction.model', /nowhere/],
    [{ toolChoice: { tool: 'pay' } }, 'toolChoice', /agent assistant has no tool pay/],
  ];
  for (const [config, path, message] of cases) {
    const refusals = [
      await world.refused('runs.create', { input: 'x', wait: false, config }),
      await world.refused('sessions.create', { config }),
      await world.refused('sessions.create', { input: 'x', config }),
      await world.refused('sessions.configure', { session, ifRevision: 1, ...config }),
      await world.refused('runs.start', { session, input: 'x', mode: 'queue', priority: 0, config }),
      await world.refused('sessions.fork', { session, config }),
    ];
    for (const refused of refusals) {
      assert.deepEqual([refused.code, refused.details?.['path']], ['invalid_request', path]);
      assert.match(refused.message, message);
    }
  }
  assert.equal((await world.call('sessions.get', { session })).config.revision, 1);
});

test('what session and run ask for together is what counts', async () => {
  const world = await World.create({ scripted, script });
  const { session } = await world.open('go', { config: { maxOutputTokens: 4_000, tier: 'flex' } });
  await world.system.settle();
  const run = { session, input: 'x', mode: 'queue' as const, priority: 0 };
  const refused = await world.refused('runs.start', { ...run, config: { model: 'plain' } });
  assert.match(refused.message, /plain gives at most 2000/);
  await world.call('runs.start', { ...run, config: { model: 'plain', maxOutputTokens: 100, tier: 'default' } });
  await world.system.settle();
  assert.deepEqual(
    world.model.calls.map(({ request }) => [request.model, request.params.maxOutputTokens, request.params.tier]),
    [
      ['scripted', 4_000, 'flex'],
      ['plain', 100, 'default'],
    ],
  );
});

test('a tool must be chosen from some', async () => {
  const world = await World.create({ script });
  const refused = await world.refused('runs.create', { input: 'x', wait: false, config: { toolChoice: 'required' } });
  assert.match(refused.message, /has no tools/);
});

test('a model that nobody knows gives as much as it is asked for', async () => {
  const world = await World.create({ scripted, script });
  const config = { model: 'scripted/unknown', maxOutputTokens: 50_000 };
  await world.call('runs.create', { input: 'x', wait: true, config });
  assert.equal(world.model.calls[0]?.request.params.maxOutputTokens, 50_000);
});

test('a tier is reserved and booked at its own price', async () => {
  const world = await World.create({ scripted, script, agent: { tier: 'flex' } });
  const { run } = await world.call('runs.create', { input: 'x', wait: true });
  assert.equal(run.cost.price, 'flex');
  assert.equal(world.model.calls[0]?.request.params.tier, 'flex');
});

test('an agent that wants a tier its model is not sold with is refused as it is defined', async () => {
  const agents = [agent({ name: 'hasty', model: 'plain', tier: 'priority' })];
  await assert.rejects(World.create({ scripted, host: { agents } }), {
    code: 'invalid_config',
    path: 'agent hasty.tier',
  });
});

test('a run that was accepted for what its agent no longer gives fails, and says for what', async () => {
  const world = await World.create({ scripted, tools: [look], script: () => ({ hold: new Promise(() => {}) }) });
  const { session } = await world.open();
  await world.call('runs.start', {
    session,
    input: 'x',
    mode: 'queue',
    priority: 0,
    config: { toolChoice: { tool: 'look' } },
  });
  const after = await world.crash({ tools: [] });
  await after.call('runs.cancel', { session, run: 'r1' });
  const run = await after.run(session, 'r2');
  assert.deepEqual([run.status, run.reason, run.detail], ['failed', 'internal', 'unfit_toolChoice']);
});
