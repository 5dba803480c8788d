import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { appendAfter, EMPTY_HEAD } from '@perdure/testkit/store-suite';
import { timers } from '../../test/support.ts';
import { createAppender } from './appender.ts';
import type { Row } from './statement.ts';

/** An appender on a database that answers a group when it is told to. */
function createBench() {
  const sent: { size: number; answer: () => Promise<void> }[] = [];
  const run = async (_tenant: string, _text: string, values: readonly unknown[] = []): Promise<Row[]> => {
    const size = (JSON.parse(String(values[3])) as unknown[]).length;
    const answered = Promise.withResolvers<Row[]>();
    const rows = [{ answer: JSON.stringify([false, Array.from({ length: size }, () => ['ok'])]) }];
    const answer = async (): Promise<void> => {
      answered.resolve(rows);
      await turn();
      await turn();
    };
    sent.push({ size, answer });
    return answered.promise;
  };
  const appender = createAppender({
    database: {
      schema: 's',
      place: 'here',
      run,
      session: async () => assert.fail(),
      away: () => null,
      close: async () => {},
    },
    tenant: 'default',
    opening: 1,
    timers,
    admit: async () => {},
    committed: () => {},
    isClosing: () => false,
    notify: () => {},
  });
  let sessions = 0;
  const append = async (count: number): Promise<void> => {
    for (let at = 0; at < count; at++) void appender.append(appendAfter(`s${sessions++}`, EMPTY_HEAD), null);
    await turn();
    await turn();
  };
  return { append, sent, sizes: () => sent.map(({ size }) => size) };
}

test('beside a group that is under way another one goes when it is as large, and a smaller one when that is back', async () => {
  const { append, sent, sizes } = createBench();
  await append(3);
  assert.deepEqual(sizes(), [3]);
  await append(2);
  assert.deepEqual(sizes(), [3], 'it gathers');
  await append(1);
  assert.deepEqual(sizes(), [3, 3]);
  await append(9);
  assert.deepEqual(sizes(), [3, 3], 'there are two at most');
  await sent[0]?.answer();
  assert.deepEqual(sizes(), [3, 3, 9]);
  await append(1);
  await sent[1]?.answer();
  assert.deepEqual(sizes(), [3, 3, 9]);
  await sent[2]?.answer();
  assert.deepEqual(sizes(), [3, 3, 9, 1]);
  await sent[3]?.answer();
});

test('who appends alone waits for nobody', async () => {
  const { append, sent, sizes } = createBench();
  await append(1);
  await append(1);
  assert.deepEqual(sizes(), [1, 1]);
  await Promise.all(sent.map(async ({ answer }) => answer()));
});
