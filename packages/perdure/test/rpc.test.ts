import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Client, MethodName, ParamsInput, RpcClient } from '@perdure/contract';
import { ApiError, createClient, createRpcClient, METHODS } from '@perdure/contract';
import type { Listening, Runtime } from '../src/index.ts';
import { agent, ask, createRuntime, handler, serve, tool } from '../src/index.ts';

const add = tool({
  name: 'add',
  description: 'Adds.',
  input: { type: 'object', properties: { a: { type: 'number' } }, required: ['a'] },
  effect: 'pure',
  run: (args) => String(args),
});

describe('a server with a session', () => {
  let rt: Runtime;
  let listening: Listening;
  let rest: Client;
  let rpc: RpcClient;
  let session = '';
  const post = async (method: string, params: unknown): Promise<unknown> => {
    const response = await fetch(`${listening.url}/v1/rpc`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer right-EXAMPLE' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    const { result, error } = (await response.json()) as {
      result?: unknown;
      error?: { message: string; data: { code: string; details?: unknown } };
    };
    if (error === undefined) return result;
    return { code: error.data.code, message: error.message, details: error.data.details };
  };
  const outcome = async (work: Promise<unknown>): Promise<unknown> =>
    work.catch((error: unknown) => {
      assert.ok(error instanceof ApiError, String(error));
      return { code: error.code, message: error.message, details: error.details };
    });
  /** The same call through each door. */
  const threefold = async (method: MethodName, params: object): Promise<[unknown, unknown, unknown]> => [
    await outcome(rest.call(method, params as ParamsInput<typeof method>)),
    await post(method, params),
    await outcome(rpc.call(method, params as ParamsInput<typeof method>)),
  ];

  before(async () => {
    rt = await createRuntime({
      store: 'memory',
      agents: [agent({ name: 'assistant', model: 'demo', tools: [add, ask()] })],
      log: { level: 'silent' },
    });
    listening = await serve(rt, { port: 0, token: 'right-EXAMPLE' });
    rest = createClient({ url: listening.url, token: 'right-EXAMPLE' });
    rpc = createRpcClient({ url: listening.url, token: 'right-EXAMPLE' });
    const first = await rest.call('runs.create', { input: 'call add {"a": 2}', wait: true });
    session = first.session.id;
    const asked = await rest.call('runs.start', { session, input: 'call ask {"question": "Which?"}' });
    for await (const event of rest.events(session, { after: asked.seq }))
      if (event.type === 'entry' && event.entry.kind === 'wait.opened') break;
  });
  after(async () => {
    rpc.close();
    await listening.close();
    await rt.close();
  });

  /** A value for each parameter that a row needs, its own body aside. */
  const there = (): { [name: string]: unknown } => ({
    session,
    other: session,
    q: 'add',
    run: 'r1',
    n: 1,
    wait: 'w1',
    name: 'assistant',
    key: 'notes',
    token: 'none',
    workspace: 'site',
    digests: ['A'.repeat(43)],
    scope: 'tenant',
    policies: {},
    since: 0,
    rule: 'one',
    grant: 'one',
  });
  const rows = Object.entries(METHODS) as [MethodName, { scope: string; params: { shape: object } }][];
  for (const [name, row] of rows) {
    const paramsOf = (values: { [name: string]: unknown }) =>
      Object.fromEntries(Object.entries(values).filter(([key]) => key in row.params.shape));
    if (row.scope === 'read') {
      test(`${name} gives through JSON-RPC what it gives through REST`, async () => {
        const needed = Object.entries(row.params.shape).filter(([, schema]) => !isOptional(schema));
        const params = Object.fromEntries(
          needed.map(([key]) => [key, there()[key] ?? assert.fail(`${name} needs a ${key} that this test has not`)]),
        );
        const [first, second, third] = await threefold(name, params);
        assert.deepEqual(second, first);
        assert.deepEqual(third, first);
      });
    }
    test(`${name} is refused through JSON-RPC as through REST`, async () => {
      const absent = {
        ...there(),
        session: `ses_${'0'.repeat(26)}`,
        name: 'nobody',
        submission: 'x'.repeat(1_000),
        digests: [''],
        scope: 'nobody',
        policies: 1,
      };
      const given = paramsOf({ ...absent, answer: { answer: 'x' }, payload: 1, limit: 'many' });
      // What takes nothing refuses something.
      const params = Object.keys(given).length === 0 ? { surprise: 1 } : given;
      const [first, second, third] = await threefold(name, params);
      assert.ok(first !== null && typeof first === 'object' && 'code' in first, `${name} was not refused`);
      assert.deepEqual(second, first);
      assert.deepEqual(third, first);
    });
  }

  test('a message is sent, followed, answered and ended over one WebSocket', async () => {
    const accepted = await rpc.call('runs.create', { input: 'call ask {"question": "Which?", "choices": ["a", "b"]}' });
    const seqs: number[] = [];
    let text = '';
    for await (const event of rpc.events(accepted.session.id)) {
      if (event.type === 'delta' && event.delta.part === 'text') text += event.delta.text;
      if (event.type !== 'entry') continue;
      seqs.push(event.entry.seq);
      if (event.entry.kind === 'wait.opened')
        await rpc.call('waits.resolve', { session: accepted.session.id, wait: 'w1', answer: { answer: 'b' } });
      if (event.entry.kind === 'run.ended') break;
    }
    assert.deepEqual(
      seqs,
      seqs.map((_, index) => index + 1),
    );
    const { run } = await rpc.call('runs.find', { session: accepted.session.id, run: 'r1' });
    assert.deepEqual([run.status, text.includes('ask: b')], ['completed', true]);
  });

  test('a handler in another program’s server speaks JSON-RPC over HTTP', async () => {
    const answer = handler(rt);
    const headers = { 'content-type': 'application/json' };
    const body = '[{"jsonrpc":"2.0","id":1,"method":"agents.list"},{"jsonrpc":"2.0","id":2,"method":"nothing"}]';
    const url = 'http://localhost/v1/rpc';
    const response = await answer(new Request(url, { method: 'POST', headers, body }));
    const [first, second] = (await response.json()) as { result?: unknown; error?: { code: number } }[];
    assert.deepEqual([first?.result, second?.error?.code], [await rest.call('agents.list', {}), -32_601]);
    assert.equal((await answer(new Request(url, { headers: { upgrade: 'websocket' } }))).status, 405);
  });

  test('the feed tells of each session over the same WebSocket', async () => {
    const { session: opened } = await rpc.call('runs.create', { input: 'hello' });
    for await (const event of rpc.feed()) if (event.type === 'change' && event.change.session === opened.id) break;
  });
});

type Definition = { type: string; innerType?: { def: Definition } };
function isOptional(schema: unknown): boolean {
  const { type } = (schema as { def: Definition }).def;
  return type === 'optional' || type === 'default';
}
