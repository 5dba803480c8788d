// The emulator against the provider's own client: what the two agree on is the protocol, and the adapter is tested
// against the same emulator elsewhere.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { createMessagesEmulator, type MessagesEmulatorOptions, type MessagesStep } from './messages-emulator.ts';

type Params = Anthropic.MessageCreateParamsNonStreaming;
const tools: Anthropic.Tool[] = [{ name: 'look', input_schema: { type: 'object', properties: {} } }];
const user = (text: string): Anthropic.MessageParam => ({ role: 'user', content: text });
const ask: Params = { model: 'claude-opus-5', max_tokens: 4_096, messages: [user('hello')] };

async function start(script: readonly MessagesStep[], options: MessagesEmulatorOptions = {}) {
  const emulator = await createMessagesEmulator(script, options);
  const client = new Anthropic({ apiKey: 'key', baseURL: emulator.url, maxRetries: 0 });
  after(() => emulator.close().catch(() => undefined));
  return { emulator, client };
}

const errorOf = async (asking: Promise<unknown>) =>
  asking.then(
    () => assert.fail('it answered'),
    (error: unknown) => {
      assert.ok(error instanceof Anthropic.APIError, String(error));
      return [error.status, error.type, error.apiMessage] as const;
    },
  );

describe('the messages emulator and the official client', () => {
  it('agree on a plain answer and its usage', async () => {
    const usage = { input: 30, output: 20, cacheRead: 16, cacheWrite: 4, thinking: 8 };
    const { emulator, client } = await start([{ text: 'Hi there', usage }]);
    const message = await client.messages.create(ask);
    assert.deepEqual(message.content, [{ type: 'text', text: 'Hi there', citations: null }]);
    assert.deepEqual([message.stop_reason, message.role, message.model], ['end_turn', 'assistant', 'claude-opus-5']);
    const { usage: seen } = message;
    assert.deepEqual(
      [seen.input_tokens, seen.cache_read_input_tokens, seen.cache_creation_input_tokens, seen.output_tokens],
      [30, 16, 4, 20],
    );
    assert.equal(seen.output_tokens_details?.thinking_tokens, 8);
    assert.deepEqual(emulator.requests[0]?.body, ask);
    assert.equal(emulator.requests[0]?.headers.authorization, 'Bearer key');
    emulator.verify();
  });

  it('agree on a streamed answer, split in the middle of characters', async () => {
    const { emulator, client } = await start([{ text: 'Grüße, 世界 😀!', pieces: 4, bytesPerWrite: 1 }]);
    const stream = client.messages.stream(ask);
    const pieces: string[] = [];
    stream.on('text', (piece) => pieces.push(piece));
    const message = await stream.finalMessage();
    assert.deepEqual(message.content, [{ type: 'text', text: 'Grüße, 世界 😀!', citations: null }]);
    assert.equal(pieces.length, 4);
    assert.equal(message.usage.output_tokens, 12);
    emulator.verify();
  });

  it('agree on thinking, parallel calls and blocks of server tools, whole or streamed', async () => {
    const raw = { type: 'web_search_tool_result', tool_use_id: 'srv', content: [], caller: { type: 'direct' } };
    const content = [
      { type: 'thinking', thinking: 'hm, well' },
      { type: 'redacted_thinking', data: 'xxx' },
      { type: 'raw', block: { type: 'server_tool_use', id: 'srv', name: 'web_search', input: { query: 'q' } } },
      { type: 'raw', block: raw },
      { type: 'text', text: 'I look' },
      { type: 'tool_use', id: 'a', name: 'look', input: { at: 'here' } },
      { type: 'tool_use', id: 'b', name: 'look' },
    ] as const;
    const { emulator, client } = await start([{ content }, { content }]);
    const asked: Params = { ...ask, tools, thinking: { type: 'adaptive', display: 'summarized' } };
    const whole = await client.messages.create(asked);
    const streamed = await client.messages.stream(asked).finalMessage();
    assert.deepEqual(streamed.content, whole.content);
    assert.deepEqual([whole.stop_reason, streamed.stop_reason], ['tool_use', 'tool_use']);
    const calls = whole.content.flatMap((block) => (block.type === 'tool_use' ? [[block.id, block.input]] : []));
    assert.deepEqual(calls, [
      ['a', { at: 'here' }],
      ['b', {}],
    ]);
    emulator.verify();
  });

  it('leave thinking without its text where the model does so, signed all the same', async () => {
    const { client } = await start([{ thinking: 'secret', text: 'so' }]);
    const [thinking] = (await client.messages.create(ask)).content;
    assert.ok(thinking?.type === 'thinking');
    assert.equal(thinking.thinking, '');
    assert.ok(thinking.signature.length > 10);
  });

  it('agree on a refusal, a length and a pause', async () => {
    const { emulator, client } = await start([
      { text: '', stop: 'refusal', explanation: 'not that' },
      { text: 'half', stop: 'max_tokens' },
      { text: 'still', stop: 'pause_turn' },
    ]);
    const refused = await client.messages.stream(ask).finalMessage();
    assert.deepEqual([refused.stop_reason, refused.stop_details?.explanation], ['refusal', 'not that']);
    assert.equal((await client.messages.stream(ask).finalMessage()).stop_reason, 'max_tokens');
    assert.equal((await client.messages.create(ask)).stop_reason, 'pause_turn');
    emulator.verify();
  });

  const betas = ['compact-2026-09-04' as const];
  const compacting = { ...ask, betas, compaction: { type: 'summarize' as const } };

  it('agree on a conversation that is compacted, and goes on behind what came back', async () => {
    const usage = { input: 900, output: 60, cacheRead: 512 };
    const { emulator, client } = await start([
      { compaction: 'They spoke of the sea.', usage },
      { text: 'and the hills' },
    ]);
    const said = { role: 'assistant' as const, content: 'of the sea' };
    const compacted = await client.beta.messages.create({ ...compacting, messages: [user('tell me'), said] });
    assert.equal(compacted.stop_reason, 'compaction');
    const [block] = compacted.content;
    assert.ok(block?.type === 'compaction');
    assert.equal(block.content, 'They spoke of the sea.');
    const [iteration] = compacted.usage.iterations ?? [];
    assert.ok(iteration?.type === 'compaction');
    assert.deepEqual([iteration.input_tokens, iteration.output_tokens, compacted.usage.input_tokens], [900, 60, 0]);
    const { role, content } = compacted;
    const next = await client.beta.messages.create({ ...ask, betas, messages: [{ role, content }, user('go on')] });
    assert.equal(next.content[0]?.type === 'text' && next.content[0].text, 'and the hills');
    emulator.verify();
  });

  it('disagree on a compaction without its beta, of nothing, or of a model that has none', async () => {
    const { client } = await start([]);
    const { betas: _none, ...plain } = compacting;
    const refused = async (params: Anthropic.Beta.MessageCreateParamsNonStreaming) =>
      (await errorOf(client.beta.messages.create(params)))[2];
    assert.match(String(await refused(plain)), /compaction: Extra inputs/);
    assert.match(String(await refused({ ...compacting, model: 'claude-haiku-4-5' })), /not supported/);
    const block = { type: 'compaction' as const, content: 'made up', signature: 'made up' };
    const messages = [{ role: 'assistant' as const, content: [block] }, user('go on')];
    assert.match(String(await refused({ ...ask, betas, messages })), /compaction_content_mismatch/);
    const late = [user('first'), ...messages];
    assert.match(String(await refused({ ...ask, betas, messages: late })), /compaction_block_misplaced/);
  });

  it('agree on errors before and in the middle of a stream', async () => {
    const limit = { message: 'slow down', type: 'rate_limit_error' };
    const busy = { message: 'Overloaded', type: 'overloaded_error' };
    const { emulator, client } = await start([
      { status: 429, error: limit, headers: { 'retry-after': '7' } },
      { status: 529, error: busy },
      { text: 'a b c', errorAfter: { events: 3, error: busy } },
    ]);
    const failing = client.messages.create(ask);
    await assert.rejects(failing, (error) => {
      assert.ok(error instanceof Anthropic.RateLimitError);
      assert.deepEqual([error.headers.get('retry-after'), error.requestID], ['7', 'req_emulated']);
      return true;
    });
    assert.deepEqual(await errorOf(client.messages.create(ask)), [529, 'overloaded_error', 'Overloaded']);
    const cut = client.messages.stream(ask).finalMessage();
    assert.deepEqual((await errorOf(cut))[1], 'overloaded_error');
    emulator.verify();
  });

  it('obey a Retry-After together', async () => {
    const { emulator } = await start([{ status: 529, headers: { 'retry-after-ms': '1' } }, { text: 'now' }]);
    const client = new Anthropic({ apiKey: 'key', baseURL: emulator.url, maxRetries: 1 });
    assert.equal((await client.messages.create(ask)).stop_reason, 'end_turn');
    assert.equal(emulator.requests.length, 2);
  });

  it('cut the connection where the script says, and end a stream before its end', async () => {
    const { client } = await start([
      { text: 'never whole', cutAt: 900 },
      { text: 'never whole', endAfter: 6 },
    ]);
    await assert.rejects(client.messages.stream(ask).finalMessage());
    await assert.rejects(client.messages.stream(ask).finalMessage());
  });

  it('fail the test on a request that was not expected and on a step that was not used', async () => {
    const { emulator, client } = await start([]);
    assert.deepEqual((await errorOf(client.messages.create(ask)))[0], 500);
    assert.throws(() => emulator.verify(), /request 0 was not expected/);
    const unused = await createMessagesEmulator([{ text: 'never' }]);
    await assert.rejects(unused.close(), /1 steps were not used/);
  });
});

