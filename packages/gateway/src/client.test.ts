import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient } from '@perdure/contract';
import type { Entry } from '@perdure/contract';
import { createWorld, SESSION } from '../test/fakes.ts';

const entryEvent = (seq: number) => {
  const entry = {
    seq,
    at: 1,
    v: 1,
    kind: 'run.held',
    data: {},
    by: { kind: 'user', id: 'u' },
    hash: 'f',
  } as unknown as Entry;
  return { type: 'entry', entry } as const;
};

function connected(world = createWorld({ token: 'right' })) {
  const go = (url: string, init: RequestInit) => world.gateway.fetch(new Request(url, init));
  const client = createClient({ url: 'http://localhost:7420', token: 'right', fetch: go as typeof fetch });
  return { ...world, client };
}

test('the client and the gateway agree on methods, errors and blobs', async () => {
  const { api, client } = connected();
  api.answer = ({ params }) => ({ status: 202, result: { params } });
  const answer: unknown = await client.call('waits.resolve', { session: SESSION, wait: 'w1', answer: { answer: 'ä' } });
  assert.deepEqual(answer, { params: { session: SESSION, wait: 'w1', answer: { answer: 'ä' } } });
  await client.call('callbacks.resolve', { token: 'a/b', payload: null });
  assert.deepEqual(api.calls[1]?.params, { token: 'a/b', payload: null });
  await assert.rejects(client.call('sessions.get', { session: 'nope' }), { code: 'not_found', status: 404 });
  const { digest, bytes } = await client.putBlob(new Uint8Array([1, 2, 3]));
  assert.equal(bytes, 3);
  assert.deepEqual(await client.getBlob(digest), new Uint8Array([1, 2, 3]));
});

test('the client follows a stream to its end and asks for what it has not seen', async () => {
  const { api, client } = connected();
  api.channel.push(entryEvent(6), { type: 'caught-up', head: 6 }, entryEvent(7), { type: 'end', reason: 'closed' });
  const seen: string[] = [];
  for await (const event of client.events(SESSION, { after: 5, deltas: false }))
    seen.push(event.type === 'entry' ? String(event.entry.seq) : event.type);
  assert.deepEqual(seen, ['6', 'caught-up', '7', 'end']);
  assert.deepEqual(api.asked, { session: SESSION, after: 5, deltas: false });
});

test('the client follows the feed, and leaving it ends the source', async () => {
  const { api, client } = connected();
  const change = { session: SESSION, agent: 'a', head: 3, status: 'idle' as const };
  api.feedChannel.push({ type: 'change', cursor: 'c1', change });
  for await (const event of client.feed({ agent: 'a' })) {
    assert.deepEqual(event, { type: 'change', cursor: 'c1', change });
    break;
  }
  while (api.feedChannel.returned === 0) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(api.feedChannel.signals[0]?.aborted);
});
