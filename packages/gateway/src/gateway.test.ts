import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError, CHANNELS, COMMON_ERRORS, LIMITS as WIRE, METHODS, pathParams } from '@perdure/contract';
import type { ErrorCode, MethodName } from '@perdure/contract';
import type { World } from '../test/fakes.ts';
import { createWorld, errorOf, SESSION } from '../test/fakes.ts';

const DIGEST = 'A'.repeat(43);
const PATH_VALUES: { [name: string]: string } = {
  session: SESSION,
  other: SESSION,
  run: 'r1',
  n: '2',
  wait: 'w1',
  token: 'abc',
  name: 'assistant',
  key: 'notes',
  digest: DIGEST,
  workspace: 'site',
  scope: 'tenant',
  rule: 'r1',
  grant: 'g1',
};
/** A valid request for each row: a row that is not here fails the matrix. */
const BODIES: { [name: string]: unknown } = {
  'sessions.create': { agent: 'assistant' },
  'sessions.fork': { at: 4 },
  'sessions.configure': { ifRevision: 1, model: 'demo/x' },
  'runs.start': { input: 'hi' },
  'runs.create': { input: 'hi' },
  'waits.resolve': { answer: 'blue' },
  'callbacks.resolve': { paid: true },
  'context.set': { content: 'Likes tea.' },
  'policies.set': { rules: [{ decision: 'deny', tool: 'pay' }] },
  'policies.test': { policies: { rules: [] }, since: 0 },
  'policies.add': { rule: { decision: 'deny', tool: 'pay' } },
  'budgets.set': { scope: 'tenant', day: { tokens: 900_000 } },
  'sessions.close': undefined,
  'sessions.readmit': undefined,
  'context.compact': undefined,
  'runs.cancel': undefined,
  'runs.hold': undefined,
  'runs.release': undefined,
  'runs.unqueue': undefined,
  'blobs.put': undefined,
  'sessions.move': { to: 'there' },
  'sessions.import': undefined,
  'workspaces.move': { to: DIGEST },
  'blobs.missing': { digests: [DIGEST] },
  'runs.undo': undefined,
  'secrets.set': { value: 'open-sesame' },
  'secrets.rotate': undefined,
};
/** What a row's query cannot be without. */
const QUERIES: { [name: string]: { [name: string]: string } } = { 'messages.search': { q: 'tea' } };
const rows = [...Object.entries(METHODS), ...Object.entries(CHANNELS)].map(([name, row]) => {
  const place = row.path.replace(
    /\{(\w+)\}/g,
    (_all, key: string) => PATH_VALUES[key] ?? assert.fail(`${name}: ${key}`),
  );
  const path = `/v1${place}?${new URLSearchParams(QUERIES[name]).toString()}`;
  if (row.verb !== 'GET' && row.verb !== 'DELETE') assert.ok(name in BODIES, `the matrix has no body for ${name}`);
  return { name, row, path, isMethod: name in METHODS, isWhole: 'body' in row };
});
const send = (row: { verb: string }, body: unknown) => ({
  method: row.verb,
  ...(body === undefined ? {} : { json: body }),
});

/** Who may come in is asked before anything else of a row. */
function refusedToStrangers(name: string, row: { verb: string }, path: string): void {
  test(`${name}: refused without the token and with another, whatever it asks`, async () => {
    const { api, request } = createWorld({ token: 'right' });
    for (const authorization of [undefined, 'Bearer wrong', 'Bearer right2', 'Basic right', 'Bearer']) {
      const headers = authorization === undefined ? {} : { authorization };
      const response = await request(path, { ...send(row, BODIES[name]), headers });
      assert.deepEqual([response.status, (await errorOf(response)).code], [401, 'unauthorized']);
      assert.equal(response.headers.get('www-authenticate'), 'Bearer');
    }
    assert.equal(api.calls.length, 0);
  });

  test(`${name}: refused under a foreign host name or from a foreign page when there is no token`, async () => {
    const { api, request } = createWorld();
    const foreign = [
      { host: 'evil.example' },
      { host: 'localhost.evil.example:7420' },
      { host: '' },
      { origin: 'http://evil.example' },
      { origin: 'null' },
      { origin: 'http://localhost:9999' },
    ];
    for (const headers of foreign) {
      const response = await request(path, {
        ...send(row, BODIES[name]),
        headers: headers as unknown as Record<string, string>,
      });
      assert.deepEqual([response.status, (await errorOf(response)).code], [403, 'forbidden'], JSON.stringify(headers));
    }
    assert.equal(api.calls.length, 0);
  });
}

