import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, LIMITS as WIRE } from '@perdure/contract';
import { createWorld } from '../../test/fakes.ts';
import type { World } from '../../test/fakes.ts';
import { LIMITS } from '../limits.ts';

type Answer = { jsonrpc: string; id: unknown; result?: unknown; error?: { code: number; data: { code: string } } };
const call = (id: unknown, method = 'agents.list', params: unknown = {}) => ({ jsonrpc: '2.0', id, method, params });
const tell = (method: string, params: unknown = {}) => ({ jsonrpc: '2.0', method, params });

async function post(world: World, body: string): Promise<{ status: number; answer: unknown }> {
  const headers = { 'content-type': 'application/json' };
  const response = await world.request('/v1/rpc', { method: 'POST', body, headers });
  const text = await response.text();
  return { status: response.status, answer: text === '' ? null : (JSON.parse(text) as unknown) };
}
const said = (answer: unknown) => {
  const { id, error } = answer as Answer;
  return [id, error?.code, error?.data.code];
};

test('an answer carries the id of its call, whatever that is; a name without parameters needs none', async () => {
  const world = createWorld();
  world.api.answer = () => ({ status: 200, result: { agents: [] } });
  for (const id of [1, 0, -1.5, '', 'abc', null]) {
    const { status, answer } = await post(world, JSON.stringify({ jsonrpc: '2.0', id, method: 'agents.list' }));
    assert.deepEqual([status, answer], [200, { jsonrpc: '2.0', id, result: { agents: [] } }]);
  }
});

test('what is malformed has the number that the specification gives it, and never reaches the Api', async () => {
  const world = createWorld();
  const rows: [string, unknown, unknown[]][] = [
    ['no JSON', '{"jsonrpc": "2.0", "method"', [null, -32_700, 'invalid_request']],
    ['nothing', '', [null, -32_700, 'invalid_request']],
    ['no object', '1', [null, -32_600, 'invalid_request']],
    ['an empty batch', '[]', [null, -32_600, 'invalid_request']],
    ['no version', { id: 1, method: 'agents.list' }, [1, -32_600, 'invalid_request']],
    ['another version', { jsonrpc: '1.0', id: 1, method: 'agents.list' }, [1, -32_600, 'invalid_request']],
    ['no method', { jsonrpc: '2.0', id: 1 }, [1, -32_600, 'invalid_request']],
    ['an answer', { jsonrpc: '2.0', id: 1, result: 3 }, [1, -32_600, 'invalid_request']],
    ['an unknown member', { ...call(1), meta: {} }, [1, -32_600, 'invalid_request']],
    ['an id that is none', call({}), [null, -32_600, 'invalid_request']],
    ['an id without end', call('x'.repeat(LIMITS.requestIdChars + 1)), [null, -32_600, 'invalid_request']],
    ['an unknown method', call(1, 'agents.steal'), [1, -32_601, 'not_found']],
    ['a member of every object', call(1, 'constructor'), [1, -32_601, 'not_found']],
    ['a subscription', call(1, 'events.subscribe'), [1, -32_601, 'method_not_allowed']],
    ['parameters by place', call(1, 'sessions.get', ['s']), [1, -32_602, 'invalid_request']],
    ['a missing parameter', call(1, 'sessions.get', {}), [1, -32_602, 'invalid_request']],
    ['an unknown parameter', call(1, 'agents.list', { surprise: 1 }), [1, -32_602, 'invalid_request']],
    ['a session that cannot exist', call(1, 'sessions.get', { session: 'x' }), [1, -32_000, 'not_found']],
  ];
  for (const [what, body, expected] of rows) {
    const { answer } = await post(world, typeof body === 'string' ? body : JSON.stringify(body));
    assert.deepEqual(said(answer), expected, what);
  }
  const deep = `${'['.repeat(WIRE.jsonDepth + 1)}${']'.repeat(WIRE.jsonDepth + 1)}`;
  const nested = `{"jsonrpc":"2.0","id":1,"method":"callbacks.resolve","params":{"token":"t","payload":${deep}}}`;
  assert.deepEqual(said((await post(world, nested)).answer), [1, -32_602, 'invalid_request']);
  const prototype = '{"jsonrpc":"2.0","id":1,"method":"callbacks.resolve","params":{"token":"t","__proto__":{}}}';
  assert.deepEqual(said((await post(world, prototype)).answer), [1, -32_602, 'invalid_request']);
  assert.equal(world.api.calls.length, 0);
});

