// The adapter over real HTTP, against the emulator that the official client agrees with (see testkit).
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import type { Delta, GenerateOutcome, GenerateRequest, NeutralItem, System } from '@perdure/runtime/ports';
import { chatEvents, createChatEmulator, type ChatAnswer, type ChatStep } from '@perdure/testkit';
import { createModelSource } from '../source.ts';
import type { EndpointRecord } from './endpoint.ts';

const NOW = Date.UTC(2026, 0, 1);
const system: System = {
  clock: { now: () => NOW, monotonicMs: () => 0 },
  timers: { set: () => assert.fail('no timers are needed') },
  random: { bytes: () => assert.fail('no randomness is needed') },
};

const message = (text: string): NeutralItem => ({ kind: 'message', parts: [{ type: 'text', text }] });
const tool = { name: 'look', description: 'Looks.', input: { type: 'object', properties: {} } };

type Given = Partial<GenerateRequest> & { items?: readonly NeutralItem[]; signal?: AbortSignal };

function client(baseUrl: string, more: Partial<EndpointRecord> = {}) {
  const source = createModelSource({
    endpoints: [{ name: 'local', baseUrl, apiKey: 'secret-key', ...more }],
    env: {},
    system,
  });
  after(() => source.close());
  const found = source.resolve('local/gpt-4o');
  assert.ok(found.ok);
  const { adapter } = found;
  const requestOf = ({ items = [message('hello')], ...given }: Given): GenerateRequest => ({
    model: 'local/gpt-4o',
    instructions: 'Be brief.',
    tools: [],
    rendered: items.map((item) => adapter.render(item, 'local/gpt-4o')).join(','),
    params: { maxOutputTokens: 256 },
    key: 'abcdefghijklmnopqrstuvwxyz',
    attempt: 1,
    ...given,
  });
  const ask = async (given: Given = {}) => {
    const deltas: Delta[] = [];
    const signal = given.signal ?? new AbortController().signal;
    const outcome = await adapter.generate(requestOf(given), { signal, delta: (delta) => void deltas.push(delta) });
    return { outcome, deltas };
  };
  return { source, adapter, requestOf, ask };
}

async function start(steps: readonly ChatStep[], more: Partial<EndpointRecord> = {}) {
  const emulator = await createChatEmulator(steps, { key: 'secret-key' });
  after(() => emulator.close().catch(() => undefined));
  return { emulator, ...client(emulator.url, more) };
}

type Done = Extract<GenerateOutcome, { type: 'done' }>;
type Failed = Extract<GenerateOutcome, { type: 'failed' }>;
function done(outcome: GenerateOutcome): Done {
  assert.equal(outcome.type, 'done', JSON.stringify(outcome));
  return outcome as Done;
}
function failed(outcome: GenerateOutcome): Failed {
  assert.equal(outcome.type, 'failed', JSON.stringify(outcome));
  return outcome as Failed;
}
const brief = ({ code, retry, spent }: Failed) => [code, retry, spent.kind];

