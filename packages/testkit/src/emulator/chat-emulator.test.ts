// The emulator against the provider's own client: what the two agree on is the protocol, and the adapter is tested
// against the same emulator elsewhere.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import OpenAI from 'openai';
import { createChatEmulator, type ChatStep, type ChatEmulatorOptions } from './chat-emulator.ts';
import { createFixedEmulator } from './fixed-emulator.ts';
import { chatEvents } from './chat-wire.ts';

const tools: OpenAI.Chat.ChatCompletionTool[] = [
  { type: 'function', function: { name: 'look', parameters: { type: 'object', properties: {} } } },
];
const messages: OpenAI.Chat.ChatCompletionMessageParam[] = [{ role: 'user', content: 'hello' }];
const ask = { model: 'gpt-4o', messages };
const streamed = { ...ask, stream: true, stream_options: { include_usage: true } } as const;

async function start(script: readonly ChatStep[], options: ChatEmulatorOptions = {}) {
  const emulator = await createChatEmulator(script, options);
  const client = new OpenAI({ apiKey: 'key', baseURL: emulator.url, maxRetries: 0 });
  after(() => emulator.close().catch(() => undefined));
  return { emulator, client };
}

const codeOf = async (asking: Promise<unknown>) =>
  asking.then(
    () => assert.fail('it answered'),
    (error: unknown) => {
      assert.ok(error instanceof OpenAI.APIError, String(error));
      return [error.status, error.code, error.type];
    },
  );

