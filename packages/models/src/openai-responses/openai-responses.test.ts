// The adapter over real HTTP, against the emulator that the official client agrees with (see testkit).
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import type { Delta, GenerateOutcome, GenerateRequest, NeutralItem } from '@perdure/runtime/ports';
import {
  createResponsesEmulator,
  type ResponsesEmulatorOptions,
  type ResponsesItem,
  type ResponsesReply,
  type ResponsesStep,
  type SeenResponsesRequest,
} from '@perdure/testkit';
import { openEndpoint, type EndpointRecord } from '../openai-chat/endpoint.ts';
import { Exchange } from '../http/exchange.ts';
import { createOpenAiResponses } from './adapter.ts';
import { ResponseReader } from './reader.ts';
import { fitsStrict } from './strict.ts';

const NOW = Date.UTC(2026, 0, 1);
const MODEL = 'openai/gpt-5';
const KEY = 'abcdefghijklmnopqrstuvwxyz';
const message = (text: string): NeutralItem => ({ kind: 'message', parts: [{ type: 'text', text }] });
const tool = { name: 'look', description: 'Looks.', input: { type: 'object', properties: {} } };
const background = { maxOutputTokens: 256, background: true };

type Given = Partial<GenerateRequest> & {
  items?: readonly NeutralItem[];
  signal?: AbortSignal;
  accepted?: (id: string) => Promise<void>;
};

function client(baseUrl: string, more: Partial<EndpointRecord> = {}) {
  const opened = openEndpoint({ name: 'openai', baseUrl, apiKey: 'secret-key', ...more }, {});
  assert.ok(opened.ok);
  const provider = createOpenAiResponses('openai', opened.endpoint, { now: () => NOW, monotonicMs: () => 0 });
  after(() => provider.close());
  const { adapter } = provider;
  const requestOf = ({ items = [message('hello')], ...given }: Given): GenerateRequest => {
    const model = given.model ?? MODEL;
    return {
      model,
      instructions: 'Be brief.',
      tools: [],
      rendered: items.map((item) => adapter.render(item, model)).join(','),
      params: { maxOutputTokens: 256 },
      key: KEY,
      attempt: 1,
      ...given,
    };
  };
  const ask = async (given: Given = {}) => {
    const { signal = new AbortController().signal, accepted, ...request } = given;
    const deltas: Delta[] = [];
    const context = { signal, delta: (delta: Delta) => void deltas.push(delta), ...(accepted && { accepted }) };
    const outcome = await adapter.generate(requestOf(request), context);
    return { outcome, deltas };
  };
  return { adapter, requestOf, ask };
}

