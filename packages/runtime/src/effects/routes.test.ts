import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScriptedCall, ScriptedReply } from '@perdure/testkit';
import type { WorldOptions } from '../../test/world.ts';
import { World } from '../../test/world.ts';
import { LIMITS } from '../limits.ts';

const ROUTE = ['scripted/one', 'scripted/two'];
const price = (id: string, rate: number) => {
  const rates = { input: rate, cachedInput: rate, cacheWrite: rate, output: rate };
  return { id, ...rates, source: 'made up', date: '2026-01-01' };
};
const scripted: NonNullable<WorldOptions['scripted']> = {
  info: (model) => ({ price: model === 'scripted/two' ? price('two', 500) : price('one', 1_000) }),
};
const down = (code = 'overloaded'): ScriptedReply => ({ fail: code, detail: 'no room', retry: 'no' });
const script = (call: ScriptedCall): ScriptedReply =>
  call.request.model === 'scripted/one' ? down() : { text: `from ${call.request.model}` };
const asked = { input: 'go', wait: true } as const;

test('a run goes on with the next model of its route, and everybody sees which and why', async () => {
  const world = await World.create({ agent: { model: ROUTE }, scripted, script });
  const { session, run } = await world.call('runs.create', asked);
  assert.deepEqual([run.status, run.text, run.cost.price], ['completed', 'from scripted/two', 'two']);
  const { spans } = await world.call('trace.get', { session: session.id, limit: 100 });
  assert.deepEqual(
    spans.filter(({ kind }) => kind === 'turn').map(({ name, status, passed }) => [name, status, passed]),
    [
      ['scripted/one', 'failed', undefined],
      ['scripted/two', 'done', [{ model: 'scripted/one', code: 'overloaded' }]],
    ],
  );
  const explained = await world.call('explain.get', { session: session.id, run: 'r1' });
  assert.equal(explained.model, 'scripted/two');
  assert.deepEqual(explained.passed, [{ model: 'scripted/one', code: 'overloaded' }]);
  for (const n of [1, 2]) {
    const rebuilt = await world.call('turns.request', { session: session.id, run: 'r1', n });
    assert.deepEqual([rebuilt.exact, rebuilt.model], [true, ROUTE[n - 1]]);
  }
});

test('an explanation says on which model a run is, because of what', async () => {
  const world = await World.create({
    agent: { model: ROUTE },
    scripted,
    script: (call) => (call.request.model === 'scripted/one' ? down() : { hold: new Promise(() => {}) }),
  });
  const { session, run } = await world.open();
  await world.system.settle();
  const { causes } = await world.call('explain.get', { session, run });
  assert.match(causes[0]?.text ?? '', /answer of scripted\/two \(because scripted\/one is overloaded\)/);
});

test('a breaker that has opened spares the next runs the model, until one request tries it again', async () => {
  let isUp = false;
  const world = await World.create({
    agent: { model: ROUTE },
    scripted,
    script: (call) => (isUp ? { text: call.request.model } : script(call)),
  });
  const run = async () => (await world.call('runs.create', asked)).session.id;
  const models = async (session: string) => {
    const { spans } = await world.call('trace.get', { session, limit: 100 });
    return spans.filter(({ kind }) => kind === 'turn').map(({ name, passed }) => [name, passed?.[0]?.code]);
  };
  for (let n = 0; n < LIMITS.breakerFailures; n += 1) await run();
  assert.deepEqual(await models(await run()), [['scripted/two', 'breaker:overloaded']]);
  assert.equal(world.lines.filter(({ message }) => message === 'a circuit breaker has opened').length, 1);
  await world.system.advance(LIMITS.breakerOpenMs);
  assert.equal((await models(await run())).length, 2, 'one tries it');
  assert.deepEqual(await models(await run()), [['scripted/two', 'breaker:overloaded']]);
  await world.system.advance(LIMITS.breakerOpenMs);
  isUp = true;
  assert.deepEqual(await models(await run()), [['scripted/one', undefined]]);
  assert.deepEqual(await models(await run()), [['scripted/one', undefined]]);
});

test('while one request tries a model again, the others go on without it', async () => {
  let trial = Promise.withResolvers<void>();
  const world = await World.create({
    agent: { model: ROUTE },
    scripted,
    script: (call) => (call.request.model === 'scripted/one' ? { ...down(), hold: trial.promise } : script(call)),
  });
  trial.resolve();
  for (let n = 0; n < LIMITS.breakerFailures; n += 1) await world.call('runs.create', asked);
  await world.system.advance(LIMITS.breakerOpenMs);
  trial = Promise.withResolvers<void>();
  await world.open('the one that tries');
  await world.system.settle();
  const other = await world.open('another one');
  assert.equal((await world.run(other.session, other.run)).text, 'from scripted/two');
  assert.equal(world.model.active(), 1);
});

test('what a breaker said folds the same in a process that knows nothing of it', async () => {
  const world = await World.create({ agent: { model: ROUTE }, scripted, script });
  for (let n = 0; n < LIMITS.breakerFailures; n += 1) await world.call('runs.create', asked);
  const { session } = await world.call('runs.create', asked);
  const after = await world.crash();
  const rebuilt = await after.call('turns.request', { session: session.id, run: 'r1', n: 1 });
  assert.deepEqual([rebuilt.exact, rebuilt.model], [true, 'scripted/two']);
});

test('a turn that a crash cut off goes on with the model it was with', async () => {
  let held = true;
  const world = await World.create({
    agent: { model: ROUTE },
    scripted,
    script: (call) =>
      call.request.model === 'scripted/one' ? down() : held ? { hold: new Promise(() => {}) } : { text: 'ok' },
  });
  const { session, run } = await world.open();
  await world.system.settle();
  held = false;
  const after = await world.crash();
  assert.equal((await after.run(session, run)).status, 'completed');
  assert.deepEqual(
    world.model.calls.map(({ request }) => [request.model, request.attempt]),
    [
      ['scripted/one', 1],
      ['scripted/two', 1],
      ['scripted/two', 2],
    ],
  );
});

test('a route is of known models, each once, and not without end', async () => {
  const world = await World.create({ script });
  const many = Array.from({ length: LIMITS.routeModels + 1 }, (_, n) => `scripted/${n}`);
  for (const model of [[], ['scripted', 'scripted'], many])
    await assert.rejects(World.create({ agent: { model } }), {
      code: 'invalid_config',
      message: /agent assistant.model/,
    });
  const { session } = await world.open('go', { config: { model: ROUTE } });
  const unknown = await world.refused('sessions.configure', { session, ifRevision: 1, model: ['scripted', 'gpt-0'] });
  assert.deepEqual([unknown.code, unknown.details], ['invalid_request', { model: 'gpt-0' }]);
  assert.equal(
    await world.code('runs.create', { input: 'x', wait: false, config: { model: ['gpt-0'] } }),
    'invalid_request',
  );
  assert.deepEqual((await world.call('sessions.get', { session })).config.model, ROUTE);
});
