import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '@perdure/contract';
import type { Delta, Entry } from '@perdure/contract';
import type { StreamEvent } from '@perdure/runtime';
import type { World } from '../test/fakes.ts';
import { createWorld, errorOf, EventReader, SESSION, settle } from '../test/fakes.ts';
import { LIMITS } from './limits.ts';

const entry = (seq: number, text = ''): StreamEvent => ({
  type: 'entry',
  entry: {
    seq,
    at: 1,
    v: 1,
    kind: 'context.unset',
    data: { key: text },
    by: { kind: 'user', id: 'u' },
    hash: 'ff',
  } as Entry,
});
const delta: Delta = { run: 'r1', effect: 'r1t1', attempt: 1, offset: 0, part: 'text', text: 'a\nb' };
const live: StreamEvent = { type: 'caught-up', head: 2 };
const path = `/v1/sessions/${SESSION}/events`;
const ids = (blocks: string[]): number[] =>
  blocks.flatMap((block) => /^id: (\d+)$/m.exec(block)?.[1] ?? []).map(Number);

async function open(world: World, query = '', headers: Record<string, string> = {}): Promise<EventReader> {
  const response = await world.request(`${path}${query}`, { headers: { accept: 'text/event-stream', ...headers } });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/);
  return new EventReader(response);
}

test('entries have their kind as event and their seq as id; control events and deltas have no id', async () => {
  const world = createWorld();
  const { channel } = world.api;
  channel.push(entry(1), live, { type: 'delta', delta }, entry(2), { type: 'resync', after: 7, reason: 'gone' });
  channel.push({ type: 'end', reason: 'closed' });
  const blocks = await (await open(world)).rest();
  const json = (data: unknown): string => `data: ${JSON.stringify(data)}`;
  assert.deepEqual(blocks, [
    `retry: ${LIMITS.retryMs}`,
    `event: context.unset\nid: 1\n${json((entry(1) as { entry: Entry }).entry)}`,
    `event: caught-up\n${json({ head: 2 })}`,
    `event: delta\n${json(delta)}`,
    `event: context.unset\nid: 2\n${json((entry(2) as { entry: Entry }).entry)}`,
    `event: resync\n${json({ after: 7, reason: 'gone' })}`,
    `event: end\n${json({ reason: 'closed' })}`,
  ]);
  assert.equal(channel.returned, 1);
  assert.equal(world.timers.pending, 0);
});

test('nothing in an entry can begin a line of its own', async () => {
  const world = createWorld();
  const evil = entry(1, 'x\ndata: forged\r\nid: 99\n\nevent: end\u2028\0') as { type: 'entry'; entry: Entry };
  (evil.entry as { kind: string }).kind = 'a\nid: 5\r\ndata: x';
  world.api.channel.push(evil, { type: 'end', reason: 'closed' });
  const [, block] = await (await open(world)).rest();
  assert.deepEqual(
    block?.split(/\r\n|\r|\n/).map((line) => line.split(':')[0]),
    ['event', 'id', 'data'],
  );
  assert.deepEqual(ids([block ?? '']), [1]);
});

test('Last-Event-ID wins over after, which defaults to 0; deltas can be left out', async () => {
  const asked = async (query: string, headers: Record<string, string> = {}) => {
    const world = createWorld();
    world.api.channel.push(live);
    await (await open(world, query, headers)).cancel();
    return world.api.asked;
  };
  assert.deepEqual(await asked(''), { session: SESSION, after: 0, deltas: true });
  assert.deepEqual(await asked('?after=5&deltas=false'), { session: SESSION, after: 5, deltas: false });
  assert.deepEqual(await asked('?after=5', { 'last-event-id': '9' }), { session: SESSION, after: 9, deltas: true });
  const world = createWorld();
  for (const [query, id] of [
    ['?after=x', ''],
    ['?after=-1', ''],
    ['', 'abc'],
    ['', '-3'],
    ['?limit=3', ''],
  ]) {
    const headers = { accept: 'text/event-stream', ...(id === '' ? {} : { 'last-event-id': id ?? '' }) };
    const response = await world.request(`${path}${query}`, { headers });
    assert.deepEqual([response.status, (await errorOf(response)).code], [400, 'invalid_request'], `${query} ${id}`);
  }
});

