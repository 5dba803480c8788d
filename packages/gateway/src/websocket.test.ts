import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { createRpcClient, RPC_BEARER, RPC_PROTOCOL } from '@perdure/contract';
import type { Entry } from '@perdure/contract';
import type { StreamEvent } from '@perdure/runtime';
import { WebSocket } from 'ws';
import type { World } from '../test/fakes.ts';
import { createWorld, SESSION, settle } from '../test/fakes.ts';
import { LIMITS } from './limits.ts';
import type { Listening } from './listen.ts';
import { listen } from './listen.ts';

async function serve(context: TestContext, world: World): Promise<Listening> {
  const listening = await listen(world.gateway, { host: '127.0.0.1', port: 0 });
  context.after(async () => {
    const closing = listening.close();
    await settle();
    world.timers.pass(LIMITS.drainMs);
    await closing;
  });
  return listening;
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};
const address = ({ port }: Listening, path = '/v1/rpc'): string => `ws://127.0.0.1:${port}${path}`;
const bearer = (token: string): string => `${RPC_BEARER}${Buffer.from(token).toString('base64url')}`;
const call = (id: unknown, method: string, params: object = {}): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });

/** The status with which a WebSocket opens (101) or is refused. */
async function handshake(
  listening: Listening,
  given: { protocols?: string[]; headers?: Record<string, string>; path?: string },
): Promise<number> {
  const { protocols = [], headers = {}, path } = given;
  const socket = new WebSocket(address(listening, path), protocols, { headers });
  return new Promise((resolve, reject) => {
    socket.on('open', () => {
      socket.terminate();
      resolve(101);
    });
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    socket.on('error', reject);
  });
}

test('calls go over the socket and back, in any order, with the subprotocol said back and nothing else', async (context) => {
  const world = createWorld({ token: 'right' });
  world.api.answer = ({ params }) => ({ status: 200, result: params });
  const listening = await serve(context, world);
  const socket = new WebSocket(address(listening), [RPC_PROTOCOL, bearer('right')]);
  await once(socket, 'open');
  assert.equal(socket.protocol, RPC_PROTOCOL);
  const answers: { id: unknown; error?: { code: number } }[] = [];
  socket.on('message', (data) => answers.push(JSON.parse((data as Buffer).toString()) as (typeof answers)[number]));
  socket.send(call(1, 'sessions.get', { session: SESSION }));
  socket.send('{"jsonrpc"');
  await until(() => answers.length === 2);
  const one = answers.find((answer) => answer.id === 1);
  assert.deepEqual(one, { jsonrpc: '2.0', id: 1, result: { session: SESSION } });
  assert.equal(answers.find((answer) => answer.id === null)?.error?.code, -32_700);
  assert.deepEqual(world.api.calls[0]?.caller.actor, { kind: 'key', id: 'token' });
  assert.match(world.api.calls[0]?.caller.requestId ?? '', /^req_[0-9a-f]+\.1$/);
  socket.terminate();
});

test('a token is wanted as a header or as a subprotocol, and has to be the right one', async (context) => {
  const listening = await serve(context, createWorld({ token: 'right' }));
  const ask = async (given: Parameters<typeof handshake>[1]) => handshake(listening, given);
  assert.equal(await ask({ headers: { authorization: 'Bearer right' } }), 101);
  assert.equal(await ask({ headers: { authorization: 'Bearer right', origin: 'http://evil.example' } }), 101);
  assert.equal(await ask({ protocols: [RPC_PROTOCOL, bearer('right')] }), 101);
  for (const protocols of [[], [RPC_PROTOCOL], [RPC_PROTOCOL, bearer('wrong')], [RPC_PROTOCOL, bearer('')]])
    assert.equal(await ask({ protocols }), 401, protocols.join());
  assert.equal(await ask({ protocols: [RPC_PROTOCOL, bearer('right')], headers: { authorization: 'Bearer no' } }), 401);
  assert.equal(await ask({ protocols: [RPC_PROTOCOL, bearer('a b\r\nhost: x')] }), 401);
  assert.equal(await ask({ protocols: [bearer('right')] }), 400, 'what is offered without ours could not be answered');
});