/** A server that does to each connection what the test says. */
async function tcp(serve: Parameters<typeof createTcpServer>[1] & object): Promise<string> {
  const server = createTcpServer(serve);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  after(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}

describe('an answer', () => {
  it('is streamed, and is the sum of its deltas', async () => {
    const { emulator, ask } = await start([
      { text: 'Grüße, 世界 😀!', pieces: ['Grü', 'ße, ', '世界', ' 😀!'], bytesPerWrite: 1 },
    ]);
    const { outcome, deltas } = await ask();
    assert.deepEqual(done(outcome).text, 'Grüße, 世界 😀!');
    assert.equal(deltas.map((delta) => delta.text).join(''), 'Grüße, 世界 😀!');
    assert.equal(deltas.length, 4);
    assert.equal(done(outcome).stop, 'end');
    assert.deepEqual(done(outcome).native, { role: 'assistant', content: 'Grüße, 世界 😀!' });
    emulator.verify();
  });

  it('counts each token once: the cached ones are no input, the reasoning ones are output', async () => {
    const { ask } = await start([{ text: 'x', usage: { prompt: 100, completion: 50, cached: 64, reasoning: 40 } }]);
    assert.deepEqual(done((await ask()).outcome).usage, {
      input: 36,
      cachedInput: 64,
      cacheWrite: 0,
      output: 50,
      reasoning: 40,
      source: 'provider',
    });
  });

  it('that nobody counted is charged as a bound', async () => {
    const { adapter, requestOf, ask } = await start([{ text: 'x', usage: null }]);
    const { usage } = done((await ask()).outcome);
    const input = Buffer.byteLength(adapter.body(requestOf({})));
    assert.deepEqual([usage.source, usage.input, usage.output], ['bound', input, 256]);
  });

  it('may ask for parallel calls, in order or interleaved', async () => {
    const calls = [
      { id: 'a', name: 'look', arguments: { at: 'here' } },
      { id: 'b', name: 'look', arguments: { at: 'there' } },
      { id: 'c', name: 'stop' },
    ];
    const { ask } = await start([{ calls }, { calls, interleave: true, text: 'I look' }]);
    for (const text of ['', 'I look']) {
      const { outcome, deltas } = await ask({ tools: [tool] });
      assert.equal(done(outcome).stop, 'calls');
      assert.equal(done(outcome).text, text);
      assert.deepEqual(done(outcome).calls, [
        { id: 'a', name: 'look', arguments: '{"at":"here"}' },
        { id: 'b', name: 'look', arguments: '{"at":"there"}' },
        { id: 'c', name: 'stop', arguments: '{}' },
      ]);
      for (const [n, call] of done(outcome).calls.entries()) {
        const pieces = deltas.flatMap((delta) => (delta.part === 'arguments' && delta.call === n ? [delta] : []));
        assert.equal(pieces.map((piece) => piece.text).join(''), call.arguments);
        assert.ok(pieces.every((piece) => piece.name === call.name));
      }
    }
  });

  it('hands malformed arguments on as they came: they are judged where the tool is known', async () => {
    const { ask } = await start([{ calls: [{ id: 'a', name: 'look', arguments: '{"at": ' }] }]);
    assert.deepEqual(done((await ask({ tools: [tool] })).outcome).calls[0]?.arguments, '{"at": ');
  });

  it('with calls that is cut by length or by a filter hands no call on', async () => {
    const calls = [{ id: 'a', name: 'look', arguments: '{"rm": "/tm' }];
    const { ask } = await start([
      { calls, text: 'so', finish: 'length' },
      { calls, finish: 'content_filter' },
    ]);
    const length = done((await ask({ tools: [tool] })).outcome);
    assert.deepEqual([length.stop, length.calls, length.native], ['length', [], { role: 'assistant', content: 'so' }]);
    const filtered = done((await ask({ tools: [tool] })).outcome);
    assert.deepEqual([filtered.stop, filtered.calls], ['filtered', []]);
  });

  it('that ends with `stop` although it has calls asks for calls', async () => {
    const { ask } = await start([{ calls: [{ id: 'a', name: 'look' }], finish: 'stop' }]);
    assert.equal(done((await ask({ tools: [tool] })).outcome).stop, 'calls');
  });

  it('that is a refusal counts as filtered and keeps its words', async () => {
    const { ask } = await start([{ refusal: 'I will not' }]);
    const { outcome, deltas } = await ask();
    assert.deepEqual([done(outcome).stop, done(outcome).text], ['filtered', 'I will not']);
    assert.deepEqual(done(outcome).native, { role: 'assistant', content: null, refusal: 'I will not' });
    assert.equal(deltas.map((delta) => delta.text).join(''), 'I will not');
  });

  it('streams reasoning under either name and sends it back as it came, unless the endpoint refuses it', async () => {
    for (const field of ['reasoning_content', 'reasoning'] as const) {
      const { ask, adapter } = await start([{ text: 'so', reasoning: { text: 'because', field } }]);
      const { outcome, deltas } = await ask();
      assert.equal(done(outcome).reasoning, 'because');
      assert.ok(deltas.some((delta) => delta.part === 'reasoning'));
      const { native, text, calls } = done(outcome);
      const turn: NeutralItem = { kind: 'turn', model: 'local/gpt-4o', text, calls, native };
      const bare = client('http://127.0.0.1:9/v1', { quirks: { dropReasoning: true } });
      const said = { role: 'assistant', content: 'so' };
      assert.deepEqual(JSON.parse(adapter.render(turn, 'local/gpt-4o')), { ...said, [field]: 'because' });
      assert.deepEqual(JSON.parse(bare.adapter.render(turn, 'local/gpt-4o')), said);
    }
  });

  it('leaves the connection open for the next one', async () => {
    const { emulator, ask } = await start([{ text: 'a' }, { text: 'b' }, { text: 'c' }]);
    for (const text of ['a', 'b', 'c']) assert.equal(done((await ask()).outcome).text, text);
    assert.ok(emulator.connections() <= 2, `${emulator.connections()} connections`);
  });
});

describe('the history', () => {
  it('of a tool-using run is one that the provider takes, its own messages sent back as they came', async () => {
    const { emulator, ask } = await start([
      { calls: [{ id: 'a', name: 'look', arguments: '{ "at" : 1 }' }] },
      { text: 'seen' },
    ]);
    const first = done((await ask({ tools: [tool] })).outcome);
    const items: NeutralItem[] = [
      message('hello'),
      { kind: 'turn', model: 'local/gpt-4o', text: '', calls: first.calls, native: first.native },
      { kind: 'result', providerId: 'a', name: 'look', outcome: 'done', content: 'a tree' },
    ];
    done((await ask({ tools: [tool], items, params: { maxOutputTokens: 9, toolChoice: { tool: 'look' } } })).outcome);
    assert.deepEqual(emulator.requests[1]?.body, {
      model: 'gpt-4o',
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 9,
      tool_choice: { type: 'function', function: { name: 'look' } },
      tools: [{ type: 'function', function: { name: 'look', description: 'Looks.', parameters: tool.input } }],
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hello' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{ "at" : 1 }' } }],
        },
        { role: 'tool', tool_call_id: 'a', content: 'a tree' },
      ],
    });
    emulator.verify();
  });

  it('of another model is told in text and calls; what failed says so', () => {
    const { adapter } = client('http://127.0.0.1:9/v1');
    const render = (item: NeutralItem) => adapter.render(item, 'local/gpt-4o');
    const native = { role: 'assistant', content: 'native', signature: 'x' };
    const calls = [{ id: 'a', name: 'look', arguments: '{}' }];
    assert.deepEqual(JSON.parse(render({ kind: 'turn', model: 'other/model', text: 'told', calls, native })), {
      role: 'assistant',
      content: 'told',
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{}' } }],
    });
    assert.equal(render({ kind: 'turn', model: 'other/model', text: '', calls: [], native }), '');
    const denied: NeutralItem = { kind: 'result', providerId: 'a', name: 'look', outcome: 'denied', content: 'no' };
    assert.deepEqual(JSON.parse(render(denied)), { role: 'tool', tool_call_id: 'a', content: '[denied] no' });
  });

  it('carries images and files as content parts, in their order, and stays a plain text without any', async () => {
    const { emulator, requestOf, ask } = await start([{ text: 'seen' }]);
    const base64 = Buffer.from('pixels').toString('base64');
    const items: NeutralItem[] = [
      message('first'),
      {
        kind: 'message',
        parts: [
          { type: 'text', text: 'Compare' },
          { type: 'image', digest: 'd', mediaType: 'image/png', name: 'a.png', base64 },
          { type: 'file', digest: 'e', mediaType: 'application/pdf', name: 'b.pdf', base64 },
        ],
      },
    ];
    done((await ask({ items })).outcome);
    const { messages } = emulator.requests[0]?.request ?? assert.fail(requestOf({ items }).rendered);
    assert.deepEqual(messages.slice(1), [
      { role: 'user', content: 'first' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Compare' },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${base64}` } },
          { type: 'file', file: { filename: 'b.pdf', file_data: `data:application/pdf;base64,${base64}` } },
        ],
      },
    ]);
    emulator.verify();
  });

  it('grows only at its end: what was sent before is a prefix of what is sent next', () => {
    const { adapter, requestOf } = client('http://127.0.0.1:9/v1');
    const items = [message('one'), message('two'), message('three')];
    const bodies = items.map((_, n) => adapter.body(requestOf({ items: items.slice(0, n + 1), tools: [tool] })));
    for (let n = 1; n < bodies.length; n += 1) {
      assert.ok(bodies[n]?.startsWith((bodies[n - 1] ?? '').slice(0, -2)));
    }
  });

  it('is exactly what `body` says', async () => {
    const { emulator, adapter, requestOf, ask } = await start([{ text: 'x' }]);
    await ask({ tools: [tool] });
    assert.equal(emulator.requests[0]?.text, adapter.body(requestOf({ tools: [tool] })));
    assert.equal(emulator.requests[0]?.headers['x-client-request-id'], 'abcdefghijklmnopqrstuvwxyz-1');
  });

  it('carries parameters, a schema, and what an endpoint wants otherwise', async () => {
    const output = { type: 'object', properties: {} };
    const params = { maxOutputTokens: 7, temperature: 0.5, effort: 'low', toolChoice: 'required' } as const;
    const { emulator, ask } = await start([{ text: '{}' }]);
    await ask({ output, params, instructions: '' });
    assert.deepEqual(emulator.requests[0]?.body, {
      model: 'gpt-4o',
      stream: true,
      stream_options: { include_usage: true },
      max_completion_tokens: 7,
      temperature: 0.5,
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: output } },
      messages: [{ role: 'user', content: 'hello' }],
    });
    const quirks = { maxTokensField: 'max_tokens', noStreamOptions: true, noJsonSchema: true } as const;
    const odd = await start([{ text: '{}' }], { quirks });
    await odd.ask({ output, params: { maxOutputTokens: 7 }, instructions: '' });
    assert.deepEqual(odd.emulator.requests[0]?.body, {
      model: 'gpt-4o',
      stream: true,
      max_tokens: 7,
      response_format: { type: 'json_object' },
      messages: [{ role: 'user', content: 'hello' }],
    });
  });
});

