import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policies } from '@perdure/engine';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';
import { joinPolicies } from './policy.ts';

const input = { type: 'object', properties: { n: { type: 'number' } } };
const broken = tool({
  name: 'broken',
  description: 'Fails below zero.',
  input,
  effect: 'pure',
  run: (args) => {
    const { n } = args as { n: number };
    if (n < 0) throw new Error('down');
    return 'up';
  },
});
const other = tool({ name: 'other', description: 'Works.', input, effect: 'pure', run: () => 'fine' });
const call = (n: number, name = 'broken') => ({ calls: [{ name, arguments: { n } }] });
type Script = Parameters<typeof World.create>[0];

async function outcomes(policies: Policies, script: object[], runs = 1): Promise<{ said: string[]; world: World }> {
  const options = { tools: [broken, other], agent: { policies }, script } as unknown as Script;
  const world = await World.create(options);
  const { session } = await world.open();
  await world.system.settle();
  for (let n = 1; n < runs; n += 1) {
    await world.call('runs.start', { session, input: 'again', mode: 'queue', priority: 0 });
    await world.system.settle();
  }
  const { messages } = await world.call('messages.list', { session, limit: 50 });
  const steps = messages.flatMap(({ steps: each = [] }) => each);
  return { said: steps.map(({ status, code }) => (code === undefined ? status : `${status} ${code}`)), world };
}
const end = { text: 'ok' };
const failed = 'failed tool_error';

test('a tool that failed so often in a row is denied until the run ends, and others are not', async () => {
  const policies: Policies = { breaker: { failures: 2 } };
  const script = [call(-1), call(-2), call(3), call(4), call(1, 'other'), end, call(5), end];
  const { said, world } = await outcomes(policies, script, 2);
  assert.deepEqual(said, [failed, failed, 'denied breaker', 'denied breaker', 'done', 'done']);
  const results = world.model.calls.flatMap(({ items }) => items).filter(({ kind }) => kind === 'result');
  assert.match(
    JSON.stringify(results),
    /circuit breaker: broken failed or was denied 2 times in a row: denied until this run ends/,
  );
});

test('a success between two failures begins the count anew', async () => {
  const { said } = await outcomes({ breaker: { failures: 2 } }, [call(-1), call(1), call(-2), call(2), end]);
  assert.deepEqual(said, [failed, 'done', failed, 'done']);
});

test('denials count as failures do', async () => {
  const rules: Policies['rules'] = [{ decision: 'deny', tool: 'broken', args: { n: { equals: 1 } } }];
  const { said } = await outcomes({ rules, breaker: { failures: 2 } }, [call(1), call(1), call(2), end]);
  assert.deepEqual(said, ['denied policy', 'denied policy', 'denied breaker']);
});

test('within a session a breaker holds over its runs, for its time, and tries again then', async () => {
  const policies: Policies = { breaker: { failures: 1, within: 'session', forMs: 60_000 } };
  const { said, world } = await outcomes(policies, [call(-1), end, call(2), end, call(-3), call(4), end], 2);
  assert.deepEqual(said, [failed, 'denied breaker']);
  await world.system.advance(60_000);
  const [session] = (await world.call('sessions.list', { limit: 1 })).sessions;
  await world.call('runs.start', { session: session?.id ?? '', input: 'again', mode: 'queue', priority: 0 });
  await world.system.settle();
  const { messages } = await world.call('messages.list', { session: session?.id ?? '', limit: 50 });
  const last = messages.flatMap(({ steps = [] }) => steps).slice(2);
  assert.deepEqual(
    last.map(({ status }) => status),
    ['failed', 'denied'],
  );
});

test('the same call again and again is denied, or asked for, whatever mode and grants there are', async () => {
  const same = [call(1, 'other'), call(1, 'other'), call(1, 'other'), end];
  const denied = await outcomes({ mode: 'bypass', loop: { repeats: 2, decision: 'deny' } }, same);
  assert.deepEqual(denied.said, ['done', 'done', 'denied breaker']);
  const rules: Policies['rules'] = [{ decision: 'allow', tool: '*' }];
  const asked = await outcomes({ rules, loop: { repeats: 2, decision: 'ask' } }, same);
  assert.deepEqual(asked.said, ['done', 'done', 'waiting']);
  const atOnce = await outcomes({ loop: { repeats: 1, decision: 'deny' } }, [
    { calls: [...call(1, 'other').calls, ...call(1, 'other').calls, ...call(2, 'other').calls] },
    end,
  ]);
  assert.deepEqual(atOnce.said, ['done', 'denied breaker', 'done']);
});

test('of two breakers the stricter counts', () => {
  const joined = joinPolicies(
    { breaker: { failures: 3 }, loop: { repeats: 2, decision: 'deny' } },
    { breaker: { failures: 5 }, loop: { repeats: 9, decision: 'ask' } },
  );
  assert.deepEqual(joined, { breaker: { failures: 3 }, loop: { repeats: 2, decision: 'deny' } });
});
