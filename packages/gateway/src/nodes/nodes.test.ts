import assert from 'node:assert/strict';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import type { Delta } from '@perdure/contract';
import type { Told } from '@perdure/runtime';
import { silentLogger, system } from '@perdure/runtime';
import { WebSocket } from 'ws';
import { LIMITS } from '../limits.ts';
import { reachNodes } from './link.ts';
import type { InternalListener } from './listener.ts';
import { listenInternally } from './listener.ts';

const { timers } = system;
const TOKEN = 'what-both-sides-know';
const common = { timers, logger: silentLogger };

const say = (session: string, offset: number, text: string): Told => ({
  session,
  delta: { run: 'r1', effect: 'r1t1', attempt: 1, offset, part: 'text', text } satisfies Delta,
});

/** Sessions that say what they are told to, all so far to who comes late. */
class Speakers {
  readonly #ears = new Map<string, Set<(told: Told) => void>>();
  readonly #said = new Map<string, Told[]>();
  /** How often somebody began to listen. */
  opened = 0;

  overhear(session: string, ear: (told: Told) => void): { close(): void } {
    this.opened += 1;
    const ears = this.#ears.get(session) ?? new Set();
    this.#ears.set(session, ears.add(ear));
    for (const told of this.#said.get(session) ?? []) ear(told);
    return { close: () => void ears.delete(ear) };
  }

  listeners(session: string): number {
    return this.#ears.get(session)?.size ?? 0;
  }

  tell(told: Told): void {
    const said = this.#said.get(told.session) ?? [];
    this.#said.set(told.session, said);
    said.push(told);
    for (const ear of this.#ears.get(told.session) ?? []) ear(told);
  }
}

async function listening(t: TestContext, options: { port?: number } = {}) {
  const speakers = new Speakers();
  const listener = await listenInternally({ host: '127.0.0.1', port: options.port ?? 0, ...common });
  t.after(() => listener.close());
  const serve = (token = TOKEN): void =>
    listener.serve({
      token,
      overhear: (session, ear) => speakers.overhear(session, ear),
      ready: () => ({ ready: true }),
    });
  return { speakers, listener, serve };
}

function listener(t: TestContext, address: string, token = TOKEN) {
  const heard: Told[] = [];
  let breaks = 0;
  const link = reachNodes({ token, ...common })(address, {
    hear: (told) => void heard.push(told),
    broke: () => void (breaks += 1),
  });
  t.after(() => link.close());
  return { link, heard, breaks: () => breaks };
}

async function until(condition: () => boolean): Promise<void> {
  for (const startedAt = performance.now(); !condition(); await new Promise((resolve) => setTimeout(resolve, 2)))
    assert.ok(performance.now() - startedAt < 20_000, 'it never came to be');
}

test('over one connection many sessions are heard: all so far, then each piece, and no more of what is dropped', async (t) => {
  const { speakers, listener: node, serve } = await listening(t);
  serve();
  speakers.tell(say('a', 0, 'one '));
  const { link, heard } = listener(t, node.address);
  link.want('a');
  link.want('b');
  await until(() => speakers.listeners('b') === 1 && heard.length === 1);
  speakers.tell(say('a', 4, 'two'));
  speakers.tell({ session: 'b', head: 7 });
  await until(() => heard.length === 3);
  assert.deepEqual(heard, [say('a', 0, 'one '), say('a', 4, 'two'), { session: 'b', head: 7 }]);
  link.drop('a');
  await until(() => speakers.listeners('a') === 0);
  speakers.tell(say('a', 7, ' three'));
  speakers.tell({ session: 'b', head: 8 });
  await until(() => heard.length === 4);
  assert.deepEqual(heard[3], { session: 'b', head: 8 });
});

test('who shows another token hears nothing, and neither does anybody at another place', async (t) => {
  const { speakers, listener: node, serve } = await listening(t);
  serve();
  const { link, breaks } = listener(t, node.address, 'a-token-of-another-store');
  link.want('a');
  await until(() => breaks() > 0);
  assert.equal(speakers.opened, 0);
  const elsewhere = new WebSocket(`${node.address.replace('http', 'ws')}/v1/rpc`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const status = await new Promise((resolve) => {
    elsewhere.on('unexpected-response', (_request, response) => resolve(response.statusCode));
    elsewhere.on('error', () => undefined);
  });
  assert.equal(status, 404);
  elsewhere.terminate();
});

test('health is told before anything else is, and nothing but health to who has no token', async (t) => {
  const { listener: node, serve } = await listening(t);
  const get = async (path: string) => fetch(node.address + path);
  assert.equal((await get('/health/live')).status, 200);
  const starting = await get('/health/ready');
  assert.deepEqual([starting.status, await starting.json()], [503, { ready: false, reason: 'starting' }]);
  serve();
  assert.deepEqual(await (await get('/health/ready')).json(), { ready: true });
  for (const path of ['/', '/v1/agents', '/internal/live']) assert.equal((await get(path)).status, 404);
});

test('a node that comes back is heard again, and all that was said so far comes first', async (t) => {
  const first = await listening(t);
  first.serve();
  const { link, heard, breaks } = listener(t, first.listener.address);
  link.want('a');
  await until(() => first.speakers.listeners('a') === 1);
  await first.listener.close();
  await until(() => breaks() > 0);
  const second = await listening(t, { port: Number(new URL(first.listener.address).port) });
  second.speakers.tell(say('a', 0, 'all so far'));
  second.serve();
  await until(() => heard.length > 0);
  assert.deepEqual(heard, [say('a', 0, 'all so far')]);
});

test('a reader that takes nothing costs a bounded buffer, and gets the whole text when it reads again', async (t) => {
  const { speakers, listener: node, serve } = await listening(t);
  serve();
  const line = await valve(t, node);
  const { link, heard } = listener(t, line.address);
  link.want('a');
  await until(() => speakers.listeners('a') === 1);
  line.shut();
  const piece = 'x'.repeat(256 * 1024);
  const opened = speakers.opened;
  // What is said beyond the buffer (and what the kernel takes) is left out.
  for (let offset = 0; offset < 4 * LIMITS.nodeBufferBytes; offset += piece.length) {
    speakers.tell(say('a', offset, piece));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(speakers.opened, opened);
  line.open();
  await until(() => speakers.opened > opened);
  const last = 4 * LIMITS.nodeBufferBytes - piece.length;
  await until(() => heard.some((told) => 'delta' in told && told.delta.offset === last));
});

test('a line that is cut without a word is given up', async (t) => {
  const { speakers, listener: node, serve } = await listening(t);
  serve();
  const line = await valve(t, node);
  const quick = { set: (ms: number, run: () => void) => timers.set(ms === LIMITS.nodeHeartbeatMs ? 20 : ms, run) };
  let breaks = 0;
  const link = reachNodes({ token: TOKEN, timers: quick, logger: silentLogger })(line.address, {
    hear: () => undefined,
    broke: () => void (breaks += 1),
  });
  t.after(() => link.close());
  link.want('a');
  await until(() => speakers.listeners('a') === 1);
  assert.equal(breaks, 0);
  line.shut();
  await until(() => breaks > 0);
});

/** A line to the node on which nothing passes while it is shut. */
async function valve(t: TestContext, node: InternalListener): Promise<{ address: string; shut(): void; open(): void }> {
  const ends = new Set<Socket>();
  let isShut = false;
  const server: Server = createServer((near) => {
    const far = connect(Number(new URL(node.address).port), '127.0.0.1');
    const pair = [near, far] as const;
    for (const [from, to] of [pair, [far, near]] as const) {
      ends.add(from);
      from.on('data', (data) => {
        if (!to.write(data)) from.pause();
      });
      to.on('drain', () => void (isShut || from.resume()));
      from.on('close', () => to.destroy());
      from.on('error', () => to.destroy());
    }
    if (isShut) for (const end of pair) end.pause();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const end of ends) end.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    address: `http://127.0.0.1:${address.port}`,
    shut: () => {
      isShut = true;
      for (const end of ends) end.pause();
    },
    open: () => {
      isShut = false;
      for (const end of ends) end.resume();
    },
  };
}