describe('a stream', () => {
  const calls = [
    { id: 'a', name: 'look', arguments: { at: 'hier, 世界' } },
    { id: 'b', name: 'look', arguments: { at: 2 } },
  ];
  const answers: { [name: string]: ChatAnswer } = {
    text: { text: 'Grüße, 世界 😀, it is done.' },
    'tool-call': { text: 'so', calls, interleave: true },
  };
  for (const [name, answer] of Object.entries(answers)) {
    it(`cut at every byte offset of a ${name} response is never taken for a complete answer`, async () => {
      const model = 'gpt-4o';
      const bytes = Buffer.byteLength(chatEvents(answer, { model, includeUsage: true, done: true }).join(''));
      // The message says where to cut, so that many can be under way at once.
      const emulator = await createChatEmulator(({ request }) => ({
        ...answer,
        cutAt: Number(request?.messages.at(-1)?.content),
      }));
      after(() => emulator.close());
      const { ask } = client(emulator.url);
      const check = async (offset: number): Promise<void> => {
        const { outcome } = await ask({ tools: [tool], items: [message(String(offset))] });
        if (offset < bytes) assert.deepEqual(brief(failed(outcome)), ['stream_cut', 'now', 'bound'], `at ${offset}`);
        else assert.equal(done(outcome).text, answer.text);
      };
      for (let from = 0; from <= bytes; from += 32) {
        const offsets = Array.from({ length: Math.min(32, bytes + 1 - from) }, (_, n) => from + n);
        await Promise.all(offsets.map(check));
      }
      assert.equal(emulator.requests.length, bytes + 1);
    });
  }

  it('that ends properly without its terminal event is cut, unless the endpoint never sends one', async () => {
    const { ask } = await start([{ text: 'whole', noDone: true }]);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['stream_cut', 'now', 'bound']);
    const quirky = await start(
      [
        { text: 'whole', noDone: true },
        { text: 'cut', noDone: true, cutAt: 400 },
      ],
      {
        quirks: { noDone: true },
      },
    );
    assert.equal(done((await quirky.ask()).outcome).text, 'whole');
    assert.deepEqual(brief(failed((await quirky.ask()).outcome)), ['stream_cut', 'now', 'bound']);
  });

  it('that breaks off with an error event is failed by what the error says', async () => {
    const { ask } = await start([
      { text: 'a b c', errorAfter: { events: 2, error: { message: 'boom', type: 'server_error' } } },
      {
        text: 'a',
        errorAfter: { events: 1, error: { message: 'slow', type: 'requests', code: 'rate_limit_exceeded' } },
      },
      { text: 'a', errorAfter: { events: 1, error: { message: 'big', type: 'x', code: 'context_length_exceeded' } } },
    ]);
    const first = await ask();
    assert.deepEqual(brief(failed(first.outcome)), ['stream_error', 'now', 'bound']);
    assert.match(failed(first.outcome).detail, /boom/);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['rate_limited', 'now', 'bound']);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['context_length', 'no', 'bound']);
  });

  it('that stalls is ended by the idle timeout, one that never begins by the headers timeout', async () => {
    const { ask } = await start([{ text: 'a b c', stallAt: 300 }, { hang: true }], {
      idleTimeoutMs: 50,
      headersTimeoutMs: 50,
    });
    assert.deepEqual(brief(failed((await ask()).outcome)), ['timeout', 'now', 'bound']);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['timeout', 'now', 'bound']);
  });

  it('is ended by an abort, at once and with nothing told after it', async () => {
    const { emulator, ask } = await start([{ text: 'a b c', stallAt: 700 }, { hang: true }]);
    for (const n of [0, 1]) {
      const abort = new AbortController();
      const asking = ask({ signal: abort.signal });
      await emulator.requested(n);
      abort.abort();
      assert.deepEqual(brief(failed((await asking).outcome)), ['aborted', 'no', 'bound']);
    }
    const before = await ask({ signal: AbortSignal.abort() });
    assert.deepEqual(brief(failed(before.outcome)), ['aborted', 'no', 'none']);
    emulator.verify();
  });

  const streams = async (body: string | Buffer, type = 'text/event-stream') => {
    const server: Server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': type }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    after(() => server.close());
    return client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).ask();
  };
  const chunk = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const end = 'data: [DONE]\n\n';

  it('of nonsense is malformed, whatever the nonsense', async () => {
    const malformed = ['malformed', 'now', 'bound'];
    assert.deepEqual(brief(failed((await streams('data: {"choices": [\n\n')).outcome)), malformed);
    assert.deepEqual(brief(failed((await streams('data: 7\n\n')).outcome)), malformed);
    assert.deepEqual(brief(failed((await streams(chunk({ tool_calls: 'x' }))).outcome)), malformed);
    assert.deepEqual(brief(failed((await streams(chunk({}, 'tool_calls') + end)).outcome)), malformed);
    assert.deepEqual(brief(failed((await streams(chunk({}, 'whatever') + end)).outcome)), ['malformed', 'no', 'bound']);
    assert.deepEqual(brief(failed((await streams(end)).outcome)), ['stream_cut', 'now', 'bound']);
    const odd = `data: {"choices":null}\n\ndata: {"choices":[null],"usage":"x"}\n\n${chunk({ content: 7 })}`;
    assert.equal(done((await streams(odd + chunk({ content: 'fine' }, 'stop') + end)).outcome).text, 'fine');
  });

  it('that is a page or a plain error says so', async () => {
    const page = failed((await streams('<html>welcome</html>', 'text/html')).outcome);
    assert.deepEqual(brief(page), ['malformed', 'no', 'bound']);
    assert.match(page.detail, /text\/html/);
    const plain = failed((await streams('{"error":{"message":"no GPU"}}', 'application/json')).outcome);
    assert.deepEqual([plain.code, /no GPU/.test(plain.detail)], ['stream_error', true]);
  });

  it('gives calls without an id, or with one that came twice, an id of their own', async () => {
    const call = (index: number, id: string | undefined, text: string) =>
      chunk({ tool_calls: [{ index, id, function: { name: 'look', arguments: text } }] });
    const same = await streams(
      call(0, undefined, '1') + call(1, 'x', '2') + call(2, 'x', '3') + chunk({}, 'tool_calls') + end,
    );
    const first = done(same.outcome);
    assert.deepEqual(
      first.calls.map((seen) => seen.arguments),
      ['1', '2', '3'],
    );
    assert.equal(new Set(first.calls.map((seen) => seen.id)).size, 3);
    const zero = await streams(call(0, 'x', '1') + call(0, 'y', '2') + chunk({}, 'tool_calls') + end);
    assert.deepEqual(
      done(zero.outcome).calls.map((seen) => [seen.id, seen.arguments]),
      [
        ['x', '1'],
        ['y', '2'],
      ],
    );
  });

  it('keeps what it does not know for the way back', async () => {
    const signed = {
      index: 0,
      id: 'a',
      function: { name: 'look', arguments: '{}' },
      extra_content: { signature: 's' },
    };
    const body =
      chunk({ tool_calls: [signed], details: [1], ['__proto__x']: 'y' }) + chunk({ details: [2] }, 'tool_calls');
    const { native } = done((await streams(body + end)).outcome);
    assert.deepEqual(native, {
      role: 'assistant',
      content: null,
      details: [1, 2],
      ['__proto__x']: 'y',
      tool_calls: [
        { id: 'a', type: 'function', function: { name: 'look', arguments: '{}' }, extra_content: { signature: 's' } },
      ],
    });
  });

  it('larger than the bounds is given up', async () => {
    const event = await streams(`data: ${'x'.repeat(5 * 1024 * 1024)}`);
    assert.deepEqual(brief(failed(event.outcome)), ['too_large', 'no', 'bound']);
    const piece = chunk({ content: 'x'.repeat(60_000) });
    const whole = await streams(Buffer.from(piece.repeat(300)));
    assert.deepEqual(brief(failed(whole.outcome)), ['too_large', 'no', 'bound']);
    const calls = Array.from({ length: 1_100 }, (_, index) => ({ index, function: { name: 'look', arguments: '{}' } }));
    const many = await streams(chunk({ tool_calls: calls }, 'tool_calls') + end);
    assert.deepEqual(brief(failed(many.outcome)), ['too_large', 'no', 'bound']);
  });
});

