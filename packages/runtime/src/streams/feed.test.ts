import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openMemoryStore } from '@perdure/stores/memory';
import { appendAfter, EMPTY_HEAD } from '@perdure/testkit';
import type { FeedEvent } from '../api.ts';
import { feed } from './feed.ts';
import type { LogStore } from '../ports.ts';
import { system } from '../system.ts';

const AGENTS = ['clerk', 'guard'];

/** Sessions `s0`, `s1`, ... of the two agents by turns. */
async function logOf(sessions: number): Promise<LogStore> {
  const { log } = openMemoryStore({ clock: system.clock }).tenant('default');
  for (let n = 0; n < sessions; n++) {
    const { ok } = await log.append(appendAfter(`s${n}`, EMPTY_HEAD, { index: { agent: AGENTS[n % 2] ?? '' } }));
    assert.ok(ok);
  }
  return log;
}

/** What a reader is shown until it has `limit` events or is up to date. */
async function read(log: LogStore, options: { after: string | null; agent?: string }, limit = Infinity) {
  const leave = new AbortController();
  const seen: FeedEvent[] = [];
  for await (const event of feed(log, { ...options, signal: leave.signal }, new AbortController().signal)) {
    if (event.type === 'caught-up') break;
    seen.push(event);
    if (seen.length === limit) break;
  }
  leave.abort();
  return seen.flatMap((event) => (event.type === 'change' ? [event] : []));
}

test('a reader who is cut off anywhere in the feed is shown the rest when it comes back with its last cursor', async () => {
  const log = await logOf(5);
  for (let cut = 1; cut <= 5; cut++) {
    const first = await read(log, { after: null }, cut);
    const rest = await read(log, { after: first.at(-1)?.cursor ?? null });
    const seen = new Set([...first, ...rest].map(({ change }) => change.session));
    assert.deepEqual([...seen].sort(), ['s0', 's1', 's2', 's3', 's4'], `cut after ${cut}`);
  }
  const whole = await read(log, { after: null });
  assert.deepEqual(
    await read(log, { after: whole.at(-1)?.cursor ?? null }),
    [],
    'who saw all of it is shown nothing twice',
  );
});

test('a reader of one agent who has seen all its changes comes back behind those of the others too', async () => {
  const log = await logOf(4);
  const seen = await read(log, { after: null, agent: 'clerk' });
  assert.deepEqual(
    seen.map(({ change }) => change.session),
    ['s0', 's2'],
  );
  assert.deepEqual(await read(log, { after: seen.at(-1)?.cursor ?? null }), []);
});
