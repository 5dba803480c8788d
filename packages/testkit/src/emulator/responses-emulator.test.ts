// The emulator against the provider's own client: what the two agree on is the protocol, and the adapter is tested
// against the same emulator elsewhere.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import OpenAI from 'openai';
import { createResponsesEmulator, type ResponsesEmulatorOptions, type ResponsesStep } from './responses-emulator.ts';

type Body = OpenAI.Responses.ResponseCreateParamsNonStreaming;
type Input = OpenAI.Responses.ResponseInputItem;

const tools: OpenAI.Responses.Tool[] = [
  { type: 'function', name: 'look', parameters: { type: 'object', properties: {} }, strict: false },
];
const ask = { model: 'gpt-5', input: 'hello' };
const stateless = { ...ask, store: false, include: ['reasoning.encrypted_content' as const] };
const background = { ...ask, background: true, store: true, stream: true as const };

async function start(script: readonly ResponsesStep[], options: ResponsesEmulatorOptions = {}) {
  const emulator = await createResponsesEmulator(script, options);
  const client = new OpenAI({ apiKey: 'key', baseURL: emulator.url, maxRetries: 0 });
  after(() => emulator.close().catch(() => undefined));
  return { emulator, client };
}

const codeOf = async (asking: Promise<unknown>) =>
  asking.then(
    () => assert.fail('it answered'),
    (error: unknown) => {
      assert.ok(error instanceof OpenAI.APIError, String(error));
      return [error.status, error.code, error.param];
    },
  );