async function start(
  script: readonly ResponsesStep[] | ((seen: SeenResponsesRequest) => ResponsesReply),
  more: Partial<EndpointRecord> = {},
  options: ResponsesEmulatorOptions = {},
) {
  const emulator = await createResponsesEmulator(script, { key: 'secret-key', ...options });
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
const turnOf = ({ text, calls, native }: Done, model = MODEL): NeutralItem => ({
  kind: 'turn',
  model,
  text,
  calls,
  native,
});
const resultOf = (providerId: string, content: string): NeutralItem => ({
  kind: 'result',
  providerId,
  name: 'look',
  outcome: 'done',
  content,
});
/** The body of a request as the provider got it, its input apart from the rest. */
function sentOf(requests: readonly SeenResponsesRequest[], n: number) {
  const seen = requests[n];
  assert.ok(seen !== undefined);
  const { input, ...head } = seen.body as { input: unknown[]; [name: string]: unknown };
  return { input, head };
}
const said = (deltas: readonly Delta[], part: Delta['part']) =>
  deltas.flatMap((delta) => (delta.part === part ? [delta.text] : [])).join('');

describe('an answer', () => {
  it('is streamed, and is the sum of its deltas', async () => {
    const pieces = ['Grü', 'ße, ', '世界', ' 😀!'];
    const { emulator, ask } = await start([{ output: [{ text: pieces.join(''), pieces }], bytesPerWrite: 1 }]);
    const { outcome, deltas } = await ask();
    assert.deepEqual([done(outcome).text, done(outcome).stop], ['Grüße, 世界 😀!', 'end']);
    assert.deepEqual(
      deltas,
      pieces.map((text) => ({ part: 'text', text })),
    );
    emulator.verify();
  });

  it('counts each token once: cached and written ones are no other input, reasoning is output', async () => {
    const usage = { input: 100, output: 50, cached: 64, cacheWrite: 16, reasoning: 40 };
    const { ask } = await start([{ output: [{ text: 'x' }], usage }]);
    assert.deepEqual(done((await ask()).outcome).usage, {
      input: 20,
      cachedInput: 64,
      cacheWrite: 16,
      output: 50,
      reasoning: 40,
      source: 'provider',
    });
  });

  it('that nobody counted is charged as a bound', async () => {
    const { adapter, requestOf, ask } = await start([{ output: [{ text: 'x' }], usage: null }]);
    const { usage } = done((await ask()).outcome);
    const input = Buffer.byteLength(adapter.body(requestOf({})));
    assert.deepEqual([usage.source, usage.input, usage.output], ['bound', input, 256]);
  });

  it('may ask for calls, one or several, with a word before them', async () => {
    const calls = [
      { call: { id: 'a', name: 'look', arguments: { at: 'here' } } },
      { call: { id: 'b', name: 'look', arguments: '{"at": ' } },
      { call: { id: 'c', name: 'stop' } },
    ];
    const { ask } = await start([{ output: calls.slice(0, 1) }, { output: [{ text: 'I look' }, ...calls] }]);
    const first = await ask({ tools: [tool] });
    assert.deepEqual(done(first.outcome).calls, [{ id: 'a', name: 'look', arguments: '{"at":"here"}' }]);
    const { outcome, deltas } = await ask({ tools: [tool] });
    assert.deepEqual([done(outcome).stop, done(outcome).text], ['calls', 'I look']);
    // Malformed arguments go on as they came: they are judged where the tool is known.
    assert.deepEqual(
      done(outcome).calls.map((call) => [call.id, call.name, call.arguments]),
      [
        ['a', 'look', '{"at":"here"}'],
        ['b', 'look', '{"at": '],
        ['c', 'stop', '{}'],
      ],
    );
    for (const [n, call] of done(outcome).calls.entries()) {
      const pieces = deltas.flatMap((delta) => (delta.part === 'arguments' && delta.call === n ? [delta] : []));
      assert.equal(pieces.map((piece) => piece.text).join(''), call.arguments);
      assert.ok(pieces.every((piece) => piece.name === call.name));
    }
  });

  it('tells its reasoning by the summaries, and each part of it for itself', async () => {
    const output = [{ reasoning: ['First.', 'Then.'] }, { text: 'I look.' }, { reasoning: ['So.'] }, { text: 'Done.' }];
    const { outcome, deltas } = await (await start([{ output }])).ask();
    assert.equal(done(outcome).reasoning, 'First.\n\nThen.\n\nSo.');
    assert.equal(done(outcome).text, 'I look.\n\nDone.');
    assert.equal(said(deltas, 'reasoning'), done(outcome).reasoning);
    assert.equal(said(deltas, 'text'), done(outcome).text);
  });

  it('that is cut by length or by a filter hands no call on, and sends no item back', async () => {
    const output = [{ text: 'so' }, { call: { id: 'a', name: 'look', arguments: '{"rm": "/tm' } }];
    const { adapter, ask } = await start([
      { output, end: { incomplete: 'max_output_tokens' } },
      { output, end: { incomplete: 'content_filter' } },
    ]);
    for (const stop of ['length', 'filtered']) {
      const cut = done((await ask({ tools: [tool] })).outcome);
      assert.deepEqual([cut.stop, cut.text, cut.calls, cut.native], [stop, 'so', [], null]);
      assert.deepEqual(JSON.parse(adapter.render(turnOf(cut), MODEL)), { role: 'assistant', content: 'so' });
    }
  });

  it('that is a refusal counts as filtered and keeps its words', async () => {
    const { outcome, deltas } = await (await start([{ output: [{ refusal: 'I will not' }] }])).ask();
    assert.deepEqual([done(outcome).stop, done(outcome).text], ['filtered', 'I will not']);
    assert.equal(said(deltas, 'text'), 'I will not');
  });

  it('whose last event names no items is what the items said of themselves', async () => {
    const { ask } = await start([{ output: [{ reasoning: [] }, { text: 'fine' }], bareEnd: true }]);
    const { text, native } = done((await ask()).outcome);
    assert.deepEqual([text, (native as unknown[]).length], ['fine', 2]);
  });

  it('leaves the connection open for the next one', async () => {
    const { emulator, ask } = await start(['a', 'b', 'c'].map((text) => ({ output: [{ text }] })));
    for (const text of ['a', 'b', 'c']) assert.equal(done((await ask()).outcome).text, text);
    assert.ok(emulator.connections() <= 2, `${emulator.connections()} connections`);
  });
});

describe('the history', () => {
  const search = { type: 'web_search_call', status: 'completed', action: { type: 'search', query: 'trees' } };
  const output: ResponsesItem[] = [
    { reasoning: ['I should look.'] },
    { opaque: search },
    { reasoning: [] },
    { text: 'I look', phase: 'commentary' },
    { call: { id: 'a', name: 'look', arguments: '{ "at" : 1 }' } },
    { call: { id: 'b', name: 'look' } },
  ];

  it('has the items of an answer as they came: reasoning, calls, and what the provider’s own tools did', async () => {
    const { emulator, ask } = await start([{ output }, { output: [{ text: 'seen' }] }]);
    const first = done((await ask({ tools: [tool] })).outcome);
    // As it lies in the log.
    const kept = JSON.parse(JSON.stringify(turnOf(first))) as NeutralItem;
    const items = [message('hello'), kept, resultOf('b', 'a bird'), resultOf('a', 'a tree')];
    done((await ask({ tools: [tool], items })).outcome);
    const sent = sentOf(emulator.requests, 1).input;
    assert.deepEqual(sent.slice(1, 7), first.native);
    const raw = emulator.requests[1]?.text ?? '';
    for (const item of first.native as unknown[]) assert.ok(raw.includes(JSON.stringify(item)), 'byte for byte');
    assert.deepEqual(sent.slice(7), [
      { type: 'function_call_output', call_id: 'b', output: 'a bird' },
      { type: 'function_call_output', call_id: 'a', output: 'a tree' },
    ]);
    assert.ok(raw.includes('"encrypted_content":"') && raw.includes('"query":"trees"'));
    emulator.verify();
  });

  it('has of another model only text and calls; what failed is said', async () => {
    const { emulator, adapter, ask } = await start([{ output }, { output: [{ text: 'seen' }] }]);
    const first = done((await ask({ tools: [tool] })).outcome);
    const failedCall: NeutralItem = { ...resultOf('b', 'no'), outcome: 'denied' } as NeutralItem;
    const items = [message('hello'), turnOf(first, 'openai/o3'), resultOf('a', 'a tree'), failedCall];
    done((await ask({ tools: [tool], items })).outcome);
    assert.deepEqual(sentOf(emulator.requests, 1).input.slice(1), [
      { role: 'assistant', content: 'I look' },
      { type: 'function_call', call_id: 'a', name: 'look', arguments: '{ "at" : 1 }' },
      { type: 'function_call', call_id: 'b', name: 'look', arguments: '{}' },
      { type: 'function_call_output', call_id: 'a', output: 'a tree' },
      { type: 'function_call_output', call_id: 'b', output: '[denied] no' },
    ]);
    assert.equal(adapter.render({ kind: 'turn', model: 'a/b', text: '', calls: [], native: null }, MODEL), '');
    emulator.verify();
  });

  it('has ids and names of other providers in a form that is taken, the same for a call and its answer', async () => {
    const { emulator, ask } = await start([{ output: [{ text: 'seen' }] }]);
    const id = 'toolu_'.padEnd(200, 'x');
    const calls = [{ id, name: 'no such.tool', arguments: '{}' }];
    const turn: NeutralItem = { kind: 'turn', model: 'other/m', text: '', calls, native: { role: 'assistant' } };
    done((await ask({ items: [message('hello'), turn, resultOf(id, 'x')] })).outcome);
    const [, call] = sentOf(emulator.requests, 0).input;
    assert.equal((call as { name: string }).name, 'no_such_tool');
    emulator.verify();
  });

  it('has no reasoning that came without its content: its id means nothing to the provider', async () => {
    const native = [
      { id: 'rs_1', type: 'reasoning', summary: [], encrypted_content: null },
      { id: 'fc_1', type: 'function_call', call_id: 'a', name: 'look', arguments: '{}', status: 'completed' },
    ];
    const calls = [{ id: 'a', name: 'look', arguments: '{}' }];
    const { adapter } = client('http://127.0.0.1:9/v1');
    const rendered = adapter.render({ kind: 'turn', model: MODEL, text: '', calls, native }, MODEL);
    assert.deepEqual(JSON.parse(rendered), { type: 'function_call', call_id: 'a', name: 'look', arguments: '{}' });
  });

  it('has images and files as content', async () => {
    const { emulator, ask } = await start([{ output: [{ text: 'a tree' }] }]);
    const parts = [
      { type: 'text', text: 'see' },
      { type: 'image', digest: 'd', mediaType: 'image/png', base64: 'AA==' },
      { type: 'file', digest: 'd', mediaType: 'application/pdf', name: 'a.pdf', base64: 'AAAA' },
    ] as const;
    done((await ask({ items: [{ kind: 'message', parts }] })).outcome);
    assert.deepEqual(sentOf(emulator.requests, 0).input, [
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'see' },
          { type: 'input_image', image_url: 'data:image/png;base64,AA==', detail: 'auto' },
          { type: 'input_file', filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' },
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
});

describe('a request', () => {
  it('is exactly what `body` says, keeps nothing at the provider, and can be found there', async () => {
    const { emulator, adapter, requestOf, ask } = await start([{ output: [{ text: 'x' }] }]);
    await ask({ tools: [tool] });
    assert.equal(emulator.requests[0]?.text, adapter.body(requestOf({ tools: [tool] })));
    assert.deepEqual(emulator.requests[0].body, {
      model: 'gpt-5',
      stream: true,
      store: false,
      max_output_tokens: 256,
      include: ['reasoning.encrypted_content'],
      reasoning: { summary: 'auto' },
      instructions: 'Be brief.',
      tools: [{ type: 'function', name: 'look', description: 'Looks.', parameters: tool.input, strict: false }],
      input: [{ role: 'user', content: 'hello' }],
    });
    assert.equal(emulator.requests[0].headers['x-client-request-id'], `${KEY}-1`);
    emulator.verify();
  });

  it('carries effort, tier, choice of tool and a schema', async () => {
    const { emulator, ask } = await start([{ output: [{ text: '{}' }] }]);
    const schema = {
      type: 'object',
      properties: { n: { type: 'integer' } },
      required: ['n'],
      additionalProperties: false,
    };
    const params = { maxOutputTokens: 99, effort: 'low', tier: 'flex', toolChoice: { tool: 'look' } } as const;
    await ask({ output: schema, params, instructions: '', tools: [tool] });
    const { tools: _, ...head } = sentOf(emulator.requests, 0).head;
    assert.deepEqual(head, {
      model: 'gpt-5',
      stream: true,
      store: false,
      max_output_tokens: 99,
      include: ['reasoning.encrypted_content'],
      reasoning: { effort: 'low', summary: 'auto' },
      service_tier: 'flex',
      tool_choice: { type: 'function', name: 'look' },
      text: { format: { type: 'json_schema', name: 'answer', schema, strict: true } },
    });
    emulator.verify();
  });

  it('asks a model that does not reason for no reasoning', async () => {
    const { emulator, ask } = await start([{ output: [{ text: 'x' }] }]);
    const params = { maxOutputTokens: 99, temperature: 0.5, toolChoice: 'none' } as const;
    done(
      (await ask({ model: 'openai/gpt-4o-mini', params, output: { type: 'object', properties: { a: {} } } })).outcome,
    );
    const { head } = sentOf(emulator.requests, 0);
    const schema = { type: 'object', properties: { a: {} } };
    assert.deepEqual(head, {
      model: 'gpt-4o-mini',
      stream: true,
      store: false,
      max_output_tokens: 99,
      temperature: 0.5,
      text: { format: { type: 'json_schema', name: 'answer', schema, strict: false } },
      instructions: 'Be brief.',
    });
    emulator.verify();
  });

  it('asks for no summaries where the organisation gets none, after it was told so once', async () => {
    const { emulator, ask } = await start([{ output: [{ text: 'x' }] }], {}, { unverified: true });
    const told = failed((await ask()).outcome);
    assert.deepEqual(brief(told), ['invalid_request', 'now', 'none']);
    assert.match(told.detail, /must be verified/);
    assert.equal(done((await ask()).outcome).text, 'x');
    assert.equal(sentOf(emulator.requests, 1).head['reasoning'], undefined);
  });

  it('holds the answer to a schema only where strict mode takes the schema', () => {
    const closed = (properties: object, more: object = {}) => ({
      type: 'object',
      properties,
      required: Object.keys(properties),
      additionalProperties: false,
      ...more,
    });
    const text = { type: 'string' };
    const fit = [
      closed({ a: text, b: { type: ['integer', 'null'], minimum: 1 }, c: { enum: ['x'] } }),
      closed({ list: { type: 'array', items: closed({ a: text }) }, either: { anyOf: [text, { type: 'null' }] } }),
      closed({ next: { $ref: '#/$defs/node' } }, { $defs: { node: closed({ next: { $ref: '#' } }) } }),
      closed({ at: { type: 'string', format: 'date-time' }, of: { type: 'string', pattern: '^a+$' } }),
    ];
    const unfit = [
      { type: 'array', items: text },
      { type: 'object', properties: { a: text }, required: ['a'] },
      { ...closed({ a: text, b: text }), required: ['a'] },
      closed({ a: { type: 'object', properties: { b: text } } }),
      closed({ a: { type: 'array' } }),
      closed({ a: { type: 'string', minLength: 1 } }),
      closed({ a: { type: 'string', format: 'uri' } }),
      closed({ a: { type: 'string', pattern: '^(?!x)' } }),
      closed({ a: { oneOf: [text] } }),
      closed({ a: { $ref: 'https://example.com/a.json' } }),
      closed({ a: { type: 'string', default: 'x' } }),
      closed({ a: true }),
      closed({ a: text }, { $defs: { b: { type: 'object' } } }),
    ];
    for (const schema of fit) assert.ok(fitsStrict(schema), JSON.stringify(schema));
    for (const schema of unfit) assert.ok(!fitsStrict(schema), JSON.stringify(schema));
    let deep: object = text;
    for (let n = 0; n < 12; n += 1) deep = closed({ a: deep });
    assert.ok(!fitsStrict(deep as { [key: string]: unknown }));
  });
});

describe('a stream', () => {
  const calls: ResponsesItem[] = [
    { call: { id: 'a', name: 'look', arguments: { at: 'hier, 世界' } } },
    { call: { id: 'b', name: 'look', arguments: { at: 2 } } },
  ];
  const answers: { [name: string]: ResponsesItem[] } = {
    text: [{ text: 'Grüße, 世界 😀.', pieces: 1 }],
    'tool-call': calls,
    reasoning: [{ reasoning: ['世界?'] }, { text: 'so', pieces: 1 }],
  };
  const bytesOf = async (output: readonly ResponsesItem[]): Promise<Buffer> => {
    const { emulator, adapter, requestOf } = await start([{ output }]);
    const headers = { authorization: 'Bearer secret-key', 'content-type': 'application/json' };
    const body = adapter.body(requestOf({ tools: [tool] }));
    const response = await fetch(`${emulator.url}/responses`, { method: 'POST', headers, body });
    return Buffer.from(await response.arrayBuffer());
  };
  const refusals = { ofStatus: () => assert.fail('no status'), ofEvent: () => assert.fail('no error') };
  const controller = { abort: () => undefined } as unknown as Parameters<Exchange['onRequestStart']>[0];

  for (const [name, output] of Object.entries(answers)) {
    it(`cut at every byte offset of a ${name} response is never taken for a complete answer`, async () => {
      const bytes = await bytesOf(output);
      const read = async (offset: number, end: (exchange: Exchange) => void): Promise<GenerateOutcome> => {
        const reading = { bound: { inputBytes: 1, maxOutputTokens: 1 }, refusals };
        const reader = new ResponseReader(reading, { delta: () => undefined, id: () => undefined });
        const exchange = new Exchange('http://provider', reader, refusals, { signal: new AbortController().signal });
        exchange.onRequestStart(controller);
        exchange.onRequestSent();
        exchange.onResponseStart(controller, 200, { 'content-type': 'text/event-stream' });
        exchange.onResponseData(controller, bytes.subarray(0, offset));
        end(exchange);
        return exchange.outcome;
      };
      const broken = Object.assign(new Error('other side closed'), { code: 'UND_ERR_SOCKET' });
      for (let offset = 0; offset < bytes.length; offset += 1) {
        const cut = await read(offset, (exchange) => exchange.onResponseError(controller, broken));
        assert.deepEqual(brief(failed(cut)), ['stream_cut', 'now', 'bound'], `cut at ${offset}`);
        const ended = await read(offset, (exchange) => exchange.onResponseEnd());
        assert.deepEqual(brief(failed(ended)), ['stream_cut', 'now', 'bound'], `ended at ${offset}`);
      }
      done(await read(bytes.length, (exchange) => exchange.onResponseEnd()));
    });
  }

  it('cut on the wire, wherever that is, is cut', async () => {
    const output = Object.values(answers).flat();
    const { length } = await bytesOf(output);
    const offsets = Array.from({ length: 48 }, (_, n) => Math.floor((n * (length - 1)) / 47));
    // The message says where to cut, so that many can be under way at once.
    const { ask } = await start(({ request }) => ({
      output,
      cutAt: request?.kind === 'create' ? Number(request.input.at(-1)?.['content']) : 0,
    }));
    const check = async (offset: number): Promise<void> => {
      const { outcome } = await ask({ tools: [tool], items: [message(String(offset))] });
      assert.deepEqual(brief(failed(outcome)), ['stream_cut', 'now', 'bound'], `at ${offset}`);
    };
    await Promise.all(offsets.map(check));
    done((await ask({ tools: [tool], items: [message(String(length + 1_000))] })).outcome);
  });

  it('that breaks off with an error event, or whose response failed, is failed by what the error says', async () => {
    const error = (code: string) => ({ message: `${code}!`, type: 'error', code });
    const output = [{ text: 'a b c' }];
    const usage = { input: 7, output: 3 };
    const { ask } = await start([
      { output, errorAfter: { events: 5, error: { message: 'boom', type: 'error' } } },
      { output, errorAfter: { events: 1, error: error('rate_limit_exceeded') } },
      { output, errorAfter: { events: 1, error: error('context_length_exceeded') } },
      { output, end: { failed: error('server_error') } },
      { output, end: { failed: error('invalid_image_format') } },
      { output, end: { failed: error('invalid_prompt') }, usage },
    ]);
    const first = failed((await ask()).outcome);
    assert.deepEqual(brief(first), ['stream_error', 'now', 'bound']);
    assert.match(first.detail, /boom/);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['rate_limited', 'now', 'bound']);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['context_length', 'no', 'bound']);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['overloaded', 'now', 'bound']);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['invalid_request', 'no', 'bound']);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['invalid_request', 'no', 'usage']);
  });

  it('that stalls is ended by the idle timeout, one that never begins by the headers timeout', async () => {
    const bounds = { idleTimeoutMs: 50, headersTimeoutMs: 50 };
    const { ask } = await start(
      [
        { output: [{ text: 'a b c' }], stallAt: 900 },
        { output: [], hang: true },
      ],
      bounds,
    );
    assert.deepEqual(brief(failed((await ask()).outcome)), ['timeout', 'now', 'bound']);
    assert.deepEqual(brief(failed((await ask()).outcome)), ['timeout', 'now', 'bound']);
  });

  it('is ended by an abort, at once', async () => {
    const { emulator, ask } = await start([
      { output: [{ text: 'a' }], stallAt: 900 },
      { output: [], hang: true },
    ]);
    for (const n of [0, 1]) {
      const abort = new AbortController();
      const asking = ask({ signal: abort.signal });
      await emulator.requested(n);
      abort.abort('cancelled');
      assert.deepEqual(brief(failed((await asking).outcome)), ['aborted', 'no', 'bound']);
    }
    const before = await ask({ signal: AbortSignal.abort() });
    assert.deepEqual(brief(failed(before.outcome)), ['aborted', 'no', 'none']);
    emulator.verify();
  });

  const streams = async (...events: (object | string)[]) => {
    const text = events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
    const server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text.join(''));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    after(() => server.close());
    return client(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`).ask();
  };
  const end = (response: object | null, type = 'completed') => ({ type: `response.${type}`, response });

  it('of nonsense is malformed, whatever the nonsense', async () => {
    const malformed = ['malformed', 'now', 'bound'];
    const call = { type: 'function_call', call_id: 'a', name: 'look', arguments: '{}' };
    const added = { type: 'response.output_item.added', output_index: 0, item: { type: 'message' } };
    for (const events of [
      ['{"type":'],
      ['7'],
      ['null'],
      [end(null)],
      [added, end({ output: [] })],
      [end({ output: [{ ...call, call_id: '' }] })],
      [end({ output: [{ ...call, name: 7 }] })],
      [end({ output: [call, call] })],
      [end({ output: [{ ...call, status: 'incomplete' }] })],
    ]) {
      assert.deepEqual(brief(failed((await streams(...events)).outcome)), malformed, JSON.stringify(events));
    }
    assert.deepEqual(brief(failed((await streams(end({ status: 'sideways' }))).outcome)), ['malformed', 'no', 'bound']);
    const odd = end({ incomplete_details: { reason: 'bored' } }, 'incomplete');
    assert.deepEqual(brief(failed((await streams(odd)).outcome)), ['malformed', 'no', 'usage']);
    const many = Array.from({ length: 1_025 }, (_, n) => ({ ...call, call_id: `${n}` }));
    assert.deepEqual(brief(failed((await streams(end({ output: many }))).outcome)), ['too_large', 'no', 'bound']);
  });

  it('may hold what nobody knows: it is read by what is known', async () => {
    const message_ = { type: 'message', content: [{ type: 'output_text', text: 'fine' }, null, 7] };
    const { outcome } = await streams(
      { type: 'keepalive', sequence_number: 0 },
      { type: 'response.created', response: null },
      { type: 'response.output_text.delta', delta: 7 },
      { type: 'response.function_call_arguments.delta', output_index: 9, delta: 'x' },
      { type: 'response.output_item.done', output_index: 1e15, item: { type: 'dream', depth: 3 } },
      { type: 'response.output_item.done', output_index: 'first', item: 7 },
      end({ output: [message_, null], usage: { input_tokens: -1 } }),
    );
    assert.deepEqual([done(outcome).text, done(outcome).stop, done(outcome).usage.source], ['fine', 'end', 'bound']);
    assert.deepEqual(done(outcome).native, [message_, { type: 'dream', depth: 3 }]);
  });

  it('may tell its error in an object of its own', async () => {
    const nested = { type: 'error', error: { code: 'rate_limit_exceeded', message: 'slow' } };
    const { outcome } = await streams(nested);
    assert.deepEqual(brief(failed(outcome)), ['rate_limited', 'now', 'bound']);
  });
});

describe('a refusal of the provider', () => {
  const refused = async (status: number, given: { code?: string; headers?: Record<string, string> } = {}) => {
    const { code = null, headers = {} } = given;
    const { ask } = await start([{ status, error: { message: 'wrong secret-key', type: 'x', code }, headers }]);
    const outcome = failed((await ask()).outcome);
    assert.doesNotMatch(outcome.detail, /secret-key/);
    return outcome;
  };

  it('has a code by its status and its error, and says whether trying again can help', async () => {
    assert.deepEqual(brief(await refused(401)), ['auth', 'no', 'none']);
    assert.deepEqual(brief(await refused(400)), ['invalid_request', 'no', 'none']);
    assert.deepEqual(brief(await refused(400, { code: 'context_length_exceeded' })), ['context_length', 'no', 'none']);
    assert.deepEqual(brief(await refused(400, { code: 'invalid_encrypted_content' })), [
      'invalid_request',
      'no',
      'none',
    ]);
    assert.deepEqual(brief(await refused(404, { code: 'model_not_found' })), ['model_not_found', 'no', 'none']);
    assert.deepEqual(brief(await refused(429, { code: 'insufficient_quota' })), ['quota', 'no', 'none']);
    for (const status of [500, 503]) assert.deepEqual(brief(await refused(status)), ['overloaded', 'now', 'none']);
    assert.deepEqual(brief(await refused(504)), ['overloaded', 'now', 'bound']);
  });

  it('is obeyed in when to come back', async () => {
    assert.deepEqual((await refused(429, { headers: { 'retry-after': '7' } })).retry, { afterMs: 7_000 });
    assert.deepEqual((await refused(429, { headers: { 'retry-after-ms': '1500' } })).retry, { afterMs: 1_500 });
    assert.equal((await refused(429, { headers: { 'x-should-retry': 'false' } })).retry, 'no');
  });
});

describe('a background response', () => {
  const output: ResponsesItem[] = [{ reasoning: ['hm'] }, { text: 'a long answer' }];
  const remember = () => {
    const ids: string[] = [];
    return { ids, accepted: async (id: string) => void ids.push(id) };
  };
  const posts = (requests: readonly SeenResponsesRequest[]) =>
    requests.filter(({ request }) => request?.kind === 'create');

  it('is told of only when its id is written down', async () => {
    const { emulator, ask } = await start([{ output }]);
    const order: string[] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const asking = ask({
      params: background,
      accepted: async (id) => {
        order.push(id);
        await promise;
        order.push('written');
      },
    });
    await emulator.requested(0);
    const { head } = sentOf(emulator.requests, 0);
    assert.deepEqual([head['background'], head['store']], [true, true]);
    resolve();
    const { outcome, deltas } = await asking;
    assert.deepEqual(order, [...emulator.responses(), 'written']);
    assert.deepEqual([done(outcome).text, said(deltas, 'text')], ['a long answer', 'a long answer']);
    emulator.verify();
  });

  it('holds every delta back while its id is being written', async () => {
    const { ask } = await start([{ output }]);
    const other = await start([{ output }]);
    const deltas: Delta[] = [];
    const told: number[] = [];
    const outcome = await other.adapter.generate(other.requestOf({ params: background }), {
      signal: new AbortController().signal,
      delta: (delta) => void deltas.push(delta),
      accepted: async () => {
        // Another whole answer comes meanwhile: so has all of this one.
        await ask();
        told.push(deltas.length);
      },
    });
    assert.equal(done(outcome).text, 'a long answer');
    assert.deepEqual([told, said(deltas, 'text')], [[0], 'a long answer']);
  });

  it('is not asked for where nobody would remember it', async () => {
    const { emulator, ask } = await start([{ output }]);
    done((await ask({ params: background })).outcome);
    const { head } = sentOf(emulator.requests, 0);
    assert.deepEqual([head['background'], head['store']], [undefined, false]);
  });

  it('that ended while nobody listened is fetched whole, reasoning and all, and paid once', async () => {
    const usage = { input: 90, output: 30 };
    const { emulator, ask } = await start([{ output, usage, cutAt: 1_500 }, { output: [{ text: 'next' }] }]);
    const { ids, accepted } = remember();
    const cut = failed((await ask({ params: background, accepted })).outcome);
    assert.deepEqual([cut.code, cut.resumable], ['stream_cut', true]);
    assert.deepEqual(ids, emulator.responses());
    const { outcome } = await ask({ params: background, accepted, resume: ids[0] ?? '', attempt: 2 });
    const whole = done(outcome);
    assert.deepEqual([whole.text, whole.reasoning, whole.usage.output], ['a long answer', 'hm', 30]);
    assert.match(JSON.stringify(whole.native), /"encrypted_content":"\w/);
    assert.equal(posts(emulator.requests).length, 1);
    assert.deepEqual(ids.length, 1);
    // What was fetched goes back like what was streamed.
    done((await ask({ items: [message('hello'), turnOf(whole), message('on')] })).outcome);
    emulator.verify();
  });

  it('that is still at work is streamed from its beginning', async () => {
    const { emulator, ask } = await start([{ output, holdAt: 8, cutAt: 1_500 }]);
    const { ids, accepted } = remember();
    failed((await ask({ params: background, accepted })).outcome);
    const [id = ''] = ids;
    const asking = ask({ params: background, accepted, resume: id, attempt: 2 });
    const { request } = await emulator.requested(2);
    assert.ok(request?.kind === 'retrieve' && request.stream && request.encrypted);
    emulator.finish(id);
    const { outcome, deltas } = await asking;
    assert.deepEqual([done(outcome).text, said(deltas, 'text')], ['a long answer', 'a long answer']);
    assert.equal(posts(emulator.requests).length, 1);
    emulator.verify();
  });

  it('that is gone, or was cancelled, says so: asking anew helps', async () => {
    const { emulator, ask } = await start([
      { output, cutAt: 1_500 },
      { output, cutAt: 600, holdAt: 4 },
    ]);
    const { ids, accepted } = remember();
    for (let n = 0; n < 2; n += 1) failed((await ask({ params: background, accepted })).outcome);
    const [lost = '', held = ''] = ids;
    emulator.forget(lost);
    const gone = failed((await ask({ params: background, accepted, resume: lost })).outcome);
    assert.deepEqual([brief(gone), gone.resumable], [['response_gone', 'now', 'bound'], undefined]);
    assert.match(gone.detail, new RegExp(lost));
    const headers = { authorization: 'Bearer secret-key' };
    await fetch(`${emulator.url}/responses/${held}/cancel`, { method: 'POST', headers });
    const cancelled = failed((await ask({ params: background, accepted, resume: held })).outcome);
    assert.deepEqual(brief(cancelled), ['response_gone', 'now', 'bound']);
    emulator.verify();
  });

  it('that failed or was cut short is so when it is fetched', async () => {
    const error = { message: 'broken', type: 'x', code: 'server_error' };
    const { ask } = await start([
      { output, cutAt: 1_500, end: { failed: error } },
      { output, cutAt: 1_500, end: { incomplete: 'max_output_tokens' } },
    ]);
    const { ids, accepted } = remember();
    for (let n = 0; n < 2; n += 1) failed((await ask({ params: background, accepted })).outcome);
    const [broken = '', short = ''] = ids;
    const ended = failed((await ask({ resume: broken })).outcome);
    assert.deepEqual([brief(ended), ended.resumable], [['overloaded', 'now', 'bound'], undefined]);
    assert.equal(done((await ask({ resume: short })).outcome).stop, 'length');
  });

  it('that cannot be fetched now can be fetched later', async () => {
    const again = [{ status: 503, headers: { 'retry-after': '2' } }, { cutAt: 100 }, { status: 429 }];
    const { emulator, ask } = await start([{ output, cutAt: 1_500, again }]);
    const { ids, accepted } = remember();
    failed((await ask({ params: background, accepted })).outcome);
    const [id = ''] = ids;
    const fetched = async () => (await ask({ params: background, accepted, resume: id })).outcome;
    const first = failed(await fetched());
    assert.deepEqual([brief(first), first.resumable], [['overloaded', { afterMs: 2_000 }, 'bound'], true]);
    const cut = failed(await fetched());
    assert.deepEqual([cut.code, cut.resumable], ['stream_cut', true]);
    const busy = failed(await fetched());
    assert.deepEqual([brief(busy), busy.resumable], [['rate_limited', 'now', 'bound'], true]);
    assert.equal(done(await fetched()).text, 'a long answer');
    assert.equal(posts(emulator.requests).length, 1);
  });

  it('is cancelled when nobody wants it any more, also when it was asked for again', async () => {
    const { emulator, ask } = await start([
      { output, holdAt: 6 },
      { output, holdAt: 6, cutAt: 1_500 },
    ]);
    const abort = new AbortController();
    const { ids, accepted } = remember();
    const asking = ask({
      params: background,
      accepted: async (id) => {
        await accepted(id);
        abort.abort('cancelled');
      },
      signal: abort.signal,
    });
    assert.deepEqual(brief(failed((await asking).outcome)), ['aborted', 'no', 'bound']);
    failed((await ask({ params: background, accepted })).outcome);
    const [first = '', second = ''] = ids;
    assert.deepEqual([emulator.status(first), emulator.status(second)], ['cancelled', 'in_progress']);
    const again = new AbortController();
    const asking2 = ask({ params: background, accepted, resume: second, signal: again.signal });
    await emulator.requested(4);
    again.abort('cancelled');
    assert.equal(failed((await asking2).outcome).code, 'aborted');
    assert.equal(emulator.status(second), 'cancelled');
    emulator.verify();
  });

  it('is left alone when the process goes, or when only this attempt took too long', async () => {
    const { emulator, ask } = await start([
      { output, holdAt: 6 },
      { output, holdAt: 6 },
      { output, holdAt: 6 },
    ]);
    for (const reason of ['drain', 'timeout', 'quarantine']) {
      const abort = new AbortController();
      const asking = ask({ params: background, accepted: async () => abort.abort(reason), signal: abort.signal });
      assert.equal(failed((await asking).outcome).code, 'aborted');
    }
    assert.deepEqual(
      emulator.responses().map((id) => emulator.status(id)),
      ['in_progress', 'in_progress', 'in_progress'],
    );
    emulator.verify();
  });

  it('is cancelled within a bound: a provider that hangs holds nobody up', async () => {
    const server = createServer((request, response) => {
      request.resume();
      if (request.url?.endsWith('/cancel') === true) return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"type":"response.created","response":{"id":"resp_1"}}\n\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    after(() => server.closeAllConnections());
    after(() => server.close());
    const { ask } = client(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
    const abort = new AbortController();
    const asking = ask({ params: background, accepted: async () => abort.abort('cancelled'), signal: abort.signal });
    assert.equal(failed((await asking).outcome).code, 'aborted');
  });

  it('whose id cannot be written down is an answer all the same', async () => {
    const { ask } = await start([{ output }]);
    const accepted = async () => Promise.reject(new Error('the store is full'));
    assert.equal(done((await ask({ params: background, accepted })).outcome).text, 'a long answer');
  });
});
