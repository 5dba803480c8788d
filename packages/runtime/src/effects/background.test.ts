import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScriptedCall, ScriptedReply } from '@perdure/testkit';
import type { WorldOptions } from '../../test/world.ts';
import { World } from '../../test/world.ts';
import { LIMITS } from '../limits.ts';

const scripted: NonNullable<WorldOptions['scripted']> = { info: () => ({ background: true }) };
const agent = { background: true, limits: { tokens: 20_000 } };
const never = new Promise<never>(() => {});
const usage = { input: 100, output: 10 };

/** A provider that goes on with what it accepted: the first request hangs here, whoever asks again gets the answer. */
const keeps = async (call: ScriptedCall): Promise<ScriptedReply> => {
  if (call.request.resume !== undefined) return { text: `answer of ${call.request.resume}`, usage };
  await call.accept(`resp_${call.n}`);
  return { hold: never };
};
const asked = (world: World) =>
  world.model.calls.map(({ request }) => [request.attempt, request.params.background, request.resume]);

test('an answer that a crash cut off is asked for again, and paid once', async () => {
  const world = await World.create({ agent, scripted, script: keeps });
  const { session, run } = await world.open();
  await world.system.settle();
  const after = await world.crash();
  const ended = await after.run(session, run);
  assert.deepEqual([ended.status, ended.text], ['completed', 'answer of resp_0']);
  assert.deepEqual([ended.usage.input, ended.usage.output, ended.usage.source], [100, 10, 'provider']);
  assert.deepEqual(asked(world), [
    [1, true, undefined],
    [2, true, 'resp_0'],
  ]);
  const [account] = world.disk.tenants.get('default')?.accounts.values() ?? [];
  assert.deepEqual([account?.spent.tokens, account?.reserved.tokens], [110, 0]);
  const { spans } = await after.call('trace.get', { session, limit: 10 });
  const turn = spans.find(({ kind }) => kind === 'turn');
  assert.deepEqual([turn?.response, turn?.attempts, turn?.usage?.input], ['resp_0', 2, 100]);
});

test('its name is in the log before anything of it is told', async () => {
  const script = async (call: ScriptedCall): Promise<ScriptedReply> => {
    const before = await world.kinds(session);
    await call.accept('resp');
    assert.deepEqual([before.at(-1), (await world.kinds(session)).at(-1)], ['turn.requested', 'turn.accepted']);
    return { text: 'said' };
  };
  const world = await World.create({ agent, scripted, script });
  const { session: opened } = await world.call('sessions.create', {});
  const session = opened.id;
  const { run } = await world.call('runs.start', { session, input: 'x', mode: 'queue', priority: 0 });
  assert.equal((await world.run(session, run.id)).status, 'completed');
  world.model.verify();
});

test('an explanation says that an answer is asked for again', async () => {
  const world = await World.create({
    agent,
    scripted,
    script: async (call) => {
      if (call.request.resume === undefined) await call.accept('resp');
      return { hold: never };
    },
  });
  const { session, run } = await world.open();
  await world.system.settle();
  const after = await world.crash();
  await after.system.settle();
  const { causes } = await after.call('explain.get', { session, run });
  assert.match(causes[0]?.text ?? '', /attempt 2 \(lost\); what the provider had begun is asked for again/);
});

test('an answer that took longer than we wait is asked for again', async () => {
  const world = await World.create({ agent, scripted, script: keeps });
  const { session, run } = await world.open();
  await world.system.advance(LIMITS.generateMs + LIMITS.abortGraceMs + 60_000);
  const ended = await world.run(session, run);
  assert.deepEqual([ended.status, ended.text, ended.usage.input], ['completed', 'answer of resp_0', 100]);
});

test('an answer that is gone was perhaps paid, and is asked for anew', async () => {
  let requests = 0;
  const script = async (call: ScriptedCall): Promise<ScriptedReply> => {
    if (call.request.resume !== undefined) return { fail: 'response_gone', retry: 'now', spent: { kind: 'bound' } };
    requests += 1;
    if (requests === 2) return { text: 'a new one', usage };
    await call.accept('resp');
    return { hold: never };
  };
  const world = await World.create({ agent, scripted, script });
  const { session, run } = await world.open();
  await world.system.settle();
  const after = await world.crash();
  await after.system.advance(60_000);
  const ended = await after.run(session, run);
  assert.deepEqual([ended.status, ended.text, ended.usage.source], ['completed', 'a new one', 'bound']);
});

test('a drained process leaves the answer to the next one', async () => {
  const reasons: unknown[] = [];
  const script = async (call: ScriptedCall): Promise<ScriptedReply> => {
    call.signal.addEventListener('abort', () => reasons.push(call.signal.reason));
    return keeps(call);
  };
  const world = await World.create({ agent, scripted, script });
  const { session, run } = await world.open();
  await world.system.settle();
  await world.host.stop();
  const after = await world.crash();
  assert.equal((await after.run(session, run)).text, 'answer of resp_0');
  assert.deepEqual(reasons, ['drain']);
});

test('a cancel is told to whoever waits for the answer, and asks for nothing again', async () => {
  const reasons: unknown[] = [];
  const script = async (call: ScriptedCall): Promise<ScriptedReply> => {
    call.signal.addEventListener('abort', () => reasons.push(call.signal.reason));
    return keeps(call);
  };
  const world = await World.create({ agent, scripted, script });
  const { session, run } = await world.open();
  await world.system.settle();
  await world.call('runs.cancel', { session, run });
  assert.equal((await world.run(session, run)).status, 'cancelled');
  assert.deepEqual(reasons, ['cancelled']);
  assert.equal(asked(world).length, 1);
});

test('a name that cannot be kept, or written down, costs the way back and not the answer', async () => {
  for (const name of ['x'.repeat(10_000), 'resp hunter2-hunter2']) {
    const world = await World.create({
      agent,
      scripted,
      secrets: { DB: 'hunter2-hunter2' },
      script: async (call) => {
        await call.accept(name);
        return { text: 'said' };
      },
    });
    const { session, run } = await world.open();
    assert.equal((await world.run(session, run)).text, 'said');
    assert.ok(!(await world.kinds(session)).includes('turn.accepted'));
    assert.ok(world.lines.some(({ message }) => message.includes('cannot be kept')));
  }
  const world = await World.create({
    agent,
    scripted,
    script: async (call) => {
      world.weather.append = () => ({ ok: false, code: 'unavailable', detail: 'gone' });
      await call.accept('resp');
      world.weather.append = null;
      return { text: 'said' };
    },
  });
  const { session, run } = await world.open();
  assert.equal((await world.run(session, run)).text, 'said');
  assert.ok(world.lines.some(({ message }) => message.includes('could not be written down')));
});

test('who did not ask for answers that are kept is given none, and a model without is refused', async () => {
  const world = await World.create({ scripted, script: keeps });
  const { session, run } = await world.open();
  await world.system.settle();
  assert.ok(!(await world.kinds(session)).includes('turn.accepted'));
  await world.call('runs.cancel', { session, run });
  const plain = await World.create({ script: keeps });
  const refused = await plain.refused('runs.create', { input: 'x', wait: false, config: { background: true } });
  assert.deepEqual([refused.code, refused.details?.['path']], ['invalid_request', 'background']);
});