for (const { name, row, path, isMethod, isWhole } of rows) {
  if ('open' in row) {
    test(`${name}: its address is its credential: it comes in without the token, under any host, and drains as all do`, async () => {
      for (const options of [{ token: 'right' }, {}]) {
        const { api, request, gateway } = createWorld(options);
        for (const headers of [
          {},
          { authorization: 'Bearer wrong' },
          { host: 'a.example', origin: 'http://b.example' },
        ])
          assert.equal((await request(path, { ...send(row, BODIES[name]), headers })).status, 200);
        assert.deepEqual(api.calls[2]?.caller.actor, { kind: 'key', id: 'callback' });
        gateway.drain();
        assert.equal((await request(path, send(row, BODIES[name]))).status, 503);
      }
    });
  } else refusedToStrangers(name, row, path);

  if (name !== 'blobs.put' && name !== 'sessions.import') {
    test(`${name}: an unknown field is refused with its path, in the query and in the body`, async () => {
      const { api, request } = createWorld();
      const headers = name.endsWith('.stream') ? { accept: 'text/event-stream' } : {};
      const query = await request(`${path}&surprise=1`, { ...send(row, BODIES[name]), headers });
      assert.equal(query.status, 400);
      assert.match((await errorOf(query)).message, /surprise/);
      if (row.verb !== 'GET' && row.verb !== 'DELETE' && !(isWhole && name === 'callbacks.resolve')) {
        const body = await request(path, send(row, { ...(BODIES[name] as object), surprise: 1 }));
        assert.equal(body.status, 400);
        assert.match((await errorOf(body)).message, /surprise is an unknown field/);
      }
      assert.equal(api.calls.length, 0);
    });
  }

  if (pathParams(row.path).length > 0 && name !== 'callbacks.resolve' && name !== 'agents.get') {
    test(`${name}: a name in the path that cannot exist is not there`, async () => {
      const { api, request } = createWorld();
      const first = pathParams(row.path)[0] ?? '';
      const wrong = path.replace(PATH_VALUES[first] ?? '', 'NOPE!');
      const response = await request(wrong, send(row, BODIES[name]));
      assert.deepEqual([response.status, (await errorOf(response)).code], [404, 'not_found']);
      assert.equal(api.calls.length, 0);
    });
  }

  if (isMethod) {
    const named = pathParams(row.path).map((key) => [key, key === 'n' ? 2 : PATH_VALUES[key]]);
    const inPath = { ...Object.fromEntries(named), ...QUERIES[name] };
    const whole = isWhole ? { [(row as { body: string }).body]: BODIES[name] } : (BODIES[name] as object | undefined);
    const call = async ({ request }: World, params: object) => {
      const response = await request('/v1/rpc', { json: { jsonrpc: '2.0', id: 1, method: name, params } });
      assert.equal(response.status, 200);
      return (await response.json()) as { result?: unknown; error?: { message: string; data: { code: string } } };
    };

    test(`${name}: JSON-RPC asks the Api the same as REST, and answers the same`, async () => {
      const world = createWorld();
      world.api.answer = () => ({ status: row.status[0] ?? 0, result: { yes: name } });
      await world.request(path, send(row, BODIES[name]));
      assert.deepEqual(await call(world, { ...inPath, ...whole }), { jsonrpc: '2.0', id: 1, result: { yes: name } });
      const [rest, rpc] = world.api.calls;
      assert.deepEqual([rpc?.method, rpc?.params], [rest?.method, rest?.params]);
    });

    test(`${name}: JSON-RPC is refused as REST is, whatever the code`, async () => {
      const world = createWorld();
      for (const code of [...COMMON_ERRORS, ...(row.errors as readonly ErrorCode[])]) {
        world.api.answer = () => {
          throw new ApiError(code, `no ${code}`, { details: { path: 'x' } });
        };
        const { error: rest } = (await (await world.request(path, send(row, BODIES[name]))).json()) as {
          error: { code: string; message: string; details: unknown; requestId: string };
        };
        const { error } = await call(world, { ...inPath, ...whole });
        assert.deepEqual({ ...error?.data, message: error?.message }, rest);
      }
      const calls = world.api.calls.length;
      const { error } = await call(world, { ...inPath, ...whole, surprise: 1 });
      assert.deepEqual([error?.data.code, error?.message], ['invalid_request', 'surprise is an unknown field']);
      assert.equal(world.api.calls.length, calls);
    });
  }

  if (isMethod) {
    test(`${name}: reaches the Api once with its parameters, and answers what that says`, async () => {
      const { api, request } = createWorld();
      api.answer = () => ({ status: row.status.at(-1) ?? 0, result: { yes: name } });
      const response = await request(path, send(row, BODIES[name]));
      assert.equal(response.status, row.status.at(-1));
      assert.deepEqual(await response.json(), { yes: name });
      assert.equal(response.headers.get('content-type'), 'application/json');
      const [call] = api.calls;
      assert.deepEqual([api.calls.length, call?.method], [1, name]);
      assert.deepEqual(call?.caller, {
        tenant: 'default',
        actor: 'open' in row ? { kind: 'key', id: 'callback' } : { kind: 'user', id: 'local' },
        requestId: `req_${'07'.repeat(12)}`,
      });
      for (const param of pathParams(row.path)) {
        const value: string | undefined = (call?.params as { [name: string]: string } | undefined)?.[param];
        assert.equal(String(value), PATH_VALUES[param]);
      }
    });
  }

  test(`${name}: another verb at its address is 405 with what is allowed`, async () => {
    const { request } = createWorld();
    const taken = new Set(rows.filter((each) => each.path === path).map((each) => each.row.verb));
    const method = (['PUT', 'PATCH'] as const).find((verb) => !taken.has(verb)) ?? assert.fail(path);
    const response = await request(path, { method });
    assert.deepEqual([response.status, (await errorOf(response)).code], [405, 'method_not_allowed']);
    assert.ok(response.headers.get('allow')?.split(', ').includes(row.verb));
  });
}