test('without a token a WebSocket is held to Host and Origin as a request is, and opens at its address alone', async (context) => {
  const listening = await serve(context, createWorld());
  const ask = async (headers: Record<string, string>, path?: string) =>
    handshake(listening, path === undefined ? { headers } : { headers, path });
  const own = `127.0.0.1:${listening.port}`;
  assert.equal(await ask({}), 101);
  assert.equal(await ask({ origin: `http://${own}` }), 101);
  assert.equal(await ask({ host: 'evil.example' }), 403);
  assert.equal(await ask({ host: '127.0.0.1:1' }), 403);
  assert.equal(await ask({ origin: 'http://evil.example' }), 403, 'a page of another origin');
  assert.equal(await ask({ origin: 'null' }), 403);
  assert.equal(await ask({}, '/v1/agents'), 404);
  assert.equal(await ask({}, '/v1/rpc?x=1'), 101);
});

test('an upgrade to anything else is no upgrade: the request is answered', async (context) => {
  const listening = await serve(context, createWorld());
  const headers = {
    connection: 'Upgrade, HTTP2-Settings',
    upgrade: 'h2c',
    'http2-settings': 'AAMAAABkAAQCAAAAAAIAAAAA',
  };
  const outgoing = httpRequest({ host: '127.0.0.1', port: listening.port, path: '/v1/agents', headers });
  outgoing.end();
  const [incoming] = (await once(outgoing, 'response')) as [{ statusCode: number; resume(): void }];
  incoming.resume();
  assert.equal(incoming.statusCode, 200);
});

