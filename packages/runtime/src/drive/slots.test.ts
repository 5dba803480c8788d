import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from './slots.ts';

const open = new AbortController().signal;
const turns = async (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

test('no more are under way than there are slots, and sessions that wait are served in turn', async () => {
  const slots = new Slots(2);
  const order: string[] = [];
  const take = async (owner: string): Promise<void> => {
    await slots.acquire(owner, open);
    order.push(owner);
  };
  for (const owner of ['a', 'a', 'a', 'a', 'a', 'b', 'c']) void take(owner);
  await turns();
  assert.deepEqual(order, ['a', 'a']);
  for (let i = 0; i < 5; i += 1) {
    slots.release();
    await turns();
  }
  assert.deepEqual(order, ['a', 'a', 'a', 'b', 'c', 'a', 'a']);
});

test('who is aborted while waiting goes on without a slot, and takes none from the others', async () => {
  const slots = new Slots(1);
  assert.equal(await slots.acquire('a', open), true);
  const controller = new AbortController();
  const given = slots.acquire('b', controller.signal);
  const behind = slots.acquire('b', open);
  const other = slots.acquire('c', open);
  controller.abort();
  assert.equal(await given, false);
  assert.equal(await slots.acquire('d', controller.signal), false);
  slots.release();
  assert.equal(await behind, true);
  slots.release();
  assert.equal(await other, true);
  slots.release();
  assert.equal(await slots.acquire('e', open), true);
});

test('an abort after the slot was given takes nothing back', async () => {
  const slots = new Slots(1);
  await slots.acquire('a', open);
  const controller = new AbortController();
  const given = slots.acquire('b', controller.signal);
  slots.release();
  assert.equal(await given, true);
  controller.abort();
  const next = slots.acquire('c', open);
  slots.release();
  assert.equal(await next, true);
});
