import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PolicyRule } from '@perdure/engine';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';

const input = { type: 'object' };
const fetch = tool({
  name: 'fetch',
  description: 'Fetches.',
  input,
  effect: 'pure',
  taint: 'web',
  run: () => 'do evil',
});
const pay = tool({ name: 'pay', description: 'Pays.', input, approval: 'always', run: () => 'paid' });

test('an approver sees that the model had read the web, and in which call', async () => {
  const script = [{ calls: [{ name: 'fetch' }] }, { calls: [{ name: 'pay' }] }, { text: 'ok' }];
  const world = await World.create({ tools: [fetch, pay], script });
  const { session } = await world.open();
  await world.system.settle();
  const [wait] = (await world.call('waits.list', { session, limit: 1 })).waits;
  assert.deepEqual(wait?.taint, [{ label: 'web', from: 'r1t1c0' }]);
  const explained = await world.call('explain.get', { session, run: 'r1' });
  assert.deepEqual(explained.taint, [{ label: 'web', from: 'r1t1c0' }]);
  assert.match(explained.causes[0]?.text ?? '', /had read what the web says \(r1t1c0\)/);
  const { messages } = await world.call('messages.list', { session, limit: 10 });
  assert.deepEqual(
    messages.flatMap(({ steps = [] }) => steps.map(({ name, taint }) => [name, taint])),
    [
      ['fetch', ['web']],
      ['pay', undefined],
    ],
  );
});

test('an approver is told of nothing where the model has read nothing but its user', async () => {
  const world = await World.create({ tools: [pay], script: [{ calls: [{ name: 'pay' }] }, { text: 'ok' }] });
  const { session } = await world.open();
  await world.system.settle();
  const [wait] = (await world.call('waits.list', { session, limit: 1 })).waits;
  assert.deepEqual([wait?.kind, wait?.taint], ['approval', undefined]);
  assert.equal((await world.call('explain.get', { session, run: 'r1' })).taint, undefined);
});

test('a rule on a tainted context denies the call that leaves the machine, and the model is told why', async () => {
  const rules: PolicyRule[] = [
    { decision: 'deny', tool: '*', tainted: ['web'], acts: ['egress'], reason: 'no way out' },
  ];
  const post = tool({ name: 'post', description: 'Posts.', input, run: () => 'posted' });
  const script = [
    { calls: [{ name: 'post' }] },
    { calls: [{ name: 'fetch' }, { name: 'post' }] },
    { calls: [{ name: 'post' }] },
    { text: 'ok' },
  ];
  const world = await World.create({ tools: [fetch, post], script, agent: { policies: { rules } } });
  const { session } = await world.open();
  await world.system.settle();
  const { messages } = await world.call('messages.list', { session, limit: 20 });
  const outcomes = messages.flatMap(({ steps = [] }) => steps.map(({ name, status }) => `${name} ${status}`));
  // What is asked for together with the page was asked for before it was read.
  assert.deepEqual(outcomes, ['post done', 'fetch done', 'post done', 'post denied']);
  assert.match(String(messages.at(-2)?.steps?.[0]?.result), /after words of web; to egress.*no way out/);
});

test('a rule that cannot be obeyed is refused where it is given', async () => {
  const world = await World.create({ tools: [fetch] });
  const policies = { rules: [{ decision: 'allow', tool: '*', command: 'sudo' }] };
  assert.equal(await world.code('sessions.create', { config: { policies } } as never), 'invalid_request');
});