test('without Accept the same address is a page of JSON; HEAD opens no stream', async () => {
  const world = createWorld();
  await world.request(path);
  assert.equal(world.api.calls[0]?.method, 'events.list');
  const head = await world.request(path, { method: 'HEAD', headers: { accept: 'text/event-stream' } });
  assert.equal(head.status, 200);
  assert.equal(world.api.channel.signals.length, 0);
});

test('what the source refuses before its first event is answered with its status', async () => {
  const world = createWorld();
  world.api.channel.push(new ApiError('not_found', 'no session') as never);
  const response = await world.request(path, { headers: { accept: 'text/event-stream' } });
  assert.deepEqual([response.status, (await errorOf(response)).code], [404, 'not_found']);
  assert.ok(world.api.channel.signals[0]?.aborted);
});

test('the line of the log about a stream names its session', async () => {
  const lines: object[] = [];
  const log = (): void => undefined;
  const debug = (fields: object): void => void lines.push(fields);
  const world = createWorld({ logger: { debug, info: log, warn: log, error: log } });
  world.api.channel.push({ type: 'end', reason: 'closed' });
  await (await open(world)).rest();
  assert.deepEqual(
    lines.map((line) => 'session' in line && line.session),
    [SESSION],
  );
});

test('a source that breaks later ends the stream with where to resume, and says nothing of the cause', async () => {
  const world = createWorld();
  world.api.channel.push(entry(1), entry(2), new Error('disk /secret') as never);
  const blocks = await (await open(world)).rest();
  assert.match(blocks.at(-1) ?? '', /^retry: \d+\nevent: end\ndata: {"reason":"error".*"resume":/);
  assert.ok(!blocks.join('').includes('/secret'));
  const told = world.logged.find((line) => line.includes('/secret')) ?? '';
  assert.ok(told.includes(`"session":"${SESSION}"`), told);
});

test('a heartbeat comes every 15 s while there is nothing else', async () => {
  const world = createWorld();
  world.api.channel.push(live);
  const reader = await open(world);
  await reader.take(2);
  for (let beat = 0; beat < 3; beat += 1) {
    const block = reader.next();
    await settle();
    world.timers.pass(LIMITS.heartbeatMs);
    assert.equal(await block, ': still here');
  }
  await reader.cancel();
  assert.equal(world.timers.pending, 0);
});

test('a reader who goes away ends the source; a request that is aborted does too', async () => {
  const world = createWorld();
  world.api.channel.push(live);
  const reader = await open(world);
  await reader.take(2);
  await reader.cancel();
  await settle();
  assert.deepEqual([world.api.channel.signals[0]?.aborted, world.api.channel.returned], [true, 1]);

  const other = createWorld();
  const abort = new AbortController();
  other.api.channel.push(live);
  const headers = { accept: 'text/event-stream' };
  const response = await other.request(path, { headers, signal: abort.signal });
  await new EventReader(response).take(2);
  abort.abort();
  await settle();
  assert.deepEqual([other.api.channel.signals[0]?.aborted, other.api.channel.returned], [true, 1]);
});

test('a live reader who falls behind is cut with the id to resume from, and the source never waited', async () => {
  const world = createWorld();
  const { channel } = world.api;
  channel.push(entry(1), live);
  const reader = await open(world);
  assert.deepEqual(ids(await reader.take(3)), [1]);
  const text = 'x'.repeat(10_000);
  const count = Math.ceil((LIMITS.streamBufferBytes * 2) / text.length);
  for (let seq = 2; seq < 2 + count; seq += 1) channel.push(entry(seq, text));
  await settle();
  assert.equal(channel.returned, 1, 'the source is let go at the cut');
  assert.ok(channel.taken < count, 'and not read to its end');
  const blocks = await reader.rest();
  const last = ids(blocks).at(-1) ?? 1;
  const end = /^data: (.*)$/m.exec(blocks.at(-1) ?? '')?.[1] ?? '';
  assert.deepEqual(JSON.parse(end), { reason: 'slow', retryMs: LIMITS.retryMs, resume: String(last) });
  assert.deepEqual(
    ids(blocks),
    [...ids(blocks)].sort((a, b) => a - b),
  );
});

test('a long replay is not cut: the source is read no faster than the reader reads, and nothing is missing', async () => {
  const world = createWorld();
  const { channel } = world.api;
  const text = 'x'.repeat(10_000);
  const count = Math.ceil((LIMITS.streamBufferBytes * 5) / text.length);
  for (let seq = 1; seq <= count; seq += 1) channel.push(entry(seq, text));
  channel.push(live, { type: 'end', reason: 'closed' });
  const reader = await open(world);
  await settle();
  assert.ok(channel.taken * text.length <= LIMITS.streamBufferBytes, `${channel.taken} taken`);
  const blocks = await reader.rest();
  assert.deepEqual(
    ids(blocks),
    Array.from({ length: count }, (_, index) => index + 1),
  );
  assert.match(blocks.at(-1) ?? '', /closed/);
});

test('one event larger than the buffer still goes through', async () => {
  const world = createWorld();
  world.api.channel.push(live);
  const reader = await open(world);
  await reader.take(2);
  world.api.channel.push(entry(1, 'x'.repeat(LIMITS.streamBufferBytes + 10)), { type: 'end', reason: 'closed' });
  assert.deepEqual(ids(await reader.rest()), [1]);
});

test('a reader who takes nothing for a minute while something waits is broken off', async () => {
  const world = createWorld();
  world.api.channel.push(live);
  const reader = await open(world);
  await reader.take(2);
  world.api.channel.push(entry(1), entry(2));
  await settle();
  // One read is always under way; what comes after it waits.
  world.api.channel.push(entry(3));
  await settle();
  for (let beat = 0; beat < LIMITS.stalledHeartbeats; beat += 1) world.timers.pass(LIMITS.heartbeatMs);
  await settle();
  assert.deepEqual([world.api.channel.signals[0]?.aborted, world.timers.pending], [true, 0]);
  await assert.rejects(reader.rest(), /stopped reading/);
});

test('a drain ends each stream with a hint to come back', async () => {
  const world = createWorld();
  world.api.channel.push(entry(1), live);
  const reader = await open(world);
  await reader.take(3);
  world.gateway.drain();
  const blocks = await reader.rest();
  assert.match(blocks.at(-1) ?? '', /^retry: 1000\nevent: end\ndata: {"reason":"drain","retryMs":1000}$/);
  await settle();
  assert.deepEqual([world.api.channel.signals[0]?.aborted, world.api.channel.returned], [true, 1]);
});

test('the feed has its cursor as id, and resumes from it', async () => {
  const world = createWorld();
  const change = { session: SESSION, agent: 'a', head: 3, status: 'running' as const };
  world.api.feedChannel.push({ type: 'change', cursor: 'c1', change }, { type: 'caught-up', cursor: 'c1' });
  world.api.feedChannel.push({ type: 'resync', cursor: 'c9' }, { type: 'end', reason: 'drain', retryMs: 5 });
  const response = await world.request('/v1/events?agent=a&after=c0', { headers: { 'last-event-id': 'c00' } });
  assert.deepEqual(await new EventReader(response).rest(), [
    `retry: ${LIMITS.retryMs}`,
    `event: change\nid: c1\ndata: ${JSON.stringify(change)}`,
    'event: caught-up\ndata: {"cursor":"c1"}',
    'event: resync\ndata: {"cursor":"c9"}',
    'retry: 5\nevent: end\ndata: {"reason":"drain","retryMs":5}',
  ]);
  assert.deepEqual(world.api.asked, { after: 'c00', agent: 'a' });
});