test('the right token is a key, and lets in under any host', async () => {
  const { api, request } = createWorld({ token: 'right' });
  const response = await request('/v1/agents', { headers: { authorization: 'bearer right', host: 'perdure.example' } });
  assert.equal(response.status, 200);
  assert.deepEqual(api.calls[0]?.caller.actor, { kind: 'key', id: 'token' });
});

test('the same origin may call, on the port it came in on; another port may not', async () => {
  const { request } = createWorld();
  const status = async (host: string, port: number, origin?: string) =>
    (await request('/v1/agents', { headers: { host, ...(origin === undefined ? {} : { origin }) }, env: { port } }))
      .status;
  assert.equal(await status('localhost:7420', 7420, 'http://localhost:7420'), 200);
  assert.equal(await status('127.0.0.1:7420', 7420), 200);
  assert.equal(await status('[::1]:7420', 7420), 200);
  assert.equal(await status('LOCALHOST:7420', 7420), 200);
  assert.equal(await status('127.0.0.5:7420', 7420), 200);
  assert.equal(await status('127.0.0.1.evil.example:7420', 7420), 403);
  assert.equal(await status('localhost', 80), 200);
  assert.equal(await status('localhost:7421', 7420), 403);
  assert.equal(await status('localhost', 7420), 403);
});

