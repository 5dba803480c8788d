import assert from 'node:assert/strict';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { Agent, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { Entry } from '@perdure/contract';
import type { StreamEvent } from '@perdure/runtime';
import type { World } from '../test/fakes.ts';
import { createWorld, SESSION, settle } from '../test/fakes.ts';
import { LIMITS } from './limits.ts';
import { ListenError } from './bind.ts';
import type { Listening } from './listen.ts';
import { listen } from './listen.ts';

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
const live: StreamEvent = { type: 'caught-up', head: 0 };
const eventsPath = `/v1/sessions/${SESSION}/events`;

async function serve(context: TestContext, world: World, host = '127.0.0.1'): Promise<Listening> {
  const listening = await listen(world.gateway, { host, port: 0 });
  context.after(async () => {
    const closing = listening.close();
    await settle();
    world.timers.pass(LIMITS.drainMs);
    await closing;
  });
  return listening;
}

async function ask(
  listening: Listening,
  options: RequestOptions & { body?: string } = {},
): Promise<IncomingMessage & { text: string }> {
  const { body, ...rest } = options;
  const outgoing = httpRequest({ host: '127.0.0.1', port: listening.port, agent: false, ...rest });
  outgoing.end(body);
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  incoming.setEncoding('utf8');
  for await (const chunk of incoming) text += chunk as string;
  return Object.assign(incoming, { text });
}

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};

test('requests go over the socket and back, many on one connection, with lengths announced', async (context) => {
  const world = createWorld();
  world.api.answer = ({ params }) => ({ status: 202, result: { params, text: 'ä' } });
  const listening = await serve(context, world);
  assert.equal(listening.url, `http://127.0.0.1:${listening.port}`);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  context.after(() => agent.destroy());
  for (let round = 0; round < 3; round += 1) {
    const headers = { 'content-type': 'application/json' };
    const answer = await ask(listening, { agent, method: 'POST', path: '/v1/runs', headers, body: '{"input":"x"}' });
    assert.equal(answer.statusCode, 202);
    assert.deepEqual(JSON.parse(answer.text), { params: { input: 'x', wait: false }, text: 'ä' });
    assert.equal(answer.headers['content-length'], String(Buffer.byteLength(answer.text)));
    assert.match(answer.headers['x-request-id'] as string, /^req_/);
  }
  const head = await ask(listening, { method: 'HEAD', path: '/v1/agents' });
  assert.deepEqual([head.statusCode, head.text], [202, '']);
});

test('a foreign Host is refused, a broken one too, each in the shape of errors', async (context) => {
  const listening = await serve(context, createWorld());
  const code = async (host: string) => {
    const answer = await ask(listening, { path: '/v1/agents', headers: { host } });
    return [answer.statusCode, (JSON.parse(answer.text) as { error: { code: string } }).error.code];
  };
  assert.deepEqual(await code('evil.example'), [403, 'forbidden']);
  assert.deepEqual(await code(`evil.example:${listening.port}`), [403, 'forbidden']);
  assert.deepEqual(await code('local host'), [400, 'invalid_request']);
  assert.deepEqual(await code('localhost:1'), [403, 'forbidden']);
  assert.equal((await ask(listening, { path: '/v1/agents' })).statusCode, 200);
});

test('headers beyond their bound are refused before the gateway is asked', async (context) => {
  const world = createWorld();
  const listening = await serve(context, world);
  const answer = await ask(listening, { path: '/v1/agents', headers: { 'x-long': 'x'.repeat(LIMITS.headerBytes) } });
  assert.equal(answer.statusCode, 431);
  assert.equal(world.api.calls.length, 0);
});

test('events arrive as they happen, and a client that goes ends the source', async (context) => {
  const world = createWorld();
  const { channel } = world.api;
  const listening = await serve(context, world);
  channel.push(entry(1), live);
  const outgoing = httpRequest({
    port: listening.port,
    host: '127.0.0.1',
    path: eventsPath,
    headers: { accept: 'text/event-stream' },
  });
  outgoing.end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  let text = '';
  incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await until(() => text.includes('caught-up'));
  channel.push(entry(2));
  await until(() => text.includes('id: 2'));
  incoming.on('error', () => undefined);
  outgoing.destroy();
  await until(() => channel.returned === 1);
  assert.ok(channel.signals[0]?.aborted);
  assert.equal(world.timers.pending, 0);
});

