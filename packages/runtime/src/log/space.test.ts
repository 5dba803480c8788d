import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World } from '../../test/world.ts';

test('a full storage is said once when it begins and once when there is space again, not at each refusal', async () => {
  const world = await World.create({ script: () => ({ hold: new Promise<never>(() => {}) }) });
  const { session, run } = await world.open('one');
  await world.system.settle();
  const told = (): string[] =>
    world.lines
      .filter(({ message }) => message.startsWith('the storage'))
      .map(({ level, message }) => `${level} ${message}`);
  const send = async (): Promise<unknown> =>
    world.code('runs.start', { session, input: 'two', mode: 'queue', priority: 0 });
  for (const round of [1, 2]) {
    world.weather.append = (append) => (append.urgent === true ? undefined : { ok: false, code: 'full' });
    assert.deepEqual([await send(), await send()], ['storage_full', 'storage_full']);
    assert.equal(told().length, 2 * round - 1, 'once for both');
    assert.match(told().at(-1) ?? '', /^warn the storage is full/);
    await world.call(round === 1 ? 'runs.hold' : 'runs.cancel', { session, run });
    assert.equal(told().length, 2 * round - 1, 'what is urgent has room of its own');
    world.weather.append = null;
    await world.open(`again ${round}`);
    await world.system.settle();
    assert.equal(told().length, 2 * round);
    assert.match(told().at(-1) ?? '', /^info the storage has space again/);
  }
});
