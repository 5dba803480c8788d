import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ScriptedCall, ScriptedReply } from '@perdure/testkit';
import { World } from '../../test/world.ts';

const [A, B] = ['scripted/a', 'scripted/b'];
/** Each answer has something of its provider's own. */
const script = ({ request, n }: ScriptedCall): ScriptedReply => ({
  text: `said ${n}`,
  native: { of: request.model, n },
});

/** Whose own items each request carried: null where they stayed behind. */
const natives = (world: World) =>
  world.model.calls.map(({ items }) =>
    items.flatMap((item) => (item.kind === 'turn' ? [(item.native as { of: string } | null)?.of ?? null] : [])),
  );

test('what a provider made for itself goes back to the model that made it, and to no other', async () => {
  const world = await World.create({ agent: { model: A }, script });
  const { session } = await world.open();
  await world.system.settle();
  for (const [n, model] of [B, B, A].entries()) {
    await world.call('sessions.configure', { session, ifRevision: n + 1, model });
    await world.call('runs.start', { session, input: 'go on', mode: 'queue', priority: 0 });
    await world.system.settle();
  }
  assert.deepEqual(natives(world), [[], [null], [null, B], [A, null, null]]);
  const texts = world.model.calls.at(-1)?.items.flatMap((item) => (item.kind === 'turn' ? [item.text] : []));
  assert.deepEqual(texts, ['said 0', 'said 1', 'said 2']);
  const { spans } = await world.call('trace.get', { session, limit: 100 });
  assert.deepEqual(
    spans.filter(({ kind }) => kind === 'turn').map(({ name, takesOver }) => [name, takesOver]),
    [
      [A, undefined],
      [B, A],
      [B, undefined],
      [A, B],
    ],
  );
  for (const run of ['r1', 'r2', 'r3', 'r4'] as const)
    assert.equal((await world.call('turns.request', { session, run, n: 1 })).exact, true);
});

test('also where a model takes over in the middle of a run, and in another process', async () => {
  let isDown = false;
  const world = await World.create({
    agent: { model: [A, B] },
    script: (call) => (isDown && call.request.model === A ? { fail: 'overloaded', retry: 'no' } : script(call)),
  });
  const { session } = await world.open();
  await world.system.settle();
  isDown = true;
  const after = await world.crash();
  await after.call('runs.start', { session, input: 'go on', mode: 'queue', priority: 0 });
  await after.system.settle();
  assert.deepEqual(natives(world), [[], [A], [null]]);
  assert.equal((await after.call('runs.get', { session, run: 'r2' })).text, 'said 2');
});
