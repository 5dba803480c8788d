import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVirtualSystem } from '@perdure/testkit';
import { LIMITS } from '../limits.ts';
import { Wakes } from './wakes.ts';

function world() {
  const system = createVirtualSystem();
  const woken: string[] = [];
  const wakes = new Wakes(system.clock, system.timers, (session) => void woken.push(session));
  return { system, woken, wakes, at: (ms: number) => system.clock.now() + ms };
}

test('each session is woken once, at its time, by one timer for all', async () => {
  const { system, woken, wakes, at } = world();
  wakes.set('b', at(20));
  wakes.set('a', at(10));
  wakes.set('c', at(30));
  assert.equal(system.timersSet, 1);
  await system.advance(9);
  assert.deepEqual(woken, []);
  await system.advance(11);
  assert.deepEqual(woken, ['a', 'b']);
  await system.advance(1_000);
  assert.deepEqual(woken, ['a', 'b', 'c']);
  assert.equal(system.timersSet, 0);
});

test('a time may move in both directions, or go away', async () => {
  const { system, woken, wakes, at } = world();
  wakes.set('a', at(10));
  wakes.set('a', at(50));
  wakes.set('b', at(40));
  wakes.set('b', at(5));
  wakes.set('c', at(7));
  wakes.set('c', null);
  await system.advance(20);
  assert.deepEqual(woken, ['b']);
  await system.advance(30);
  assert.deepEqual(woken, ['b', 'a']);
});

test('a wall clock that goes back wakes nobody early; one that goes forward wakes with the next timer', async () => {
  const { system, woken, wakes, at } = world();
  wakes.set('a', at(10));
  system.jump(-100);
  await system.advance(50);
  assert.deepEqual(woken, []);
  await system.advance(60);
  assert.deepEqual(woken, ['a']);
  wakes.set('b', at(1_000));
  wakes.set('c', at(10));
  system.jump(5_000);
  await system.advance(10);
  assert.deepEqual(new Set(woken.slice(1)), new Set(['b', 'c']));
});

test('what is set while others are woken is not forgotten', async () => {
  const system = createVirtualSystem();
  const woken: string[] = [];
  const wakes: Wakes = new Wakes(system.clock, system.timers, (session) => {
    woken.push(session);
    if (woken.length < 3) wakes.set(session, system.clock.now() + 5);
  });
  wakes.set('a', system.clock.now() + 1);
  wakes.set('z', system.clock.now() + 500);
  await system.advance(100);
  assert.deepEqual(woken, ['a', 'a', 'a']);
  await system.advance(500);
  assert.deepEqual(woken, ['a', 'a', 'a', 'z']);
});

test('after the stop nobody is woken and no timer is left', async () => {
  const { system, woken, wakes, at } = world();
  wakes.set('a', at(10));
  wakes.stop();
  wakes.set('b', at(5));
  await system.advance(100);
  assert.deepEqual(woken, []);
  assert.equal(system.timersSet, 0);
});

test('so many are kept as is said, and one that is kept may move', async () => {
  const { system, woken, wakes, at } = world();
  for (let n = 0; n < LIMITS.wakes; n += 1) wakes.set(`s${n}`, at(1_000));
  wakes.set('one more', at(10));
  wakes.set('s0', at(5));
  await system.advance(20);
  assert.deepEqual(woken, ['s0']);
});
