import assert from 'node:assert/strict';
import { test } from 'node:test';
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