describe('a refusal of the provider', () => {
  const refused = async (
    status: number,
    reply: { code?: string; message?: string; headers?: Record<string, string> } = {},
  ) => {
    const { code = null, message: text = 'wrong', headers = {} } = reply;
    const { ask } = await start([{ status, error: { message: text, type: 'x', code }, headers }]);
    return failed((await ask()).outcome);
  };

  it('has a code by its status and its error, and says whether trying again can help', async () => {
    assert.deepEqual(brief(await refused(401)), ['auth', 'no', 'none']);
    assert.deepEqual(brief(await refused(403)), ['auth', 'no', 'none']);
    assert.deepEqual(brief(await refused(400)), ['invalid_request', 'no', 'none']);
    assert.deepEqual(brief(await refused(400, { code: 'context_length_exceeded' })), ['context_length', 'no', 'none']);
    const words = { message: "This model's maximum context length is 8192 tokens" };
    assert.deepEqual(brief(await refused(400, words)), ['context_length', 'no', 'none']);
    assert.deepEqual(brief(await refused(404, { code: 'model_not_found' })), ['model_not_found', 'no', 'none']);
    assert.deepEqual(brief(await refused(429)), ['rate_limited', 'now', 'none']);
    assert.deepEqual(brief(await refused(429, { code: 'insufficient_quota' })), ['quota', 'no', 'none']);
    assert.deepEqual(brief(await refused(400, { code: 'tool_use_failed' })), ['malformed', 'now', 'none']);
    for (const status of [408, 409, 500, 503, 529]) {
      assert.deepEqual(brief(await refused(status)), ['overloaded', 'now', 'none'], `${status}`);
    }
    for (const status of [502, 504]) assert.deepEqual(brief(await refused(status)), ['overloaded', 'now', 'bound']);
  });

  it('is obeyed in when to come back: milliseconds, seconds or a date', async () => {
    const retry = async (headers: Record<string, string>) => (await refused(429, { headers })).retry;
    assert.deepEqual(await retry({ 'retry-after': '7' }), { afterMs: 7_000 });
    assert.deepEqual(await retry({ 'retry-after': '0.5' }), { afterMs: 500 });
    assert.deepEqual(await retry({ 'retry-after-ms': '1500', 'retry-after': '7' }), { afterMs: 1_500 });
    assert.deepEqual(await retry({ 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' }), { afterMs: 30_000 });
    assert.equal(await retry({ 'retry-after': 'Thu, 01 Jan 2015 00:00:30 GMT' }), 'now');
    assert.equal(await retry({ 'retry-after': '0' }), 'now');
    assert.equal(await retry({ 'retry-after': 'soon' }), 'now');
    assert.equal(await retry({ 'retry-after': '-5' }), 'now');
    assert.equal(await retry({ 'x-should-retry': 'false' }), 'no');
    assert.equal((await refused(400, { headers: { 'x-should-retry': 'true' } })).retry, 'now');
  });

  it('of the key says where the key is, and no answer tells the key', async () => {
    const named = await refused(401, { message: 'Incorrect API key provided: secret-key' });
    assert.match(named.detail, /the key of the endpoint local/);
    assert.doesNotMatch(named.detail, /secret-key/);
    const echoed = await refused(400, { message: 'you sent secret-key' });
    assert.match(echoed.detail, /you sent \[key\]/);
  });

  it('that is no JSON, or is very long, is shortened to what helps', async () => {
    const { ask } = await start([{ status: 500, body: `<html>${'x'.repeat(200_000)}</html>` }]);
    const { detail } = failed((await ask()).outcome);
    assert.ok(detail.length <= 1_000 && detail.includes('<html>'));
  });
});

describe('a broken connection', () => {
  it('that was never made cost nothing', async () => {
    const gone = await createChatEmulator();
    await gone.close();
    const { ask } = client(gone.url);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['connection', 'now', 'none']);
  });

  it('that breaks after the request was sent may have cost something', async () => {
    const url = await tcp((socket) => socket.once('data', () => socket.destroy()).on('error', () => undefined));
    assert.deepEqual(brief(failed((await client(url).ask()).outcome)), ['connection', 'now', 'bound']);
  });

  it('that speaks something else is malformed', async () => {
    const url = await tcp((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end('SSH-2.0-OpenSSH\r\n\r\n'));
    });
    assert.deepEqual(brief(failed((await client(url).ask()).outcome)), ['malformed', 'now', 'bound']);
  });

  it('is how a closed source ends what is under way', async () => {
    const { emulator, source, ask } = await start([{ hang: true }]);
    const asking = ask();
    await emulator.requested(0);
    await source.close();
    assert.equal(failed((await asking).outcome).code, 'aborted');
  });
});
