// One session through every provider and back, over the wire, by the real runtime: what each of them is sent is a history
// that it takes (the emulators refuse any other), and what was left out on the way can be seen.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { z } from 'zod';
import {
  createChatEmulator,
  createMessagesEmulator,
  createResponsesEmulator,
  type WireEmulator,
} from '@perdure/testkit';
import { agent, tool } from '../src/index.ts';
import { startRuntime } from '../src/runtime.ts';

const CHAT = 'openai-chat/gpt-4o';
const RESPONSES = 'openai/gpt-5';
const CLAUDE = 'anthropic/claude-opus-5-5';

const look = tool({
  name: 'look',
  description: 'Looks.',
  input: z.object({ at: z.string() }),
  effect: 'pure',
  run: ({ at }) => `${at}: a tree`,
});

const search = { type: 'web_search_call', status: 'completed', action: { type: 'search', query: 'trees' } };

/** Each model is asked twice a run: it looks, and then it says what it saw. */
async function providers() {
  const chat = await createChatEmulator([
    { calls: [{ id: 'call_chat', name: 'look', arguments: { at: 'chat' } }], text: 'I look.' },
    { text: 'Chat saw it.' },
    { text: 'Chat is back.' },
  ]);
  const responses = await createResponsesEmulator([
    {
      output: [
        { reasoning: ['Where could it be?'] },
        { opaque: search },
        { call: { id: 'call_r0', name: 'look', arguments: { at: 'left' } } },
        { call: { id: 'call_r1', name: 'look', arguments: { at: 'right' } } },
      ],
    },
    { output: [{ reasoning: [] }, { text: 'Responses saw both.' }] },
    { output: [{ reasoning: ['Again?'] }, { call: { id: 'call_r2', name: 'look', arguments: { at: 'behind' } } }] },
    { output: [{ text: 'Responses is back.' }] },
  ]);
  const messages = await createMessagesEmulator([
    {
      thinking: 'A secret thought.',
      text: 'Let me see.',
      calls: [{ id: 'toolu_0', name: 'look', input: { at: 'up' } }],
    },
    { text: 'Claude saw it.' },
  ]);
  const all: readonly Pick<WireEmulator<never, never>, 'close' | 'verify'>[] = [chat, responses, messages];
  after(() => Promise.all(all.map((emulator) => emulator.close())));
  const env = {
    OPENAI_API_KEY: 'key',
    OPENAI_BASE_URL: responses.url,
    ANTHROPIC_API_KEY: 'key',
    ANTHROPIC_BASE_URL: messages.url,
  };
  const endpoints = [{ name: 'openai-chat', baseUrl: chat.url, apiKey: 'key' }];
  return { chat, responses, messages, all, env, endpoints };
}

type Sent = { [name: string]: unknown }[];
const sentOf = (requests: readonly { body: unknown }[], n: number, member: string): Sent => {
  const body = requests[n]?.body as { [name: string]: Sent } | undefined;
  assert.ok(body !== undefined, `request ${n}`);
  return body[member] ?? [];
};

describe('a session that changes its model', () => {
  test('goes through every provider and back, its tool calls with it, and shows where another model took over', async () => {
    const { chat, responses, messages, all, env, endpoints } = await providers();
    const scout = agent({ name: 'scout', model: CHAT, instructions: 'Look around.', tools: [look] });
    const log = { level: 'silent' } as const;
    const rt = await startRuntime({ store: 'memory', agents: [scout], models: { endpoints }, log }, env);
    after(() => rt.close());
    const session = await rt.open('scout');
    const answers: string[] = [];
    const run = async (model: string, message: string): Promise<void> => {
      if (answers.length > 0) await session.configure((await session.view()).config.revision, { model });
      const end = await (await session.send(message)).result();
      assert.equal(end.status, 'completed', JSON.stringify(end));
      answers.push(end.text ?? '');
    };
    await run(CHAT, 'one');
    await run(RESPONSES, 'two');
    await run(CLAUDE, 'three');
    await run(RESPONSES, 'four');
    await run(CHAT, 'five');
    assert.deepEqual(answers, [
      'Chat saw it.',
      'Responses saw both.',
      'Claude saw it.',
      'Responses is back.',
      'Chat is back.',
    ]);
    for (const emulator of all) emulator.verify();

    // Text and calls of the first go to the second, each call with its answer.
    const second = sentOf(responses.requests, 0, 'input');
    assert.deepEqual(second, [
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'I look.' },
      { type: 'function_call', call_id: 'call_chat', name: 'look', arguments: '{"at":"chat"}' },
      { type: 'function_call_output', call_id: 'call_chat', output: 'chat: a tree' },
      { role: 'assistant', content: 'Chat saw it.' },
      { role: 'user', content: 'two' },
    ]);

    // The second's reasoning and what its provider searched stay there; its calls and answers go on to the third.
    const third = JSON.stringify(sentOf(messages.requests, 0, 'messages'));
    for (const left of ['encrypted_content', 'Where could it be?', 'web_search_call'])
      assert.ok(!third.includes(left), left);
    for (const kept of ['call_chat', 'call_r0', 'call_r1', 'left: a tree', 'Responses saw both.']) {
      assert.ok(third.includes(kept), kept);
    }

    // It goes on with its own thinking, signed.
    const thinking = sentOf(messages.requests, 1, 'messages').find(({ role, content }) => {
      return role === 'assistant' && JSON.stringify(content).includes('"signature":"');
    });
    assert.ok(thinking !== undefined);

    // Back at the second: its own items are as they came, what the third thought is not there, what it did is.
    const own = sentOf(responses.requests, 1, 'input').slice(6, 10);
    const again = sentOf(responses.requests, 2, 'input');
    assert.deepEqual(
      own.map(({ type }) => type),
      ['reasoning', 'web_search_call', 'function_call', 'function_call'],
    );
    for (const item of own) assert.ok(responses.requests[2]?.text.includes(JSON.stringify(item)), 'byte for byte');
    assert.ok(again.some((item) => item['type'] === 'function_call' && item['call_id'] === 'toolu_0'));
    const told = JSON.stringify(again);
    assert.ok(!told.includes('A secret thought.') && !told.includes('signature'));
    assert.ok(told.includes('Let me see.') && told.includes('up: a tree'));

    // And at the first.
    const last = JSON.stringify(sentOf(chat.requests, 2, 'messages'));
    for (const id of ['call_chat', 'call_r0', 'call_r1', 'toolu_0', 'call_r2']) assert.ok(last.includes(id), id);
    for (const left of ['encrypted_content', 'Again?', 'A secret thought.']) assert.ok(!last.includes(left), left);

    // Whoever looks sees where: the turn that another model's answers reached as text and calls only.
    const caller = { tenant: rt.host.parts.tenant, actor: { kind: 'user', id: 'u' }, requestId: 'q' } as const;
    const { result } = await rt.host.call(caller, 'trace.get', { session: session.id, limit: 100 });
    const turns = result.spans.filter(({ kind }) => kind === 'turn');
    assert.deepEqual(
      turns.map(({ id, name, takesOver }) => [id, name, takesOver]),
      [
        ['r1t1', CHAT, undefined],
        ['r1t2', CHAT, undefined],
        ['r2t1', RESPONSES, CHAT],
        ['r2t2', RESPONSES, undefined],
        ['r3t1', CLAUDE, RESPONSES],
        ['r3t2', CLAUDE, undefined],
        ['r4t1', RESPONSES, CLAUDE],
        ['r4t2', RESPONSES, undefined],
        ['r5t1', CHAT, RESPONSES],
      ],
    );
  });
});
