import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../../test/world.ts';
import { tool } from '../definitions/tool.ts';

const look = tool({
  name: 'look',
  description: 'Looks.',
  input: { type: 'object' },
  effect: 'pure',
  run: () => 'a lake',
});
const ask = { name: 'look', arguments: {} };

test('what was sent before is a prefix of what is sent next: tools, instructions and items, from turn to turn and run to run', async () => {
  const answers = [
    { calls: [ask, ask] },
    { text: 'a lake' },
    { calls: [ask] },
    { fail: 'overloaded', retry: 'no' as const },
    { text: 'still a lake' },
  ];
  let world = await World.create({
    script: () => answers.shift() ?? { text: 'yes' },
    tools: [look],
    agent: { instructions: 'Be brief.' },
  });
  const { session } = await world.open('Where are we?');
  await world.system.settle();
  const more = { session, priority: 0 };
  await world.call('runs.start', { ...more, input: 'And now?', mode: 'queue' });
  await world.call('runs.start', { ...more, input: 'Hurry', mode: 'steer' });
  await world.system.settle();
  world = await world.crash();
  await world.call('runs.start', { ...more, input: 'And after that?', mode: 'interrupt' });
  await world.system.settle();
  const sent = world.model.calls.map(({ request: { tools, instructions, rendered } }) => ({
    head: JSON.stringify({ tools, instructions }),
    rendered,
  }));
  assert.ok(sent.length >= 5);
  for (const [n, { head, rendered }] of sent.entries()) {
    const before = sent[n - 1];
    if (before === undefined) continue;
    assert.equal(head, before.head);
    assert.ok(rendered.startsWith(before.rendered), `request ${n} begins otherwise than the one before`);
  }
});

test('what should come from the cache is on record with the turn, and what did is booked at its own price', async () => {
  const cache = { minTokens: 100, stepTokens: 50, lifetimeMs: 60_000 };
  const usage = [{ input: 420 }, { input: 20, cachedInput: 400 }, { input: 40, cachedInput: 400 }];
  const world = await World.create({
    script: () => ({ ...(usage.length === 3 ? { calls: [ask] } : { text: 'ok' }), usage: usage.shift() ?? {} }),
    tools: [look],
    scripted: { info: () => ({ cache }) },
  });
  const { session } = await world.open();
  await world.system.settle();
  const { spans } = await world.call('trace.get', { session, limit: 100 });
  const turns = spans.filter(({ kind }) => kind === 'turn');
  assert.deepEqual(
    turns.map(({ cached, usage: billed }) => [cached, billed?.cachedInput]),
    [
      [undefined, 0],
      [400, 400],
    ],
  );
  // A nano-USD a token, half of it for what was cached, two for output.
  const second = turns[1]?.usage ?? assert.fail();
  assert.equal(turns[1]?.cost?.nanoUsd, 20 + 200 + 2 * second.output);
  const { cache: compared } = await world.call('explain.get', { session, run: 'r1' });
  assert.deepEqual(compared, { prompt: 840, cached: 400, predicted: 400 });
});