describe('the messages emulator', () => {
  const refused = async (params: object, options: MessagesEmulatorOptions = {}) => {
    const { emulator, client } = await start([], options);
    const [status, type, message] = await errorOf(client.messages.create({ ...ask, ...params } as Params));
    assert.throws(() => emulator.verify(), /was refused/);
    return `${status} ${type}: ${message}`;
  };
  const call = { type: 'tool_use', id: 'c', name: 'look', input: {} } as const;
  const result = { type: 'tool_result', tool_use_id: 'c', content: 'seen' } as const;
  const loop = (...content: object[]) => ({
    tools,
    messages: [user('hello'), { role: 'assistant', content: [call] }, { role: 'user', content }],
  });

  it('refuses a wrong key, an unknown model, an unknown parameter and a missing one', async () => {
    assert.match(await refused({}, { key: 'another' }), /^401 authentication_error/);
    assert.match(await refused({ model: 'claude-none' }), /^404 not_found_error/);
    assert.match(await refused({ temperature: 1 }), /temperature: Extra inputs are not permitted/);
    assert.match(await refused({ max_tokens: undefined }), /max_tokens: Field required/);
    assert.match(await refused({}, { windowTokens: 10 }), /prompt is too long/);
  });

  it('refuses a history in which a call and its answer are not together', async () => {
    assert.match(await refused({ messages: [user('x'), { role: 'assistant', content: [call] }] }), /prefill/);
    assert.match(await refused(loop({ type: 'text', text: 'x' })), /without `tool_result` blocks/);
    assert.match(await refused(loop({ type: 'text', text: 'x' }, result)), /must come first/);
    assert.match(await refused(loop(result, { ...result, tool_use_id: 'd' })), /unexpected `tool_use_id`/);
    assert.match(await refused(loop(result, result)), /single result/);
    assert.match(await refused({ messages: [{ role: 'user', content: [result] }] }), /unexpected `tool_use_id`/);
  });

  it('refuses what a message may not hold', async () => {
    const holding = (...content: object[]) => refused({ messages: [{ role: 'user', content }] });
    assert.match(await refused({ messages: [] }), /at least one/);
    assert.match(await refused({ messages: [{ role: 'assistant', content: 'x' }, user('y')] }), /first message/);
    assert.match(await holding({ type: 'text', text: ' ' }), /non-whitespace/);
    assert.match(await holding({ type: 'text', text: 'x', odd: 1 }), /odd: Extra inputs/);
    assert.match(await holding(call), /not expected in a user message/);
    const image = { type: 'base64', media_type: 'image/svg+xml', data: 'AAAA' };
    assert.match(await holding({ type: 'image', source: image }), /not supported/);
    assert.match(await holding({ type: 'image', source: { ...image, media_type: 'image/png', data: 'A' } }), /base64/);
    const cached = { type: 'text', text: 'x', cache_control: { type: 'ephemeral' } };
    assert.match(await holding(...Array.from({ length: 5 }, () => cached)), /maximum of 4/);
  });

  it('joins messages of one role, as the provider does', async () => {
    const { emulator, client } = await start([{ text: 'ok' }]);
    const results = loop(result);
    const messages = [...results.messages, user('and?')] as Anthropic.MessageParam[];
    await client.messages.create({ ...ask, tools, messages });
    assert.equal(emulator.requests[0]?.request?.messages.length, 3);
  });

  it('takes of thinking and tool choice what the model takes', async () => {
    const off = { type: 'disabled' };
    assert.match(await refused({ model: 'claude-opus-5-5', thinking: off }), /not supported for this model/);
    assert.match(await refused({ thinking: off, output_config: { effort: 'max' } }), /cannot be turned off/);
    assert.match(await refused({ thinking: { type: 'enabled', budget_tokens: 2_000 } }), /not supported/);
    const forced = { tools, tool_choice: { type: 'any' } };
    assert.match(await refused({ ...forced, model: 'claude-sonnet-5-5' }), /not supported for this model/);
    assert.match(await refused(forced), /Thinking may not be enabled/);
    const old = { model: 'claude-haiku-4-5' };
    assert.match(await refused({ ...old, output_config: { effort: 'low' } }), /does not support the effort/);
    assert.match(
      await refused({ ...old, thinking: { type: 'enabled', budget_tokens: 4_096 } }),
      /greater than the budget/,
    );
    const thinking = { type: 'enabled', budget_tokens: 2_000 };
    assert.match(await refused({ ...old, thinking, ...loop(result) }), /Expected `thinking`/);
  });

  it('takes thinking back only as it was given, and where it is bound, only after what it followed', async () => {
    const model = 'claude-opus-5-5';
    const thinking = { type: 'adaptive', display: 'summarized' } as const;
    const first = { ...ask, model, tools, thinking };
    const { client } = await start([{ thinking: 'hm', calls: [{ id: 'c', name: 'look' }] }, { text: 'ok' }]);
    const { content } = await client.messages.create(first);
    const history = (assistant: unknown, said = 'hello') => ({
      ...first,
      messages: [user(said), { role: 'assistant', content: assistant }, { role: 'user', content: [result] }],
    });
    await client.messages.create(history(content) as Params);
    const altered = content.map((block) => (block.type === 'thinking' ? { ...block, thinking: 'hm!' } : block));
    assert.match(await refused(history(altered)), /Invalid `signature`/);
    const unsigned = content.map((block) => (block.type === 'thinking' ? { ...block, signature: '' } : block));
    assert.match(await refused(history(unsigned)), /Invalid `signature`/);
    assert.match(await refused(history(content, 'changed')), /bound to a different conversation/);
    assert.match(await refused({ ...history(content), system: 'new' }), /bound to a different conversation/);

    const beta = 'thinking-binding-controls-2026-08-01';
    const dropping = await start([{ text: 'ok' }]);
    const dropped = await dropping.client.beta.messages.create({
      ...(history(content, 'changed') as Anthropic.Beta.MessageCreateParamsNonStreaming),
      thinking: { ...thinking, block_binding: { prefix_mismatch_behavior: 'drop_block' } },
      betas: [beta],
    });
    assert.deepEqual(dropped.input_transformations, [
      { type: 'thinking_dropped', path: 'messages.1.content.0', reason: 'prefix_binding_mismatch' },
    ]);
  });

  it('counts what a request reads from the cache and writes to it', async () => {
    const { client } = await start([{ text: 'a' }, { text: 'b' }, { text: 'c' }], { cacheFromTokens: 10 });
    const cache = { cache_control: { type: 'ephemeral' } } as const;
    const system = [{ type: 'text', text: 'long '.repeat(100), ...cache }] as const;
    const asked = async (text: string) => {
      const { usage } = await client.messages.create({ ...ask, system: [...system], messages: [user(text)] });
      return [usage.cache_read_input_tokens ?? 0, usage.cache_creation_input_tokens ?? 0, usage.input_tokens] as const;
    };
    const [read, wrote] = await asked('one');
    assert.equal(read, 0);
    assert.ok(wrote > 100);
    assert.deepEqual((await asked('two')).slice(0, 2), [wrote, 0]);
    const { usage } = await client.messages.create({ ...ask, ...cache, system: [...system] });
    assert.equal(usage.cache_read_input_tokens, wrote);
    assert.ok((usage.cache_creation_input_tokens ?? 0) > 0);
    assert.equal(usage.input_tokens, 0);
  });
});