describe('the chat emulator and the official client', () => {
  it('agree on a plain answer and its usage', async () => {
    const usage = { prompt: 30, completion: 20, cached: 16, reasoning: 8 };
    const { emulator, client } = await start([{ text: 'Hi there', usage }]);
    const completion = await client.chat.completions.create(ask);
    assert.equal(completion.choices[0]?.message.content, 'Hi there');
    assert.equal(completion.choices[0]?.finish_reason, 'stop');
    assert.equal(completion.usage?.prompt_tokens, 30);
    assert.equal(completion.usage?.prompt_tokens_details?.cached_tokens, 16);
    assert.equal(completion.usage?.completion_tokens_details?.reasoning_tokens, 8);
    assert.deepEqual(emulator.requests[0]?.body, ask);
    assert.equal(emulator.requests[0]?.headers.authorization, 'Bearer key');
    emulator.verify();
  });

  it('agree on a streamed answer, split in the middle of characters', async () => {
    const { emulator, client } = await start([{ text: 'Grüße, 世界 😀!', pieces: 4, bytesPerWrite: 1 }]);
    const stream = client.chat.completions.stream(streamed);
    const pieces: string[] = [];
    stream.on('content', (piece) => pieces.push(piece));
    const completion = await stream.finalChatCompletion();
    assert.equal(completion.choices[0]?.message.content, 'Grüße, 世界 😀!');
    assert.equal(pieces.length, 4);
    assert.equal(completion.usage?.total_tokens, 21);
    emulator.verify();
  });

  it('agree on parallel tool calls, one after the other or interleaved', async () => {
    const calls = [
      { id: 'a', name: 'look', arguments: { at: 'here' } },
      { id: 'b', name: 'look', arguments: { at: 'there' } },
    ];
    const { emulator, client } = await start([{ calls }, { calls, interleave: true }, { calls, text: 'I look' }]);
    const wanted = calls.map((call) => [call.id, call.name, JSON.stringify(call.arguments)]);
    for (let n = 0; n < 3; n += 1) {
      const completion = await client.chat.completions.stream({ ...streamed, tools }).finalChatCompletion();
      const [choice] = completion.choices;
      assert.equal(choice?.finish_reason, 'tool_calls');
      const seen = choice.message.tool_calls?.map((call) =>
        call.type === 'function' ? [call.id, call.function.name, call.function.arguments] : [],
      );
      assert.deepEqual(seen, wanted);
    }
    emulator.verify();
  });

  it('agree on a refusal, a filter and a length', async () => {
    const { emulator, client } = await start([
      { refusal: 'I cannot help with that' },
      { text: 'half', finish: 'length' },
      { text: '', finish: 'content_filter' },
    ]);
    const refused = await client.chat.completions.stream(streamed).finalChatCompletion();
    assert.equal(refused.choices[0]?.message.refusal, 'I cannot help with that');
    assert.equal(refused.choices[0]?.finish_reason, 'stop');
    const reasons: (string | null | undefined)[] = [];
    for (let n = 0; n < 2; n += 1) {
      for await (const chunk of await client.chat.completions.create(streamed)) {
        const reason = chunk.choices[0]?.finish_reason;
        if (reason) reasons.push(reason);
      }
    }
    assert.deepEqual(reasons, ['length', 'content_filter']);
    emulator.verify();
  });

  it('agree on images and files, and refuse what is none', async () => {
    const { emulator, client } = await start([{ text: 'seen' }]);
    const data = 'data:image/png;base64,AAAA';
    const content: OpenAI.Chat.ChatCompletionContentPart[] = [
      { type: 'text', text: 'Look' },
      { type: 'image_url', image_url: { url: data } },
      { type: 'file', file: { filename: 'a.pdf', file_data: 'data:application/pdf;base64,AAAA' } },
    ];
    const asking = (parts: typeof content) =>
      client.chat.completions.create({ ...ask, messages: [{ role: 'user', content: parts }] });
    assert.equal((await asking(content)).choices[0]?.message.content, 'seen');
    emulator.verify();
    const bare = { type: 'image_url', image_url: { url: 'AAAA' } } as const;
    assert.deepEqual((await codeOf(asking([bare])))[0], 400);
    const nameless = { type: 'file', file: { file_data: data } } as const;
    assert.deepEqual((await codeOf(asking([nameless])))[0], 400);
  });

  it('agree on errors before and in the middle of a stream', async () => {
    const limit = { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' };
    const broken = { message: 'the server had an error', type: 'server_error' };
    const { emulator, client } = await start([
      { status: 429, error: limit, headers: { 'retry-after': '7' } },
      { status: 500 },
      { text: 'a b c', errorAfter: { events: 2, error: broken } },
    ]);
    const failing = client.chat.completions.create(ask);
    await assert.rejects(failing, (error) => error instanceof OpenAI.RateLimitError);
    await failing.catch((error: unknown) => {
      assert.ok(error instanceof OpenAI.APIError);
      assert.equal(error.headers?.get('retry-after'), '7');
    });
    assert.deepEqual(await codeOf(client.chat.completions.create(ask)), [500, null, 'server_error']);
    const cut = client.chat.completions.stream(streamed).finalChatCompletion();
    assert.deepEqual(await codeOf(cut), [undefined, null, 'server_error']);
    emulator.verify();
  });

  it('obey a Retry-After together', async () => {
    const { emulator } = await start([{ status: 429, headers: { 'retry-after-ms': '1' } }, { text: 'now' }]);
    const client = new OpenAI({ apiKey: 'key', baseURL: emulator.url, maxRetries: 1 });
    assert.equal((await client.chat.completions.create(ask)).choices[0]?.message.content, 'now');
    assert.equal(emulator.requests.length, 2);
  });

  it('cut the connection where the script says', async () => {
    const { client } = await start([{ text: 'never whole', cutAt: 300 }]);
    await assert.rejects(client.chat.completions.stream(streamed).finalChatCompletion());
  });

  it('refuse a wrong key, an unknown parameter and a broken history, and the test fails with it', async () => {
    const { emulator, client } = await start([], { key: 'another' });
    assert.deepEqual(await codeOf(client.chat.completions.create(ask)), [
      401,
      'invalid_api_key',
      'invalid_request_error',
    ]);
    const open = await start([]);
    const unknown = { ...ask, max_token: 5 } as typeof ask;
    assert.deepEqual((await codeOf(open.client.chat.completions.create(unknown)))[1], 'unknown_parameter');
    const call = { id: 'c', type: 'function', function: { name: 'look', arguments: '{}' } } as const;
    const unanswered = { ...ask, messages: [...messages, { role: 'assistant' as const, tool_calls: [call] }] };
    assert.deepEqual((await codeOf(open.client.chat.completions.create(unanswered)))[0], 400);
    const orphan = { ...ask, messages: [...messages, { role: 'tool', tool_call_id: 'c', content: 'x' } as const] };
    assert.deepEqual((await codeOf(open.client.chat.completions.create(orphan)))[0], 400);
    assert.throws(() => emulator.verify(), /Incorrect API key/);
    assert.throws(() => open.emulator.verify(), /request 0 was refused.*request 1 was refused.*request 2 was refused/);
  });

  it('fail the test on a request that was not expected and on a step that was not used', async () => {
    const { emulator, client } = await start([]);
    assert.deepEqual((await codeOf(client.chat.completions.create(ask)))[0], 500);
    assert.throws(() => emulator.verify(), /request 0 was not expected/);
    const unused = await createChatEmulator([{ text: 'never' }]);
    await assert.rejects(unused.close(), /1 steps were not used/);
  });

  it('read the fixed bytes of the benchmark as a whole answer', async () => {
    const events = chatEvents({ text: 'fixed' }, { model: 'gpt-4o', includeUsage: true, done: true });
    const emulator = await createFixedEmulator(Buffer.from(events.join('')));
    const client = new OpenAI({ apiKey: 'key', baseURL: emulator.url, maxRetries: 0 });
    const completion = await client.chat.completions.stream(streamed).finalChatCompletion();
    assert.equal(completion.choices[0]?.message.content, 'fixed');
    assert.equal(emulator.requests(), 1);
    await emulator.close();
  });
});
