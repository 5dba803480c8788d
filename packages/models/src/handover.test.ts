// One session through all three providers and back, each checked by its strict emulator.
import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import type { GenerateOutcome, NeutralItem, System } from '@perdure/runtime/ports';
import {
  createChatEmulator,
  createMessagesEmulator,
  createResponsesEmulator,
  type ChatAnswer,
  type MessagesAnswer,
  type ResponsesAnswer,
} from '@perdure/testkit';
import { createModelSource } from './source.ts';

const system: System = {
  clock: { now: () => 0, monotonicMs: () => 0 },
  timers: { set: () => assert.fail('no timers are needed') },
  random: { bytes: () => assert.fail('no randomness is needed') },
};
const tool = { name: 'look', description: 'Looks.', input: { type: 'object', properties: {} } };
const CLAUDE = 'anthropic/claude-opus-5-5';
const GPT = 'openai/gpt-5';
const HOUSE = 'house/llama';

/** Each visit thinks, asks for two calls, and answers; ids are never used twice. */
const ids = (visit: number): [string, string] => [`call_${visit}_a`, `call_${visit}_b`];
const chat = (visit: number): ChatAnswer[] => [
  { reasoning: { text: 'hm' }, text: `look ${visit}`, calls: ids(visit).map((id) => ({ id, name: 'look' })) },
  { text: `seen ${visit}` },
];
const claude = (visit: number): MessagesAnswer[] => [
  { thinking: 'hm', text: `look ${visit}`, calls: ids(visit).map((id) => ({ id, name: 'look' })) },
  { thinking: 'well', text: `seen ${visit}` },
];
const gpt = (visit: number): ResponsesAnswer[] => [
  {
    output: [
      { reasoning: ['hm'] },
      { text: `look ${visit}` },
      ...ids(visit).map((id) => ({ call: { id, name: 'look' } })),
    ],
  },
  { output: [{ text: `seen ${visit}` }] },
];

function done(outcome: GenerateOutcome): Extract<GenerateOutcome, { type: 'done' }> {
  assert.equal(outcome.type, 'done', JSON.stringify(outcome));
  return outcome as Extract<GenerateOutcome, { type: 'done' }>;
}

it('one session goes through all three providers and back, and each takes its own thoughts back', async () => {
  const visits = [GPT, CLAUDE, HOUSE, CLAUDE, GPT, HOUSE];
  const answersOf = <A>(model: string, answers: (visit: number) => A[]): A[] =>
    visits.flatMap((visited, visit) => (visited === model ? answers(visit) : []));
  const responses = await createResponsesEmulator(answersOf(GPT, gpt));
  const messages = await createMessagesEmulator(answersOf(CLAUDE, claude));
  const chats = await createChatEmulator(answersOf(HOUSE, chat));
  const emulators = [responses, messages, chats];
  after(() => Promise.all(emulators.map((emulator) => emulator.close().catch(() => undefined))));
  const env = {
    OPENAI_API_KEY: 'k',
    OPENAI_BASE_URL: responses.url,
    ANTHROPIC_API_KEY: 'k',
    ANTHROPIC_BASE_URL: messages.url,
  };
  const endpoints = [{ name: 'house', baseUrl: chats.url, apiKey: 'k' }];
  const source = createModelSource({ env, endpoints, system });
  after(() => source.close());

  const items: NeutralItem[] = [];
  const ask = async (model: string, visit: number, step: string) => {
    const found = source.resolve(model);
    assert.ok(found.ok, JSON.stringify(found));
    const rendered = items.map((item) => found.adapter.render(item, model)).filter((text) => text !== '');
    const request = {
      model,
      instructions: 'Be brief.',
      tools: [tool],
      rendered: rendered.join(','),
      params: { maxOutputTokens: 4_096 },
      key: `abcdefghijklmnopqrst-${visit}-${step}`,
      attempt: 1,
    };
    const context = { signal: new AbortController().signal, delta: () => undefined };
    const answer = done(await found.adapter.generate(request, context));
    const { text, calls, native } = answer;
    items.push({ kind: 'turn', model, text, calls, native });
    return answer;
  };
  for (const [visit, model] of visits.entries()) {
    items.push({ kind: 'message', parts: [{ type: 'text', text: `look again, ${visit}` }] });
    const { calls } = await ask(model, visit, 'look');
    assert.deepEqual(
      calls.map(({ id }) => id),
      ids(visit),
    );
    for (const { id } of calls) {
      items.push({ kind: 'result', providerId: id, name: 'look', outcome: 'done', content: `a tree, ${id}` });
    }
    assert.equal((await ask(model, visit, 'answer')).text, `seen ${visit}`);
  }
  for (const emulator of emulators) emulator.verify();

  const [, , back] = messages.requests.map(
    ({ body }) => (body as { messages: { content: { type: string }[] }[] }).messages,
  );
  const thoughts = back?.flatMap(({ content }) => content.filter(({ type }) => type === 'thinking')) ?? [];
  assert.equal(thoughts.length, 2, 'the thinking of the first visit is there at the second, and nobody else’s');
  assert.ok(messages.requests.every(({ request }) => request?.dropped.length === 0));
});
