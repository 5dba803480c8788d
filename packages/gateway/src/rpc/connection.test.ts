import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '@perdure/contract';
import type { Delta, Entry } from '@perdure/contract';
import type { StreamEvent } from '@perdure/runtime';
import type { World } from '../../test/fakes.ts';
import { Channel, createWorld, SESSION, settle } from '../../test/fakes.ts';
import { LIMITS } from '../limits.ts';
import type { Bound, Socket } from './index.ts';

type Note = { subscription: string; type: string; entry?: Entry; reason?: string; resume?: unknown; retryMs?: number };
type Said = { id?: unknown; result?: unknown; error?: { data: { code: string } }; method?: string; params?: Note };

/** A socket that a test reads from as fast as it likes. */
class FakeSocket implements Socket {
  readonly said: Said[] = [];
  readonly bytes: number[] = [];
  /** False: the network takes nothing more. */
  isReading = true;
  pings = 0;
  isPaused = false;
  closing: number | null = null;
  terminated = false;
  #untaken: (() => void)[] = [];
  send(text: string, taken: () => void): void {
    this.said.push(JSON.parse(text) as Said);
    this.bytes.push(Buffer.byteLength(text));
    if (this.isReading) queueMicrotask(taken);
    else this.#untaken.push(taken);
  }
  read(): void {
    this.isReading = true;
    for (const taken of this.#untaken.splice(0)) taken();
  }
  ping(): void {
    this.pings += 1;
  }
  pause(): void {
    this.isPaused = true;
  }
  resume(): void {
    this.isPaused = false;
  }
  close(code: number): void {
    this.closing = code;
  }
  terminate(): void {
    this.terminated = true;
  }
  notes(subscription: string): Note[] {
    return this.said.flatMap(({ params }) => (params?.subscription === subscription ? [params] : []));
  }
}

type Peer = {
  socket: FakeSocket;
  bound: Bound;
  /** Sends a call, and gives its answer once it is there. */
  ask: (method: string, params?: object) => Promise<Said>;
};

function join(world: World): Peer {
  const headers = new Headers({ host: 'localhost:7420' });
  const admitted = world.gateway.admit({ headers, path: '/v1/rpc', port: 7420 });
  assert.ok('bind' in admitted);
  const socket = new FakeSocket();
  const bound = admitted.bind(socket);
  let last = 0;
  const ask: Peer['ask'] = async (method, params = {}) => {
    const id = (last += 1);
    await bound.received(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    await settle();
    return socket.said.find((said) => said.id === id) ?? assert.fail(`no answer to ${method}`);
  };
  return { socket, bound, ask };
}

const entry = (seq: number, text = ''): StreamEvent => ({
  type: 'entry',
  entry: {
    seq,
    at: 1,
    v: 1,
    kind: 'context.unset',
    data: { key: text },
    by: { kind: 'user', id: 'u' },
    hash: 'f',
  } as Entry,
});
const delta: Delta = { run: 'r1', effect: 'r1t1', attempt: 1, offset: 0, part: 'text', text: 'a' };
const live: StreamEvent = { type: 'caught-up', head: 1 };
const subscribe = async ({ ask }: Peer, more: object = {}) => ask('events.subscribe', { session: SESSION, ...more });
const seqs = (notes: Note[]): number[] => notes.flatMap(({ entry: one }) => (one === undefined ? [] : [one.seq]));

test('a subscription is answered before its first event; each kind of event is a notification under it', async () => {
  const world = createWorld();
  world.api.channel.push(entry(6), live, { type: 'delta', delta }, { type: 'resync', after: 9, reason: 'gone' });
  world.api.channel.push({ type: 'end', reason: 'closed' });
  const peer = join(world);
  const answer = await subscribe(peer, { after: 5, deltas: true });
  assert.deepEqual(answer.result, { subscription: 's1' });
  assert.equal(peer.socket.said[0], answer);
  assert.deepEqual(world.api.asked, { session: SESSION, after: 5, deltas: true });
  assert.deepEqual(
    peer.socket.said.slice(1).map(({ method, params }) => [method, params]),
    [
      ['events.event', { subscription: 's1', ...entry(6) }],
      ['events.event', { subscription: 's1', ...live }],
      ['events.event', { subscription: 's1', type: 'delta', delta }],
      ['events.event', { subscription: 's1', type: 'resync', after: 9, reason: 'gone' }],
      ['events.event', { subscription: 's1', type: 'end', reason: 'closed' }],
    ],
  );
  assert.equal(world.api.channel.returned, 1);
});

test('in a batch too, events follow the answer', async () => {
  const world = createWorld();
  world.api.channel.push(entry(1), live);
  const { socket, bound } = join(world);
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const call = world.api.call.bind(world.api);
  world.api.call = async (...given) => {
    await gate;
    return call(...given);
  };
  const batch = [
    { jsonrpc: '2.0', id: 1, method: 'events.subscribe', params: { session: SESSION } },
    { jsonrpc: '2.0', id: 2, method: 'agents.list' },
  ];
  const answered = bound.received(JSON.stringify(batch));
  await settle();
  assert.equal(socket.said.length, 0, 'the subscription waits for the rest of its batch');
  open();
  await answered;
  await settle();
  assert.ok(Array.isArray(socket.said[0]));
  assert.deepEqual(seqs(socket.notes('s1')), [1]);
});

test('a subscription that a drain ends before its answer is out is told so after it', async () => {
  const world = createWorld();
  world.api.channel.push(live);
  const { socket, bound } = join(world);
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  world.api.call = async () => {
    await gate;
    return { status: 200, result: 1 } as never;
  };
  const subscribing = { jsonrpc: '2.0', id: 1, method: 'events.subscribe', params: { session: SESSION } };
  const answered = bound.received(JSON.stringify([subscribing, { jsonrpc: '2.0', id: 2, method: 'agents.list' }]));
  await settle();
  world.gateway.drain();
  await settle();
  assert.equal(socket.said.length, 0);
  open();
  await answered;
  await settle();
  assert.ok(Array.isArray(socket.said[0]));
  assert.deepEqual(
    socket.notes('s1').map(({ reason }) => reason),
    ['drain'],
  );
  assert.ok(world.api.channel.signals[0]?.aborted);
});

test('what the source refuses before its first event is the answer; what breaks later is an end with where to resume', async () => {
  const world = createWorld();
  const peer = join(world);
  world.api.channel.push(new ApiError('not_found', 'no session'));
  assert.equal((await subscribe(peer)).error?.data.code, 'not_found');
  world.api.channel.push(entry(1), entry(2), new Error('disk /secret'));
  await subscribe(peer);
  const end = peer.socket.notes('s2').at(-1);
  assert.deepEqual([end?.type, end?.reason, end?.resume], ['end', 'error', 2]);
  assert.ok(!JSON.stringify(peer.socket.said).includes('/secret'));
  assert.ok(world.logged.some((line) => line.includes('/secret')));
});

test('nothing follows the answer that ended a subscription, and its source is let go', async () => {
  const world = createWorld();
  world.api.channel.push(entry(1), live);
  const peer = join(world);
  await subscribe(peer);
  peer.socket.isReading = false;
  for (let seq = 2; seq < 40; seq += 1) world.api.channel.push(entry(seq, 'x'.repeat(5_000)));
  await settle();
  const left = peer.ask('unsubscribe', { subscription: 's1' });
  await settle();
  peer.socket.read();
  assert.deepEqual((await left).result, { subscription: 's1' });
  assert.equal(peer.socket.said.at(-1)?.method, undefined, 'the answer is the last');
  assert.ok((seqs(peer.socket.notes('s1')).at(-1) ?? 0) < 39, 'what waited was dropped');
  assert.ok(world.api.channel.signals[0]?.aborted);
  world.api.channel.push(entry(99));
  await settle();
  assert.equal(peer.socket.said.at(-1)?.method, undefined);
  assert.equal((await peer.ask('unsubscribe', { subscription: 's1' })).error?.data.code, 'not_found');
});

test('a live reader who falls behind is cut with the seq to resume from; its neighbour on the connection is not', async () => {
  const world = createWorld();
  const [fast, slow] = [new Channel<StreamEvent>(), new Channel<StreamEvent>()];
  const channels = [fast, slow];
  world.api.events = (_caller, _session, { signal }) => channels.shift()?.open(signal) ?? assert.fail();
  const peer = join(world);
  fast.push(live);
  slow.push(entry(1), live);
  await subscribe(peer);
  await subscribe(peer);
  peer.socket.isReading = false;
  const count = Math.ceil((LIMITS.streamBufferBytes * 2) / 10_000);
  for (let seq = 2; seq < 2 + count; seq += 1) slow.push(entry(seq, 'x'.repeat(10_000)));
  await settle();
  assert.equal(slow.returned, 1, 'the source is let go at the cut');
  assert.ok(slow.taken < count, 'and was not read to its end');
  fast.push(entry(1));
  await settle();
  while (!peer.socket.isReading) peer.socket.read();
  await settle();
  const got = seqs(peer.socket.notes('s2'));
  assert.deepEqual(
    got,
    got.map((_, index) => index + 1),
    'no gap before the cut',
  );
  const end = peer.socket.notes('s2').at(-1);
  assert.deepEqual([end?.reason, end?.resume, end?.retryMs], ['slow', got.at(-1), LIMITS.retryMs]);
  assert.deepEqual(seqs(peer.socket.notes('s1')), [1]);
  assert.equal(fast.returned, 0);
});

test('a long replay is not cut: the source is read no faster than the reader reads, and nothing is missing', async () => {
  const world = createWorld();
  const { channel } = world.api;
  const count = Math.ceil((LIMITS.streamBufferBytes * 3) / 10_000);
  for (let seq = 1; seq <= count; seq += 1) channel.push(entry(seq, 'x'.repeat(10_000)));
  channel.push(live);
  const peer = join(world);
  peer.socket.isReading = false;
  const asked = peer.bound.received(
    JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'events.subscribe', params: { session: SESSION } }),
  );
  await asked;
  await settle();
  assert.ok(channel.taken * 10_000 < LIMITS.streamBufferBytes, `${channel.taken} were read ahead`);
  while (peer.socket.notes('s1').at(-1)?.type !== 'caught-up') {
    peer.socket.read();
    peer.socket.isReading = false;
    await settle();
  }
  assert.deepEqual(
    seqs(peer.socket.notes('s1')),
    Array.from({ length: count }, (_, index) => index + 1),
  );
});