test('where host names are given, they and no others are answered to', async () => {
  const { request } = createWorld({ allowedHosts: ['Perdure.internal'] });
  const status = async (host: string) => (await request('/v1/agents', { headers: { host } })).status;
  assert.deepEqual([await status('perdure.internal'), await status('localhost:7420')], [200, 403]);
});

test('health needs neither token nor host; ready says why not', async () => {
  const { api, request } = createWorld({ token: 'right' });
  const live = await request('/health/live', { headers: { host: 'anything' } });
  assert.deepEqual([live.status, await live.json()], [200, { live: true }]);
  assert.equal((await request('/health/ready')).status, 200);
  api.isReady = false;
  const ready = await request('/health/ready');
  assert.deepEqual([ready.status, await ready.json()], [503, { ready: false, reason: 'the disk is full' }]);
});

test('a request id comes back on success and in errors: the given one where it is sound, else a new one', async () => {
  const { api, request } = createWorld();
  const given = await request('/v1/agents', { headers: { 'x-request-id': 'abc-1' } });
  assert.equal(given.headers.get('x-request-id'), 'abc-1');
  assert.equal(api.calls[0]?.caller.requestId, 'abc-1');
  const fresh = await request('/v1/nowhere', { headers: { 'x-request-id': 'a b' } });
  assert.match(fresh.headers.get('x-request-id') ?? '', /^req_/);
  assert.equal((await errorOf(fresh)).requestId, fresh.headers.get('x-request-id'));
});

test('an unknown address is 404 in the shape of errors', async () => {
  const { request } = createWorld();
  for (const path of ['/', '/v1', '/v1/nothing', '/v2/agents', `/v1/runs/${SESSION}`, `/v1/runs/${SESSION}.r1.r2`]) {
    const response = await request(path);
    assert.deepEqual([response.status, (await errorOf(response)).code], [404, 'not_found'], path);
  }
});

test('a refusal of the Api keeps its code, status and details; anything else is internal and tells nothing', async () => {
  const { api, request, logged } = createWorld();
  api.answer = () => {
    throw new ApiError('revision_conflict', 'it is at revision 4', { details: { revision: 4 } });
  };
  const refused = await request('/v1/agents');
  assert.equal(refused.status, 409);
  assert.deepEqual(await errorOf(refused), {
    code: 'revision_conflict',
    message: 'it is at revision 4',
    details: { revision: 4 },
    requestId: `req_${'07'.repeat(12)}`,
  });
  api.answer = () => {
    throw new Error('SELECT secret FROM sessions');
  };
  const failed = await request('/v1/agents');
  const error = await errorOf(failed);
  assert.deepEqual([failed.status, error.code], [500, 'internal']);
  assert.ok(!JSON.stringify(error).includes('SELECT'));
  assert.ok(logged.some((line) => line.includes('SELECT') && line.includes(error.requestId)));
});

const startPath = `/v1/sessions/${SESSION}/runs`;
const refusalOf = async (
  world: ReturnType<typeof createWorld>,
  init: Parameters<typeof world.request>[1],
  path = startPath,
) => {
  const response = await world.request(path, { method: 'POST', ...init });
  const error = await errorOf(response);
  assert.equal(world.api.calls.length, 0);
  return [response.status, error.code, error.message] as const;
};

test('malformed JSON, another content type, a body that is no object: refused before anything is done', async () => {
  const world = createWorld();
  const type = { 'content-type': 'application/json; charset=utf-8' };
  const malformed = await refusalOf(world, { body: '{"input": "s3cret-tok', headers: type });
  assert.deepEqual(malformed.slice(0, 2), [400, 'invalid_request']);
  assert.ok(!malformed[2].includes('s3cret'));
  assert.match(
    (await refusalOf(world, { body: '{"input":"x"}', headers: { 'content-type': 'text/plain' } }))[2],
    /application\/json/,
  );
  assert.match((await refusalOf(world, { body: '{"input":"x"}' }))[2], /application\/json/);
  for (const json of [[], 'x', 3, null]) assert.match((await refusalOf(world, { json }))[2], /JSON object/);
  assert.match(
    (await refusalOf(world, { body: new Uint8Array([0x22, 0xff, 0x22]) as never, headers: type }))[2],
    /UTF-8/,
  );
  assert.equal((await refusalOf(world, {}))[2], 'input is missing');
});

