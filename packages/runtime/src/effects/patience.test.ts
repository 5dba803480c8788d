import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tool } from '../definitions/tool.ts';
import { World } from '../../test/world.ts';

test('an answer that is paid for waits for a store that is away, and is written down', async () => {
  const job = tool({
    name: 'job',
    description: 'Works.',
    input: { type: 'object' },
    effect: 'pure',
    run: () => 'done',
  });
  const world = await World.create({
    shared: true,
    tools: [job],
    script: [{ calls: [{ name: 'job' }] }, { text: 'ok' }],
  });
  const { docs } = world.host.parts.store;
  const get = docs.get.bind(docs);
  let refused = 0;
  docs.get = async (...asked) => {
    if (refused < 6) {
      refused += 1;
      throw Object.assign(new Error('the store is away'), { code: 'unavailable' });
    }
    return get(...asked);
  };
  const { session, run } = await world.open();
  await world.system.advance(60_000);
  const { status, reason } = await world.run(session, run);
  assert.deepEqual([status, reason, refused], ['completed', undefined, 6]);
  assert.equal(world.model.calls.length, 2);
});
