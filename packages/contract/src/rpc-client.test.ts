import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SessionEvent } from './client.ts';
import { LIMITS } from './limits.ts';
import { RPC_PROTOCOL } from './rpc.ts';
import { createRpcClient } from './rpc-client.ts';

type Sent = { id?: number; method: string; params: { [name: string]: unknown } };

/** A WebSocket whose other end is the test. */
class FakeSocket extends EventTarget {
  readonly OPEN = 1;
  readyState = 0;
  readonly sent: Sent[] = [];
  readonly url: string;
  readonly protocols: string[];
  constructor(url: string, protocols: string[]) {
    super();
    this.url = url;
    this.protocols = protocols;
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text) as Sent);
  }
  close(): void {
    this.readyState = 3;
  }
  opens(): void {
    this.readyState = 1;
    this.dispatchEvent(new Event('open'));
  }
  breaks(): void {
    this.readyState = 3;
    this.dispatchEvent(new Event('error'));
    this.dispatchEvent(new Event('close'));
  }
  says(message: object): void {
    const data = JSON.stringify({ jsonrpc: '2.0', ...message });
    this.dispatchEvent(new MessageEvent('message', { data }));
  }
  answers(index: number, result: object): void {
    this.says({ id: this.sent[index]?.id, result });
  }
}

function world() {
  const sockets: FakeSocket[] = [];
  const idles: (() => void)[] = [];
  const set = (afterMs: number, run: () => void) => {
    if (afterMs === LIMITS.streamIdleMs) idles.push(run);
    else queueMicrotask(run);
    return { cancel: () => undefined };
  };
  const opened: (() => void)[] = [];
  class Socket extends FakeSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
      for (const tell of opened.splice(0)) tell();
    }
  }
  const WebSocket = Socket as unknown as typeof globalThis.WebSocket;
  const client = createRpcClient({ url: 'http://localhost:7420/', token: 'tökén', WebSocket, timers: { set } });
  let taken = 0;
  /** The next socket, once the client makes it. */
  const next = async (): Promise<FakeSocket> => {
    const index = taken++;
    while (sockets[index] === undefined) await new Promise<void>((resolve) => opened.push(resolve));
    return sockets[index];
  };
  return { client, sockets, next, silence: () => idles.at(-1)?.() };
}

const settle = async (): Promise<void> => {
  for (let round = 0; round < 3; round += 1) await new Promise((resolve) => setImmediate(resolve));
};
const entry = (seq: number) => ({
  method: 'events.event',
  params: { subscription: 's1', type: 'entry', entry: { seq, kind: 'run.held' } },
});

test('it connects with the first call, offers the token as a subprotocol, and calls run side by side', async () => {
  const { client, sockets, next } = world();
  assert.equal(sockets.length, 0);
  const socketing = next();
  const first = client.call('agents.list', {});
  const second = client.call('sessions.get', { session: 's' });
  const socket = await socketing;
  assert.equal(socket.url, 'ws://localhost:7420/v1/rpc');
  const [ours, bearer = ''] = socket.protocols;
  assert.equal(ours, RPC_PROTOCOL);
  assert.equal(Buffer.from(bearer.split('.').at(-1) ?? '', 'base64url').toString(), 'tökén');
  socket.opens();
  await settle();
  assert.deepEqual(
    socket.sent.map(({ method, params }) => [method, params]),
    [
      ['agents.list', {}],
      ['sessions.get', { session: 's' }],
    ],
  );
  socket.answers(1, { id: 's' });
  assert.deepEqual(await second, { id: 's' });
  const data = { code: 'rate_limited', details: { a: 1 }, requestId: 'req_1.1' };
  socket.says({ id: socket.sent[0]?.id, error: { code: -32_000, message: 'later', data } });
  await assert.rejects(first, { code: 'rate_limited', status: 429, message: 'later', requestId: 'req_1.1' });
  assert.equal(sockets.length, 1);
});

test('a connection that breaks fails what is under way as unavailable; the next call opens another', async () => {
  const { client, next } = world();
  const refused = next();
  const lost = client.call('agents.list', {});
  (await refused).breaks();
  await assert.rejects(lost, { code: 'unavailable', message: /localhost:7420/ });
  const broken = next();
  const cut = client.call('agents.list', {});
  const socket = await broken;
  socket.opens();
  await settle();
  socket.breaks();
  await assert.rejects(cut, { code: 'unavailable' });
  const again = next();
  const done = client.call('agents.list', {});
  const third = await again;
  third.opens();
  await settle();
  third.answers(0, { agents: [] });
  assert.deepEqual(await done, { agents: [] });
});