test('a body over the cap is too large, by its announcement and by its bytes', async () => {
  const world = createWorld({ maxBodyBytes: 100 });
  assert.deepEqual((await refusalOf(world, { json: { input: 'x'.repeat(200) } })).slice(0, 2), [413, 'too_large']);
  let pulled = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => {
      pulled += 1;
      controller.enqueue(new Uint8Array(60).fill(32));
    },
  });
  const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
  assert.deepEqual((await refusalOf(world, { body: endless as never, headers })).slice(0, 2), [413, 'too_large']);
  assert.ok(pulled < 10);
});

test('a chunked body within the cap is taken', async () => {
  const { api, request } = createWorld();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const part of ['{"inp', 'ut":"x"}']) controller.enqueue(new TextEncoder().encode(part));
      controller.close();
    },
  });
  const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
  const response = await request(startPath, { method: 'POST', body: body as never, headers });
  assert.equal(response.status, 200);
  assert.deepEqual(api.calls[0]?.params, { session: SESSION, input: 'x', mode: 'queue', priority: 0 });
});

test('JSON nested too deep is refused, and as deep as allowed is taken', async () => {
  const world = createWorld();
  const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
  const headers = { 'content-type': 'application/json' };
  const post = (body: string) => world.request('/v1/callbacks/abc', { method: 'POST', body, headers });
  assert.equal((await post(nested(WIRE.jsonDepth))).status, 200);
  for (const levels of [WIRE.jsonDepth + 1, 200_000]) {
    const response = await post(nested(levels));
    assert.deepEqual([response.status, (await errorOf(response)).code], [400, 'invalid_request']);
  }
});

test('members that could reach a prototype are refused and reach none', async () => {
  const world = createWorld();
  const headers = { 'content-type': 'application/json' };
  const bodies = [
    '{"input":"x","__proto__":{"polluted":1}}',
    '{"input":"x","config":{"__proto__":{"model":"y"}}}',
    '{"input":"x","constructor":{"prototype":{"polluted":1}}}',
    '{"input":"x","prototype":1}',
  ];
  for (const body of bodies) assert.equal((await refusalOf(world, { body, headers }))[0], 400, body);
  const payload = await world.request('/v1/callbacks/abc', {
    method: 'POST',
    body: '[{"a":{"__proto__":{}}}]',
    headers,
  });
  assert.equal(payload.status, 400);
  assert.equal((await world.request('/v1/agents?__proto__=1')).status, 400);
  assert.equal((await world.request('/v1/agents?constructor=1')).status, 400);
  assert.equal(({} as { polluted?: number }).polluted, undefined);
});

test('a refusal names the field by its path, in arrays and unions too', async () => {
  const world = createWorld();
  const message = async (json: unknown, path?: string) => (await refusalOf(world, { json }, path))[2];
  assert.match(
    await message({ input: 'x', config: { limits: { turn: 3 } } }),
    /^config\.limits\.turn is an unknown field/,
  );
  assert.match(
    await message({
      input: [
        { type: 'text', text: 'a' },
        { type: 'text', txt: 'b' },
      ],
    }),
    /^input\[1\]\./,
  );
  assert.match(await message({ input: 'x', mode: 'sideways' }), /^mode is not valid/);
  assert.match(await message({ input: '' }), /^input is not valid/);
  assert.match(await message({ input: 3 }), /^input is not valid/);
  assert.match(await message({ input: 'x', submission: 'x'.repeat(201) }), /^submission /);
  assert.match(await message({ input: 'x', session: SESSION }), /^session is an unknown field/);
  const wait = `/v1/sessions/${SESSION}/waits/w1`;
  assert.match(await message({ decision: 'approve', digest: 'd', arguments: 3 }, wait), /^arguments /);
  assert.match(await message({ outcome: 'maybe' }, wait), /^outcome /);
  assert.match(await message({ input: 'x', timeoutMs: 5 }, '/v1/runs'), /^timeoutMs .*wait/);
});

