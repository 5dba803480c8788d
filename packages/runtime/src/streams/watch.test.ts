import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommittedChange, LogStore } from '../ports.ts';
import { createWatches } from './watch.ts';

function world() {
  const ears = new Set<(change: CommittedChange) => void>();
  const log = {
    watch(changed: (change: CommittedChange) => void) {
      ears.add(changed);
      return () => void ears.delete(changed);
    },
  };
  const commit = (session: string, activeRun: string | null = null): void => {
    for (const ear of ears)
      ear({ session, agent: 'a', head: 1, status: 'running', activeRun, outstanding: 0, own: true });
  };
  return { watches: createWatches(log as Pick<LogStore, 'watch'> as LogStore), ears, commit };
}

const isSettled = async (promise: Promise<void>): Promise<boolean> =>
  Promise.race([promise.then(() => true), Promise.resolve().then(() => false)]);

test('a commit stirs those who wait for its session, and nobody else', async () => {
  const { watches, commit } = world();
  const [mine, too, other] = [watches.of('s1').next(), watches.of('s1').next(), watches.of('s2').next()];
  commit('s1');
  await Promise.all([mine, too]);
  assert.equal(await isSettled(other), false);
});

test('what does not matter to who waits does not stir', async () => {
  const { watches, commit } = world();
  const next = watches.of('s1', ({ activeRun }) => activeRun !== 'r1').next();
  commit('s1', 'r1');
  assert.equal(await isSettled(next), false);
  commit('s1', 'r2');
  await next;
});

test('a change between taking the next one and awaiting it is not missed', async () => {
  const { watches, commit } = world();
  const watch = watches.of('s1');
  const next = watch.next();
  commit('s1');
  await next;
});

test('however many wait, the store has one ear, and none when the last has gone', () => {
  const { watches, ears } = world();
  const all = [watches.of('s1'), watches.of('s1'), watches.of('s2')];
  assert.equal(ears.size, 1);
  for (const watch of all) watch.close();
  all[0]?.close();
  assert.equal(ears.size, 0);
  watches.of('s1');
  assert.equal(ears.size, 1);
});