test('the feed is a subscription too, with its own cursor and filter', async () => {
  const world = createWorld();
  const change = { session: SESSION, agent: 'a', head: 3, status: 'idle' as const };
  world.api.feedChannel.push({ type: 'change', cursor: 'c1', change }, { type: 'caught-up', cursor: 'c1' });
  const peer = join(world);
  await peer.ask('feed.subscribe', { after: 'c0', agent: 'a' });
  assert.deepEqual(world.api.asked, { after: 'c0', agent: 'a' });
  assert.deepEqual(
    peer.socket.said.slice(1).map(({ method, params }) => [method, params]),
    [
      ['feed.event', { subscription: 's1', type: 'change', cursor: 'c1', change }],
      ['feed.event', { subscription: 's1', type: 'caught-up', cursor: 'c1' }],
    ],
  );
});

test('a flood of calls: so many are under way and no more, each is answered, and what is not read stops the reading', async () => {
  const world = createWorld();
  let underWay = 0;
  let most = 0;
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  world.api.call = async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await gate;
    underWay -= 1;
    return { status: 200, result: {} } as never;
  };
  const { socket, bound } = join(world);
  socket.isReading = false;
  const answers: Promise<void>[] = [];
  let sent = 0;
  while (!socket.isPaused) {
    sent += 1;
    assert.ok(sent < 100_000, 'the reading was never stopped');
    answers.push(bound.received(JSON.stringify({ jsonrpc: '2.0', id: sent, method: 'agents.list' })));
    if (sent % 100 === 0) await settle();
  }
  open();
  await Promise.all(answers);
  socket.read();
  await settle();
  assert.equal(socket.isPaused, false);
  assert.equal(most, LIMITS.rpcInFlight);
  const codes = socket.said.map(({ error }) => error?.data.code);
  assert.equal(socket.said.length, sent);
  assert.equal(codes.filter((code) => code === undefined).length, LIMITS.rpcInFlight);
  assert.ok(codes.every((code) => code === undefined || code === 'rate_limited'));
});