test('a stream comes back after what it saw last, on a new connection and on the same one', async () => {
  const { client, next } = world();
  const seen: string[] = [];
  const reading = (async () => {
    for await (const event of client.events('s', { after: 4 }))
      seen.push(event.type === 'entry' ? String(event.entry.seq) : event.type);
  })();
  const first = await next();
  first.opens();
  await settle();
  assert.deepEqual(first.sent[0]?.params, { session: 's', after: 4, deltas: true });
  first.answers(0, { subscription: 's1' });
  first.says(entry(5));
  first.says(entry(6));
  await settle();
  const second = next();
  first.breaks();
  const socket = await second;
  socket.opens();
  await settle();
  assert.equal(socket.sent[0]?.params['after'], 6);
  socket.answers(0, { subscription: 's1' });
  socket.says(entry(6));
  socket.says(entry(7));
  socket.says({ method: 'events.event', params: { subscription: 's1', type: 'end', reason: 'slow', retryMs: 5 } });
  await settle();
  const repeated = socket.sent.at(-1);
  assert.deepEqual([repeated?.method, repeated?.params['after']], ['events.subscribe', 7]);
  socket.answers(socket.sent.length - 1, { subscription: 's2' });
  for (const params of [
    { subscription: 's1', type: 'entry', entry: { seq: 9, kind: 'run.held' } },
    { subscription: 's2', type: 'entry', entry: { seq: 8, kind: 'run.held' } },
    { subscription: 's2', type: 'end', reason: 'closed' },
  ])
    socket.says({ method: 'events.event', params });
  await reading;
  assert.deepEqual(seen, ['5', '6', '7', '8', 'end']);
});

test('what arrives with the answer that opened a subscription is not lost', async () => {
  const { client, next } = world();
  const events = client.events('s');
  const first = events.next();
  const socket = await next();
  socket.opens();
  await settle();
  socket.answers(0, { subscription: 's1' });
  socket.says(entry(1));
  assert.equal(((await first).value as { entry: { seq: number } }).entry.seq, 1);
  await events.return(undefined);
  assert.deepEqual(socket.sent.at(-1), { jsonrpc: '2.0', method: 'unsubscribe', params: { subscription: 's1' } });
});

test('an abort ends a stream without an error, also while it is being opened, and the server is told', async () => {
  const { client, next } = world();
  const abort = new AbortController();
  const seen: SessionEvent[] = [];
  const reading = (async () => {
    for await (const event of client.events('s', { signal: abort.signal })) seen.push(event);
  })();
  const socket = await next();
  socket.opens();
  await settle();
  abort.abort();
  await reading;
  socket.answers(0, { subscription: 's1' });
  assert.deepEqual(socket.sent.at(-1)?.method, 'unsubscribe');
  assert.equal(seen.length, 0);
});

test('a reader who falls behind is not given more than the bound: it subscribes again from where it is', async () => {
  const { client, next } = world();
  const events = client.events('s');
  const first = events.next();
  const socket = await next();
  socket.opens();
  await settle();
  socket.answers(0, { subscription: 's1' });
  for (let seq = 1; seq <= LIMITS.clientQueueEvents + 50; seq += 1) socket.says(entry(seq));
  await first;
  for (let seq = 2; seq <= LIMITS.clientQueueEvents; seq += 1)
    assert.equal(((await events.next()).value as { entry: { seq: number } }).entry.seq, seq);
  void events.next();
  await settle();
  const again = socket.sent.filter(({ method }) => method === 'events.subscribe').at(1);
  assert.equal(again?.params['after'], LIMITS.clientQueueEvents);
});

test('a connection that is silent for too long is taken for broken', async () => {
  const { client, next, silence } = world();
  const reading = client.call('agents.list', {});
  const socket = await next();
  socket.opens();
  await settle();
  silence();
  await assert.rejects(reading, { code: 'unavailable' });
  assert.equal(socket.readyState, 3);
});