test('a batch is answered in its order, what is broken in it under null, and what asks for no answer not at all', async () => {
  const world = createWorld();
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const answer = world.api.call.bind(world.api);
  world.api.call = async (caller, method, params) => {
    if (method === 'models.list') await gate;
    else open();
    return answer(caller, method, params);
  };
  world.api.answer = ({ method }) => ({ status: 200, result: method });
  // The first call waits for the second: they run side by side.
  const batch = [call('a', 'models.list'), call('b'), 7, tell('agents.list'), tell('nothing'), call('c', 'nothing')];
  const got = (await post(world, JSON.stringify(batch))).answer as Answer[];
  assert.deepEqual(
    got.map(({ id, result, error }) => [id, result ?? error?.code]),
    [
      ['a', 'models.list'],
      ['b', 'agents.list'],
      [null, -32_600],
      ['c', -32_601],
    ],
  );
  assert.deepEqual(world.api.calls.map(({ method }) => method).toSorted(), [
    'agents.list',
    'agents.list',
    'models.list',
  ]);
});

test('notifications alone are done and get no answer: 204', async () => {
  const world = createWorld();
  assert.deepEqual(await post(world, JSON.stringify(tell('agents.list'))), { status: 204, answer: null });
  const both = [tell('agents.list'), tell('models.list')];
  assert.deepEqual(await post(world, JSON.stringify(both)), { status: 204, answer: null });
  assert.equal(world.api.calls.length, 3);
});

test('a batch beyond its bound and a body beyond its bound are refused whole', async () => {
  const world = createWorld({ maxBodyBytes: 100_000 });
  const batch = Array.from({ length: LIMITS.rpcBatch + 1 }, (_, id) => call(id));
  assert.deepEqual(said((await post(world, JSON.stringify(batch))).answer), [null, -32_600, 'invalid_request']);
  const large = await post(world, JSON.stringify(call(1, 'agents.list', { cursor: 'x'.repeat(100_000) })));
  assert.equal(large.status, 413);
  assert.deepEqual(said(large.answer), [null, -32_000, 'too_large']);
  assert.equal(world.api.calls.length, 0);
});

test('without the right token, under a foreign name, from a foreign page: refused before a message is read', async () => {
  const locked = createWorld({ token: 'right' });
  const open = createWorld();
  const body = JSON.stringify(call(1));
  const type = { 'content-type': 'application/json' };
  const ask = async (world: World, headers: Record<string, string>) => {
    const response = await world.request('/v1/rpc', { method: 'POST', body, headers: { ...type, ...headers } });
    return [response.status, ...said(await response.json())];
  };
  const unauthorized = [401, null, -32_000, 'unauthorized'];
  const forbidden = [403, null, -32_000, 'forbidden'];
  assert.deepEqual(await ask(locked, {}), unauthorized);
  assert.deepEqual(await ask(locked, { authorization: 'Bearer wrong' }), unauthorized);
  assert.deepEqual(await ask(open, { host: 'evil.example' }), forbidden);
  assert.deepEqual(await ask(open, { origin: 'http://evil.example' }), forbidden);
  assert.deepEqual(await ask(open, { 'content-type': 'text/plain' }), [415, null, -32_000, 'unsupported_media_type']);
  assert.deepEqual((await ask(locked, { authorization: 'Bearer right' }))[0], 200);
  assert.equal(open.api.calls.length, 0);
});

test('what nobody foresaw is an internal error that tells nothing of its cause', async () => {
  const world = createWorld();
  world.api.answer = () => {
    throw new Error('disk /secret');
  };
  const { status, answer } = await post(world, JSON.stringify(call(1)));
  assert.deepEqual([status, said(answer)], [200, [1, -32_603, 'internal']]);
  assert.ok(!JSON.stringify(answer).includes('/secret'));
  assert.ok(world.logged.some((line) => line.includes('/secret')));
});

test('a batch is not all or nothing: each call has an outcome of its own', async () => {
  const world = createWorld();
  world.api.answer = ({ method }) => {
    if (method === 'models.list') throw new ApiError('storage_full', 'no room');
    return { status: 200, result: 1 };
  };
  const { answer } = await post(world, JSON.stringify([call(1, 'models.list'), call(2)]));
  const [first, second] = answer as Answer[];
  assert.deepEqual([said(first), second?.result], [[1, -32_000, 'storage_full'], 1]);
});

test('only POST speaks JSON-RPC; the document of its methods is there', async () => {
  const world = createWorld();
  const response = await world.request('/v1/rpc');
  assert.deepEqual([response.status, response.headers.get('allow')], [405, 'POST']);
  const document = (await (await world.request('/v1/openrpc.json')).json()) as { openrpc: string };
  assert.equal(document.openrpc, '1.3.2');
});