test('subscriptions of one connection are bounded; one that ends makes room', async () => {
  const world = createWorld();
  world.api.events = (_caller, _session, { signal }) => {
    const channel = new Channel<StreamEvent>();
    channel.push(live);
    return channel.open(signal);
  };
  const peer = join(world);
  for (let count = 0; count < LIMITS.rpcSubscriptions; count += 1)
    assert.equal((await subscribe(peer)).error, undefined);
  assert.equal((await subscribe(peer)).error?.data.code, 'rate_limited');
  await peer.ask('unsubscribe', { subscription: 's7' });
  assert.equal((await subscribe(peer)).error, undefined);
  peer.bound.closed();
});

test('a subscription that asks for no answer is none: nobody would learn its name', async () => {
  const world = createWorld();
  world.api.channel.push(live);
  const { socket, bound } = join(world);
  await bound.received(JSON.stringify({ jsonrpc: '2.0', method: 'events.subscribe', params: { session: SESSION } }));
  await settle();
  assert.deepEqual([world.api.channel.signals.length, socket.said.length], [0, 0]);
});

test('connections are bounded; one that goes makes room', () => {
  const world = createWorld();
  const admit = () =>
    world.gateway.admit({ headers: new Headers({ host: 'localhost:7420' }), path: '/v1/rpc', port: 7420 });
  const peers = Array.from({ length: LIMITS.rpcConnections }, () => join(world));
  const refused = admit();
  assert.ok('refused' in refused);
  assert.equal(refused.refused.status, 429);
  peers[0]?.bound.closed();
  assert.ok('bind' in admit());
  for (const { bound } of peers) bound.closed();
  assert.equal(world.timers.pending, 0);
});