test('a client that goes leaves nothing behind, even where the source ignores its signal', async (context) => {
  const world = createWorld();
  const listening = await serve(context, world);
  world.api.events = async function* () {
    yield live;
    await new Promise(() => undefined);
  } as typeof world.api.events;
  const headers = { accept: 'text/event-stream' };
  const outgoing = httpRequest({ port: listening.port, host: '127.0.0.1', path: eventsPath, headers });
  outgoing.end();
  const [incoming] = (await once(outgoing, 'response')) as [IncomingMessage];
  incoming.on('error', () => undefined);
  assert.equal(world.timers.pending, 1);
  outgoing.destroy();
  await until(() => world.timers.pending === 0);
});

test('a reader who stops reading is cut within the bound, and reads on its return where to resume', async (context) => {
  const world = createWorld();
  const { channel } = world.api;
  const listening = await serve(context, world);
  channel.push(live);
  const socket = connect(listening.port, '127.0.0.1');
  context.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.pause();
  socket.write(`GET ${eventsPath} HTTP/1.1\r\nHost: 127.0.0.1:${listening.port}\r\nAccept: text/event-stream\r\n\r\n`);
  await until(() => channel.signals.length === 1);
  const text = 'x'.repeat(100_000);
  // The kernel's buffers take some before the gateway's own fills: go on until the cut.
  let seq = 0;
  while (channel.returned === 0) {
    seq += 1;
    assert.ok(seq < 1_000, 'the reader was never cut');
    channel.push(entry(seq, text));
    await settle();
  }
  let got = '';
  socket.on('data', (chunk) => (got += chunk.toString('latin1')));
  socket.resume();
  await until(() => got.endsWith('0\r\n\r\n'));
  const ids = [...got.matchAll(/^id: (\d+)$/gm)].map(([, id]) => Number(id));
  assert.deepEqual(
    ids,
    Array.from({ length: ids.length }, (_, index) => index + 1),
    'no gap before the cut',
  );
  assert.ok(ids.length < seq);
  const end = JSON.parse(/event: end\ndata: (.*)\n/.exec(got)?.[1] ?? '{}') as { reason: string; resume: string };
  assert.deepEqual([end.reason, Number(end.resume)], ['slow', ids.at(-1)]);
});

test('a drain ends streams with a hint, lets what is under way end, takes no new connection', async (context) => {
  const world = createWorld();
  const listening = await serve(context, world);
  world.api.channel.push(live);
  const agent = new Agent({ keepAlive: true });
  context.after(() => agent.destroy());
  const stream = ask(listening, { path: eventsPath, headers: { accept: 'text/event-stream' } });
  await until(() => world.api.channel.signals.length === 1);
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const call = world.api.call.bind(world.api);
  world.api.call = async (...args) => {
    await held;
    return call(...args);
  };
  const pending = ask(listening, { path: '/v1/agents', agent });
  await settle();
  const closing = listening.close({ graceMs: 1_000 });
  assert.match((await stream).text, /retry: 1000\nevent: end\ndata: {"reason":"drain"/);
  await assert.rejects(ask(listening, { path: '/v1/agents' }), { code: 'ECONNREFUSED' });
  release();
  const last = await pending;
  assert.deepEqual([last.statusCode, last.headers.connection], [200, 'close']);
  await closing;
  assert.equal(listening.close() instanceof Promise, true);
});

test('what does not end within the grace is broken off', async (context) => {
  const world = createWorld();
  const listening = await serve(context, world);
  world.api.call = () => new Promise(() => undefined);
  const pending = ask(listening, { path: '/v1/agents' });
  const broken = assert.rejects(pending, { code: 'ECONNRESET' });
  await settle();
  await until(() => world.timers.pending === 0);
  const closing = listening.close({ graceMs: 1_000 });
  world.timers.pass(999);
  await settle();
  world.timers.pass(1);
  await broken;
  await closing;
});

test('a port that is taken is a typed error that says what to do', async (context) => {
  const first = await serve(context, createWorld());
  await assert.rejects(listen(createWorld().gateway, { host: '127.0.0.1', port: first.port }), (error: unknown) => {
    assert.ok(error instanceof ListenError);
    assert.equal(error.code, 'port_in_use');
    assert.match(error.message, new RegExp(`${first.port}.*--port`));
    return true;
  });
  await assert.rejects(listen(createWorld().gateway, { host: '127.0.0.1', port: 70_000 }), { code: 'listen_failed' });
});

test('a host that others can reach is refused without a token, and served with one', async (context) => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'perdure.example', '127.0.0.1.evil.example']) {
    await assert.rejects(listen(createWorld().gateway, { host, port: 0 }), { code: 'token_required' }, host);
  }
  const listening = await serve(context, createWorld({ token: 'right' }), '0.0.0.0');
  assert.equal((await ask(listening, { path: '/v1/agents' })).statusCode, 401);
  const headers = { authorization: 'Bearer right' };
  assert.equal((await ask(listening, { path: '/v1/agents', headers })).statusCode, 200);
});
