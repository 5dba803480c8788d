import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appendAfter, EMPTY_HEAD } from '@perdure/testkit/store-suite';
import { LIMITS } from '../limits.ts';
import { packAppend, type Pending, receiveGroup } from './group.ts';
import type { Group, Reply, ToCommitter } from './protocol.ts';
import { createQueue } from './queue.ts';

function fixture() {
  const sent: Group[] = [];
  const heard: string[] = [];
  const settled: string[] = [];
  let held = false;
  const worker = {
    post: (message: ToCommitter) => void (message.type === 'group' && sent.push(message)),
    ref: () => void (held = true),
    unref: () => void (held = false),
  };
  const queue = createQueue(worker, {
    appended: (_, request) => void heard.push(request.session),
    committed: () => {},
  });
  const submit = (session: string): void => {
    const request = appendAfter(session, EMPTY_HEAD);
    const pending: Pending = {
      tenant: 't',
      write: packAppend('t', request, 0),
      settle: (reply: Reply) => {
        settled.push(`${session} ${reply === 0 ? 'ok' : 'error' in reply ? reply.error : 'refused'}`);
      },
    };
    queue.submit(pending);
  };
  const sizes = (): number[] => sent.map((group) => receiveGroup(group).length);
  return { queue, worker, submit, sizes, heard, settled, held: () => held };
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('what is appended in one go shares a commit, however many promises lie between', async () => {
  const { submit, sizes } = fixture();
  submit('a');
  void Promise.resolve()
    .then(() => submit('b'))
    .then(() => submit('c'));
  await tick();
  assert.deepEqual(sizes(), [3]);
});

/** A group of many has just been committed. */
async function busy() {
  const made = fixture();
  const many = Array.from({ length: LIMITS.busyGroup + 1 }, (_, at) => `s${at}`);
  for (const session of many) made.submit(session);
  await tick();
  made.queue.replied(many.map(() => 0));
  return { ...made, sizes: () => made.sizes().slice(1) };
}

test('where many write, what comes turn after turn shares a commit, and the first turn that brings nothing ends that', async () => {
  const { submit, sizes } = await busy();
  submit('a');
  await tick();
  submit('b');
  await tick();
  assert.deepEqual(sizes(), []);
  await tick();
  assert.deepEqual(sizes(), [2]);
});

test('a commit waits for others through so many turns, and no more', async () => {
  const { submit, sizes } = await busy();
  for (let turn = 0; turn < LIMITS.gatherTurns; turn += 1) {
    assert.deepEqual(sizes(), []);
    submit(`s${turn}`);
    await tick();
  }
  assert.deepEqual(sizes(), [LIMITS.gatherTurns]);
});

test('what arrives while a commit is under way goes into the next one, as one message', async () => {
  const { queue, submit, sizes, settled } = fixture();
  submit('a');
  await tick();
  submit('b');
  await tick();
  submit('c');
  await tick();
  assert.deepEqual(sizes(), [1]);
  queue.replied([0]);
  assert.deepEqual(settled, ['a ok']);
  await tick();
  assert.deepEqual(sizes(), [1, 2]);
});

test('what the answers of a commit lead to shares the next one with what came meanwhile', async () => {
  const { queue, submit, sizes } = fixture();
  submit('a');
  await tick();
  submit('b');
  queue.replied([0]);
  submit('c');
  void Promise.resolve().then(() => submit('d'));
  await tick();
  assert.deepEqual(sizes(), [1, 3]);
});

test('whoever was alone goes at once; whoever has company waits for it', async () => {
  const { queue, submit, sizes } = fixture();
  submit('a');
  await tick();
  queue.replied([0]);
  submit('a');
  await Promise.resolve();
  assert.deepEqual(sizes(), [1, 1]);
  submit('b');
  queue.replied([0]);
  submit('a');
  await Promise.resolve();
  assert.deepEqual(sizes(), [1, 1]);
  await tick();
  assert.deepEqual(sizes(), [1, 1, 2]);
});

test('watchers hear of a whole group in commit order, and only of what is stored', async () => {
  const { queue, submit, heard, settled } = fixture();
  for (const session of ['a', 'b', 'c']) submit(session);
  await tick();
  queue.replied([0, { refusal: { ok: false, code: 'fenced' } }, 0]);
  assert.deepEqual(heard, ['a', 'c']);
  assert.deepEqual(settled, ['a ok', 'b refused', 'c ok']);
});

test('a stop answers what is under way, what waits and what comes, once each', async () => {
  const { queue, submit, settled, held } = fixture();
  submit('a');
  await tick();
  submit('b');
  queue.stop('the disk failed');
  submit('c');
  assert.deepEqual(settled, ['a unavailable', 'b unavailable', 'c unavailable']);
  queue.replied([0]);
  assert.equal(settled.length, 3);
  assert.equal(held(), false);
});

test('writes under way hold the process, an idle store does not', async () => {
  const { queue, submit, held } = fixture();
  assert.equal(held(), false);
  submit('a');
  assert.equal(held(), true);
  await tick();
  queue.replied([0]);
  assert.equal(held(), false);
});

test('a stop while the thread is being closed does not let the process go before it has ended', async () => {
  const { queue, worker, held } = fixture();
  await queue.drain('the store is closed');
  worker.ref();
  queue.stop('the disk failed');
  assert.equal(held(), true);
});

test('a drain takes nothing more and waits for what was taken', async () => {
  const { queue, submit, settled } = fixture();
  submit('a');
  let drained = false;
  const drain = queue.drain('closed').then(() => (drained = true));
  submit('b');
  await tick();
  assert.deepEqual([settled, drained], [['b unavailable'], false]);
  queue.replied([0]);
  await drain;
  assert.deepEqual(settled, ['b unavailable', 'a ok']);
});