test('a connection is pinged and told that the server lives; one that is not heard of is broken off', async () => {
  const world = createWorld();
  world.api.channel.push(live);
  const peer = join(world);
  await subscribe(peer);
  world.timers.pass(LIMITS.heartbeatMs);
  assert.deepEqual(
    [peer.socket.pings, peer.socket.said.at(-1)],
    [1, { jsonrpc: '2.0', method: 'heartbeat', params: {} }],
  );
  for (let beat = 0; beat < 10; beat += 1) {
    peer.bound.heard();
    world.timers.pass(LIMITS.heartbeatMs);
  }
  assert.equal(peer.socket.terminated, false);
  world.timers.pass(LIMITS.heartbeatMs * LIMITS.stalledHeartbeats);
  assert.equal(peer.socket.terminated, true);
  await settle();
  assert.deepEqual([world.api.channel.signals[0]?.aborted, world.timers.pending], [true, 0]);
});

test('a drain ends subscriptions with a hint, answers what is under way, refuses more, and closes', async () => {
  const world = createWorld();
  world.api.channel.push(live);
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  world.api.call = async () => {
    await gate;
    return { status: 200, result: 'late' } as never;
  };
  const { socket, bound, ask } = join(world);
  await ask('events.subscribe', { session: SESSION });
  const late = bound.received(JSON.stringify({ jsonrpc: '2.0', id: 'late', method: 'agents.list' }));
  await settle();
  world.gateway.drain();
  await settle();
  const end = socket.notes('s1').at(-1);
  assert.deepEqual([end?.type, end?.reason, end?.retryMs], ['end', 'drain', LIMITS.retryMs]);
  assert.equal(socket.closing, null, 'a call is under way');
  assert.equal((await ask('models.list')).error?.data.code, 'unavailable');
  open();
  await late;
  await settle();
  assert.equal(socket.said.at(-1)?.result, 'late');
  assert.equal(socket.closing, 1001);
  bound.closed();
  assert.equal(world.timers.pending, 0);
  const refused = world.gateway.admit({ headers: new Headers({ host: 'localhost' }), path: '/v1/rpc', port: 80 });
  assert.equal('refused' in refused && refused.refused.status, 503);
});

test('a connection without calls and subscriptions is closed by a drain', async () => {
  const world = createWorld();
  const { socket } = join(world);
  world.gateway.drain();
  await settle();
  assert.equal(socket.closing, 1001);
});