describe('the responses emulator and the official client', () => {
  it('agree on a plain answer and its usage', async () => {
    const usage = { input: 30, output: 20, cached: 16, cacheWrite: 8, reasoning: 4 };
    const { emulator, client } = await start([{ output: [{ text: 'Hi there' }], usage }]);
    const response = await client.responses.create(ask);
    assert.deepEqual([response.output_text, response.status], ['Hi there', 'completed']);
    assert.equal(response.usage?.input_tokens, 30);
    assert.deepEqual(response.usage.input_tokens_details, { cached_tokens: 16, cache_write_tokens: 8 });
    assert.equal(response.usage.output_tokens_details.reasoning_tokens, 4);
    assert.deepEqual(emulator.requests[0]?.body, ask);
    emulator.verify();
  });

  it('agree on a streamed answer, split in the middle of characters', async () => {
    const pieces = ['Grü', 'ße, ', '世界', ' 😀!'];
    const { emulator, client } = await start([{ output: [{ text: pieces.join(''), pieces }], bytesPerWrite: 1 }]);
    const stream = client.responses.stream(ask);
    const heard: string[] = [];
    stream.on('response.output_text.delta', ({ delta }) => heard.push(delta));
    const response = await stream.finalResponse();
    assert.deepEqual([response.output_text, heard], ['Grüße, 世界 😀!', pieces]);
    emulator.verify();
  });

  it('agree on a conversation that is compacted, and goes on behind what came back', async () => {
    const usage = { input: 900, output: 60, cached: 512 };
    const { emulator, client } = await start([
      { compacted: 'the sea', usage },
      { output: [{ text: 'and the hills' }] },
    ]);
    const input: Input[] = [
      { role: 'user', content: 'tell me' },
      { role: 'assistant', content: 'of the sea' },
    ];
    const compacted = await client.responses.compact({ model: 'gpt-5', input, instructions: 'be brief' });
    assert.equal(compacted.object, 'response.compaction');
    assert.deepEqual(
      compacted.output.map(({ type }) => type),
      ['message', 'compaction'],
    );
    assert.deepEqual([compacted.usage.input_tokens, compacted.usage.input_tokens_details.cached_tokens], [900, 512]);
    const next = [...(compacted.output as Input[]), { role: 'user' as const, content: 'go on' }];
    const response = await client.responses.create({ ...stateless, input: next });
    assert.equal(response.output_text, 'and the hills');
    emulator.verify();
  });

  it('disagree on a compaction item that was changed, and on what its endpoint does not take', async () => {
    const { client } = await start([]);
    const altered = { type: 'compaction' as const, id: 'cmp_1', encrypted_content: 'dGhl.xxxx' };
    assert.deepEqual(await codeOf(client.responses.create({ ...ask, input: [altered] })), [
      400,
      'invalid_encrypted_content',
      null,
    ]);
    const stray = { ...ask, tools } as unknown as OpenAI.Responses.ResponseCompactParams;
    assert.deepEqual(await codeOf(client.responses.compact(stray)), [400, 'unknown_parameter', 'tools']);
    const nothing = { model: 'gpt-5', input: [] };
    assert.deepEqual((await codeOf(client.responses.compact(nothing)))[0], 400);
  });

  it('agree on reasoning, calls and items of the provider’s own tools, in their order', async () => {
    const search = { type: 'web_search_call', status: 'completed', action: { type: 'search', query: 'trees' } };
    const output = [
      { reasoning: ['First.', 'Then.'] },
      { opaque: search },
      { text: 'I look', phase: 'commentary' as const },
      { call: { id: 'a', name: 'look', arguments: { at: 'here' } } },
      { call: { id: 'b', name: 'look', arguments: '{"at": ' } },
    ];
    const { emulator, client } = await start([{ output }]);
    const response = await client.responses.stream({ ...stateless, tools }).finalResponse();
    const [reasoning, opaque, message, ...calls] = response.output;
    assert.ok(reasoning?.type === 'reasoning' && (reasoning.encrypted_content?.length ?? 0) > 20);
    assert.deepEqual(
      reasoning.summary.map(({ text }) => text),
      ['First.', 'Then.'],
    );
    assert.ok(opaque?.type === 'web_search_call');
    assert.deepEqual({ ...opaque, id: '' }, { ...search, id: '' });
    assert.ok(message?.type === 'message' && message.phase === 'commentary');
    assert.deepEqual(
      calls.map((call) => (call.type === 'function_call' ? [call.call_id, call.name, call.arguments] : [])),
      [
        ['a', 'look', '{"at":"here"}'],
        ['b', 'look', '{"at": '],
      ],
    );
    emulator.verify();
  });

  it('agree on a refusal, a filter, a length and a failure', async () => {
    const { emulator, client } = await start([
      { output: [{ refusal: 'I cannot help with that' }] },
      { output: [{ text: 'half' }], end: { incomplete: 'max_output_tokens' } },
      { output: [], end: { incomplete: 'content_filter' } },
      { output: [{ text: 'ha' }], end: { failed: { message: 'broken', type: 'server_error', code: 'server_error' } } },
    ]);
    const refused = await client.responses.stream(ask).finalResponse();
    const [message] = refused.output;
    assert.ok(message?.type === 'message' && message.content[0]?.type === 'refusal');
    const ends: unknown[] = [];
    for (let n = 0; n < 3; n += 1) {
      for await (const event of await client.responses.create({ ...ask, stream: true })) {
        if (event.type === 'response.incomplete') ends.push(event.response.incomplete_details?.reason);
        if (event.type === 'response.failed') ends.push(event.response.error?.code);
      }
    }
    assert.deepEqual(ends, ['max_output_tokens', 'content_filter', 'server_error']);
    emulator.verify();
  });

  it('agree on errors before and in the middle of a stream, and obey a Retry-After together', async () => {
    const limit = { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' };
    const { emulator, client } = await start([
      { status: 429, error: limit, headers: { 'retry-after': '7' } },
      { output: [{ text: 'a b c' }], errorAfter: { events: 4, error: { ...limit, type: 'error' } } },
      { output: [{ text: 'never whole' }], cutAt: 900 },
      { status: 429, headers: { 'retry-after-ms': '1' } },
      { output: [{ text: 'now' }] },
    ]);
    assert.deepEqual(await codeOf(client.responses.create(ask)), [429, 'rate_limit_exceeded', null]);
    const cut = client.responses.stream(ask).finalResponse();
    assert.deepEqual((await codeOf(cut))[1], 'rate_limit_exceeded');
    await assert.rejects(client.responses.stream(ask).finalResponse());
    const patient = new OpenAI({ apiKey: 'key', baseURL: emulator.url, maxRetries: 1 });
    assert.equal((await patient.responses.create(ask)).output_text, 'now');
    emulator.verify();
  });

  it('take back what was given: reasoning with the item it led to, calls with their answers', async () => {
    const output = [{ reasoning: [] }, { call: { id: 'a', name: 'look' } }];
    const { emulator, client } = await start([{ output }, { output: [{ text: 'seen' }] }]);
    const first = await client.responses.create({ ...stateless, tools });
    const answer: Input = { type: 'function_call_output', call_id: 'a', output: 'a tree' };
    const input = [{ role: 'user' as const, content: 'hello' }, ...(first.output as Input[]), answer];
    assert.equal((await client.responses.create({ ...stateless, input, tools })).output_text, 'seen');
    emulator.verify();
  });
});

describe('the responses emulator refuses', () => {
  const refused = async (body: Partial<Body>, options: ResponsesEmulatorOptions = {}) => {
    const { emulator, client } = await start([], options);
    const [status, code, param] = await codeOf(client.responses.create({ ...ask, ...body }));
    assert.throws(() => emulator.verify(), /request 0 was refused/);
    return [status, code, param];
  };

  it('a wrong key, what it does not know and what the model does not take', async () => {
    assert.deepEqual((await refused({}, { key: 'another' })).slice(0, 2), [401, 'invalid_api_key']);
    assert.deepEqual(await refused({ max_tokens: 5 } as Partial<Body>), [400, 'unknown_parameter', 'max_tokens']);
    assert.deepEqual((await refused({ max_output_tokens: 15 }))[2], 'max_output_tokens');
    assert.deepEqual((await refused({ temperature: 1 }))[2], 'temperature');
    assert.deepEqual((await refused({ model: 'gpt-4o', reasoning: { effort: 'low' } }))[2], 'reasoning.effort');
    assert.deepEqual((await refused({ ...stateless, model: 'gpt-4o' }))[2], 'include');
    const summary = { reasoning: { summary: 'auto' as const } };
    assert.deepEqual((await refused(summary, { unverified: true }))[2], 'reasoning.summary');
    assert.deepEqual((await refused({ background: true, store: false }))[2], 'background');
  });

  it('a strict schema that strict mode does not allow, of an answer or of a function', async () => {
    const schema = { type: 'object', properties: { a: { type: 'string' } }, required: [], additionalProperties: false };
    const format = { type: 'json_schema' as const, name: 'answer', schema };
    assert.deepEqual((await refused({ text: { format: { ...format, strict: true } } }))[1], 'invalid_json_schema');
    const tool = { type: 'function' as const, name: 'look', parameters: schema };
    const strictByDefault = [tool] as unknown as OpenAI.Responses.Tool[];
    assert.deepEqual((await refused({ tools: strictByDefault }))[1], 'invalid_function_parameters');
    const { emulator, client } = await start([{ output: [{ text: '{}' }] }]);
    await client.responses.create({ ...ask, text: { format: { ...format, strict: false } } });
    emulator.verify();
  });

  it('an answer without its call, a call without its answer, an id that is too long', async () => {
    const call: Input = { type: 'function_call', call_id: 'c', name: 'look', arguments: '{}' };
    const answer: Input = { type: 'function_call_output', call_id: 'c', output: 'x' };
    for (const input of [[answer], [call], [answer, call], [call, answer, answer]]) {
      assert.deepEqual((await refused({ input }))[2], 'input');
    }
    const long = { ...call, call_id: 'c'.repeat(65) };
    assert.deepEqual((await refused({ input: [long] }))[1], 'string_above_max_length');
    assert.deepEqual((await refused({ input: [{ ...call, index: 1 } as Input] }))[1], 'unknown_parameter');
  });

  it('an image or a file that it cannot read', async () => {
    const image = (image_url: string): Input => ({
      role: 'user',
      content: [{ type: 'input_image', image_url, detail: 'auto' }],
    });
    assert.deepEqual((await refused({ input: [image('data:image/svg+xml;base64,AAAA')] }))[1], 'invalid_value');
    assert.deepEqual((await refused({ input: [image('AAAA')] }))[1], 'invalid_value');
    const file: Input = { role: 'user', content: [{ type: 'input_file', file_data: 'data:text/plain;base64,AAAA' }] };
    assert.deepEqual((await refused({ input: [file] }))[1], 'invalid_value');
  });

  it('reasoning that is altered, alone, or was never stored, and what it led to without it', async () => {
    const output = [{ reasoning: [] }, { text: 'so' }];
    const given = async (body: Body, change: (items: Input[]) => unknown[]) => {
      const { client } = await start([{ output }]);
      const { output: items } = await client.responses.create(body);
      const input = [{ role: 'user' as const, content: 'hello' }, ...change(items as Input[])] as Input[];
      return codeOf(client.responses.create({ ...stateless, input }));
    };
    const altered = (items: Input[]) => items.map((item) => ({ ...item, encrypted_content: 'AAAA.BBBB' }));
    assert.equal((await given(stateless, (items) => altered(items).slice(0, 1)))[1], 'invalid_encrypted_content');
    assert.equal((await given(stateless, ([reasoning]) => [reasoning]))[0], 400);
    assert.equal((await given(stateless, ([, message]) => [message]))[0], 400);
    assert.equal((await given(stateless, ([reasoning, message]) => [{ ...reasoning, id: 'rs_x' }, message]))[0], 400);
    assert.equal((await given({ ...ask, store: false }, (items) => items))[0], 400);
  });
});

describe('a background response of the emulator', () => {
  it('goes on when the connection is cut, can be asked for, and streamed again from any event', async () => {
    const { emulator, client } = await start([{ output: [{ text: 'a long answer' }], holdAt: 5, cutAt: 1_500 }]);
    await assert.rejects(client.responses.stream(background).finalResponse());
    const [id = ''] = emulator.responses();
    assert.equal((await client.responses.retrieve(id)).status, 'in_progress');
    const rest: number[] = [];
    const stream = await client.responses.retrieve(id, { stream: true, starting_after: 2 });
    for await (const event of stream) {
      rest.push(event.sequence_number);
      if (rest.length === 1) emulator.finish(id);
    }
    assert.deepEqual(rest, [3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const whole = await client.responses.retrieve(id);
    assert.deepEqual([whole.status, whole.output_text], ['completed', 'a long answer']);
    emulator.verify();
  });

  it('has its encrypted reasoning only for who asks for it', async () => {
    const { emulator, client } = await start([{ output: [{ reasoning: [] }, { text: 'so' }] }]);
    const body = { ...background, include: ['reasoning.encrypted_content' as const] };
    await client.responses.stream(body).finalResponse();
    const [id = ''] = emulator.responses();
    const encrypted = async (include: OpenAI.Responses.ResponseIncludable[]) => {
      const [item] = (await client.responses.retrieve(id, { include })).output;
      return item?.type === 'reasoning' && item.encrypted_content !== undefined;
    };
    assert.deepEqual([await encrypted([]), await encrypted(['reasoning.encrypted_content'])], [false, true]);
  });

  it('is cancelled while it is at work, again without harm, and not when it is done', async () => {
    const { emulator, client } = await start([
      { output: [{ text: 'a' }], holdAt: 3, cutAt: 100 },
      { output: [{ text: 'b' }], cutAt: 100 },
      { output: [{ text: 'c' }] },
    ]);
    for (let n = 0; n < 2; n += 1) await assert.rejects(client.responses.stream(background).finalResponse());
    await client.responses.create(ask);
    const [held = '', done = '', plain = ''] = emulator.responses();
    assert.equal((await client.responses.cancel(held)).status, 'cancelled');
    assert.equal((await client.responses.cancel(held)).status, 'cancelled');
    assert.equal(emulator.status(held), 'cancelled');
    assert.deepEqual((await codeOf(client.responses.cancel(done)))[0], 400);
    assert.deepEqual((await codeOf(client.responses.cancel(plain)))[0], 400);
    emulator.forget(done);
    assert.deepEqual((await codeOf(client.responses.retrieve(done)))[0], 404);
    emulator.verify();
  });

  it('fails when it is asked for again as the script says', async () => {
    const again = [{ status: 503 }, { cutAt: 50 }];
    const { client, emulator } = await start([{ output: [{ text: 'a' }], again }]);
    await client.responses.stream(background).finalResponse();
    const [id = ''] = emulator.responses();
    assert.deepEqual((await codeOf(client.responses.retrieve(id)))[0], 503);
    await assert.rejects(client.responses.retrieve(id));
    assert.equal((await client.responses.retrieve(id)).status, 'completed');
  });
});