/** A WebSocket by hand, to send what no library sends. */
async function raw(listening: Listening): Promise<{ socket: Socket; got: () => Buffer }> {
  const socket = connect(listening.port, '127.0.0.1');
  let got = Buffer.alloc(0);
  socket.on('data', (piece: Buffer) => (got = Buffer.concat([got, piece])));
  socket.on('error', () => undefined);
  const key = Buffer.alloc(16).toString('base64');
  socket.write(
    `GET /v1/rpc HTTP/1.1\r\nHost: 127.0.0.1:${listening.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  await until(() => got.includes('\r\n\r\n'));
  assert.match(got.toString('latin1'), /^HTTP\/1\.1 101 /);
  return { socket, got: () => got.subarray(got.indexOf('\r\n\r\n') + 4) };
}

test('what breaks the protocol ends the connection with the code that says how, and reaches nobody', async (context) => {
  const world = createWorld({ maxBodyBytes: 1_000 });
  const listening = await serve(context, world);
  const mask = [0, 0, 0, 0];
  const rows: [string, number[], number][] = [
    ['a frame that is not masked', [0x81, 2, 0x7b, 0x7d], 1002],
    ['a reserved opcode', [0x83, 0x80, ...mask], 1002],
    ['a reserved bit', [0xc1, 0x80, ...mask], 1002],
    ['text that is no UTF-8', [0x81, 0x82, ...mask, 0xc3, 0x28], 1007],
    ['a message that says it is too long', [0x81, 0xfe, 0xff, 0xff, ...mask], 1009],
    ['bytes', [0x82, 0x81, ...mask, 0x41], 1003],
  ];
  for (const [what, bytes, code] of rows) {
    const { socket, got } = await raw(listening);
    socket.write(Buffer.from(bytes));
    await until(() => got().length >= 4);
    assert.deepEqual([got()[0], got().readUInt16BE(2)], [0x88, code], what);
    socket.destroy();
  }
  const { socket } = await raw(listening);
  socket.write(Buffer.from([0x81, 0xfe]));
  socket.destroy();
  await settle();
  assert.equal(world.api.calls.length, 0);
});

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

test('a client that goes ends its sources and leaves nothing behind', async (context) => {
  const world = createWorld();
  const { channel } = world.api;
  const listening = await serve(context, world);
  channel.push({ type: 'caught-up', head: 0 });
  const socket = new WebSocket(address(listening));
  await once(socket, 'open');
  socket.send(call(1, 'events.subscribe', { session: SESSION }));
  await until(() => channel.signals.length === 1);
  socket.terminate();
  await until(() => channel.returned === 1);
  assert.ok(channel.signals[0]?.aborted);
  await until(() => world.timers.pending === 0);
});

test('a reader who stops reading is cut within the bound, and reads on its return where to resume', async (context) => {
  const world = createWorld();
  const { channel } = world.api;
  const listening = await serve(context, world);
  channel.push({ type: 'caught-up', head: 0 });
  const socket = new WebSocket(address(listening));
  const notes: { type: string; entry?: Entry; reason?: string; resume?: number }[] = [];
  socket.on('message', (data) => {
    const { params } = JSON.parse((data as Buffer).toString()) as { params?: (typeof notes)[number] };
    if (params !== undefined) notes.push(params);
  });
  await once(socket, 'open');
  socket.send(call(1, 'events.subscribe', { session: SESSION }));
  await until(() => notes.length === 1);
  socket.pause();
  // The kernel's buffers take some before the gateway's own fills: go on until the cut.
  let seq = 0;
  while (channel.returned === 0) {
    seq += 1;
    assert.ok(seq < 1_000, 'the reader was never cut');
    channel.push(entry(seq, 'x'.repeat(100_000)));
    await settle();
  }
  socket.resume();
  await until(() => notes.at(-1)?.type === 'end');
  const seqs = notes.flatMap(({ entry: one }) => (one === undefined ? [] : [one.seq]));
  assert.deepEqual(
    seqs,
    seqs.map((_, index) => index + 1),
    'no gap before the cut',
  );
  assert.ok(seqs.length < seq);
  assert.deepEqual([notes.at(-1)?.reason, notes.at(-1)?.resume], ['slow', seqs.at(-1)]);
  socket.terminate();
});

test('a drain closes idle WebSockets; one that answers nothing is broken off when the time is up', async (context) => {
  const world = createWorld();
  const listening = await serve(context, world);
  const polite = new WebSocket(address(listening));
  await once(polite, 'open');
  const { socket: deaf } = await raw(listening);
  const closing = listening.close({ graceMs: 1_000 });
  const [code] = (await once(polite, 'close')) as [number];
  assert.equal(code, 1001);
  world.timers.pass(1_000);
  await closing;
  await until(() => deaf.destroyed || deaf.readableEnded || deaf.closed);
});

/** Between client and server: passes so many bytes of each connection to the client, and breaks it off. */
async function cutter(
  context: TestContext,
  port: number,
  cuts: number[],
): Promise<{ url: string; count: () => number }> {
  let passed = 0;
  const proxy = createServer((client) => {
    const upstream = connect(port, '127.0.0.1');
    const cut = cuts.shift() ?? Infinity;
    let count = 0;
    client.on('error', () => undefined);
    upstream.on('error', () => undefined);
    client.pipe(upstream);
    upstream.on('data', (piece: Buffer) => {
      const part = piece.subarray(0, cut - count);
      count += part.length;
      passed = Math.max(passed, count);
      client.write(part, () => {
        if (count < cut) return;
        client.destroy();
        upstream.destroy();
      });
    });
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      from.on('close', () => to.destroy());
  }).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  context.after(() => void proxy.close());
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, count: () => passed };
}

test('a stream that is cut at any byte goes on at its cursor: no gap, nothing twice', async (context) => {
  const world = createWorld({ token: 'right' });
  const listening = await serve(context, world);
  const log = Array.from({ length: 8 }, (_, index) => entry(index + 1));
  world.api.events = async function* (_caller, _session, { after }) {
    yield* log.slice(after, 5);
    yield { type: 'caught-up', head: 5 } as const;
    yield* log.slice(Math.max(after, 5));
    yield { type: 'end', reason: 'closed' } as const;
  };
  const timers = {
    set: (afterMs: number, run: () => void) => {
      const handle = afterMs < 40_000 ? setImmediate(run) : undefined;
      return { cancel: () => clearImmediate(handle) };
    },
  };
  const read = async (cuts: number[]): Promise<number> => {
    const proxy = await cutter(context, listening.port, cuts);
    const client = createRpcClient({ url: proxy.url, token: 'right', timers });
    const seqs: number[] = [];
    for await (const event of client.events(SESSION)) if (event.type === 'entry') seqs.push(event.entry.seq);
    assert.deepEqual(seqs, [1, 2, 3, 4, 5, 6, 7, 8], `cut at ${cuts.join()}`);
    client.close();
    return proxy.count();
  };
  const bytes = await read([]);
  for (let cut = 1; cut < bytes; cut += 23) await read([cut, bytes - cut]);
});