test('numbers and truths of a query are read as such; what is none is refused', async () => {
  const { api, request } = createWorld();
  await request(`/v1/sessions/${SESSION}/events?after=3&limit=10&waitMs=0`);
  assert.deepEqual(api.calls[0]?.params, { session: SESSION, after: 3, limit: 10, waitMs: 0 });
  await request('/v1/sessions?status=idle&cursor=abc');
  assert.deepEqual(api.calls[1]?.params, { status: 'idle', cursor: 'abc', limit: 100 });
  const bad = [
    'after=x',
    'after=-1',
    'after=1.5',
    'after=1e3',
    'limit=0',
    'limit=1001',
    'waitMs=60001',
    'after=1&after=2',
    'after=',
  ];
  for (const query of bad) {
    const response = await request(`/v1/sessions/${SESSION}/events?${query}`);
    assert.deepEqual([response.status, (await errorOf(response)).code], [400, 'invalid_request'], query);
  }
  assert.equal(api.calls.length, 2);
});

test('escapes in a path are decoded once', async () => {
  const { api, request } = createWorld();
  await request('/v1/agents/my%20agent%2F%C3%A4');
  assert.deepEqual(api.calls[0]?.params, { name: 'my agent/ä' });
});

test('the document is served as it is generated', async () => {
  const { request } = createWorld();
  const document = (await (await request('/v1/openapi.json')).json()) as { paths: { [path: string]: unknown } };
  for (const row of Object.values(METHODS)) assert.ok(document.paths[row.path]);
});

test('a blob goes in and comes out byte for byte, safe to fetch and to cache for ever', async () => {
  const { request } = createWorld();
  const bytes = new Uint8Array([0, 255, 10, 13]);
  const put = await request('/v1/blobs', {
    method: 'POST',
    body: bytes as never,
    headers: { 'content-type': 'image/png', 'content-length': '4' },
  });
  assert.equal(put.status, 201);
  const { digest, bytes: size } = (await put.json()) as { digest: string; bytes: number };
  assert.equal(size, 4);
  const got = await request(`/v1/blobs/${digest}`);
  assert.deepEqual(new Uint8Array(await got.arrayBuffer()), bytes);
  assert.equal(got.headers.get('content-type'), 'application/octet-stream');
  assert.equal(got.headers.get('x-content-type-options'), 'nosniff');
  assert.match(got.headers.get('cache-control') ?? '', /immutable/);
  const head = await request(`/v1/blobs/${digest}`, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-length'), await head.text()], [200, '4', '']);
  const etag = got.headers.get('etag') ?? '';
  assert.equal((await request(`/v1/blobs/${digest}`, { headers: { 'if-none-match': etag } })).status, 304);
  assert.equal((await request(`/v1/blobs/${DIGEST}`, { method: 'HEAD' })).status, 404);
  const announced = { 'content-length': String(WIRE.blobBytes + 1) };
  assert.equal((await request('/v1/blobs', { method: 'POST', body: bytes as never, headers: announced })).status, 413);
});

test('after drain began, work is refused as unavailable and ready says so', async () => {
  const { api, gateway, request } = createWorld();
  gateway.drain();
  const response = await request('/v1/agents');
  assert.deepEqual([response.status, response.headers.get('retry-after')], [503, '1']);
  assert.equal((await request('/health/ready')).status, 503);
  assert.equal((await request('/health/live')).status, 200);
  assert.equal(api.calls.length, 0);
});

test('every method of the table has a summary, a scope and at least one status that is a success', () => {
  for (const name of Object.keys(METHODS) as MethodName[]) {
    const row = METHODS[name];
    assert.ok(row.summary.length > 5 && ['read', 'write'].includes(row.scope), name);
    assert.ok(
      row.status.every((status) => status >= 200 && status < 300),
      name,
    );
  }
});
