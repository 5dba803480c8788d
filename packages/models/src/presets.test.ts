// Each preset against the emulated house of its provider: the row's flags are what makes a conversation with tools whole.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { GenerateOutcome, GenerateRequest, ModelSource, NeutralItem, System } from '@perdure/runtime/ports';
import { CHAT_HOUSES, createChatEmulator, type ChatHouse, type ChatStep } from '@perdure/testkit';
import { keysFound, PRESETS } from './presets.ts';
import { createModelSource } from './source.ts';
import type { Quirks } from './openai-chat/endpoint.ts';

const system: System = {
  clock: { now: () => 0, monotonicMs: () => 0 },
  timers: { set: () => assert.fail('no timers are needed') },
  random: { bytes: () => assert.fail('no randomness is needed') },
};
const look = { name: 'look', description: 'Looks.', input: { type: 'object', properties: {} } };
const schema = { type: 'object', properties: { seen: { type: 'string' } } };
const said = (text: string): NeutralItem => ({ kind: 'message', parts: [{ type: 'text', text }] });
const result = (providerId: string): NeutralItem => ({
  kind: 'result',
  providerId,
  name: 'look',
  outcome: 'done',
  content: 'a lake',
});
/** Another model began, and somebody spoke before it was told what its tool said. */
const HISTORY: readonly NeutralItem[] = [
  said('Where are we?'),
  {
    kind: 'turn',
    model: 'other/m',
    text: '',
    calls: [{ id: 'call_of_another', name: 'look', arguments: '{}' }],
    native: null,
  },
  result('call_of_another'),
  said('Hurry'),
];
const script = (): ChatStep[] => [
  { reasoning: { text: 'I think of water' }, calls: [{ id: 'abcDEF123', name: 'look' }] },
  { calls: [{ id: 'abcDEF456', name: 'look' }], usage: { prompt: 60, completion: 5, cached: 50 } },
  { text: '{"seen": "a lake"}', usage: { prompt: 90, completion: 40, reasoning: 30 } },
];

/** Three turns: a call, a forced call, a structured answer. The first failure ends it. */
async function converse(source: ModelSource, model: string): Promise<(GenerateOutcome & { type: 'done' })[] | string> {
  const found = source.resolve(model);
  if (!found.ok) return found.message;
  const items = [...HISTORY];
  const outcomes: (GenerateOutcome & { type: 'done' })[] = [];
  for (const more of [{}, { toolChoice: 'required' as const }, { output: schema }]) {
    const { output, ...params } = more as { output?: typeof schema; toolChoice?: 'required' };
    const request: GenerateRequest = {
      model,
      instructions: 'Be brief.',
      tools: [look],
      rendered: items.map((item) => found.adapter.render(item, model)).join(','),
      params: { maxOutputTokens: 256, ...params },
      cacheKey: 'session',
      key: 'abcdefghijklmnop',
      attempt: 1,
      ...(output === undefined ? {} : { output }),
    };
    const outcome = await found.adapter.generate(request, {
      signal: new AbortController().signal,
      delta: () => undefined,
    });
    if (outcome.type !== 'done') return `${outcome.code}: ${outcome.detail}`;
    outcomes.push(outcome);
    const { text, calls, native } = outcome;
    items.push({ kind: 'turn', model, text, calls, native }, ...calls.map(({ id }) => result(id)), said('Go on'));
  }
  return outcomes;
}

async function visit(name: string, quirks?: Quirks) {
  const preset = PRESETS[name] ?? assert.fail(name);
  const house: ChatHouse = CHAT_HOUSES[name as keyof typeof CHAT_HOUSES];
  const emulator = await createChatEmulator(script(), { key: 'secret-key', house });
  const env = {
    [preset.keyEnv[0] ?? '']: 'secret-key',
    [preset.baseUrlEnv]: emulator.url.replace(/\/v1$/, name === 'ollama' ? '' : '/v1'),
  };
  const endpoints = quirks === undefined ? [] : [{ name, baseUrl: emulator.url, apiKey: 'secret-key', quirks }];
  const source = createModelSource({ endpoints, env, system });
  after(async () => {
    await source.close();
    await emulator.close().catch(() => undefined);
  });
  return { emulator, outcomes: await converse(source, `${name}/maker/model`) };
}

for (const [name, { quirks }] of Object.entries(PRESETS)) {
  describe(`${name}`, () => {
    it('takes a conversation that another model began, with tools, thoughts and a schema', async () => {
      const { emulator, outcomes } = await visit(name);
      if (typeof outcomes === 'string') assert.fail(outcomes);
      assert.equal(outcomes[0]?.reasoning, 'I think of water');
      assert.deepEqual(
        outcomes.map(({ calls }) => calls.map(({ id }) => id)),
        [['abcDEF123'], ['abcDEF456'], []],
      );
      assert.deepEqual([outcomes[2]?.text, outcomes[2]?.stop], ['{"seen": "a lake"}', 'end']);
      const { source: counted, input, output, reasoning } = outcomes[2]?.usage ?? assert.fail();
      assert.deepEqual([counted, input, output, reasoning], ['provider', 90, 40, 30]);
      assert.equal(emulator.requests[0]?.request?.model, 'maker/model');
      emulator.verify();
    });

    const { cacheKey: _cheaper, ...needed } = quirks;
    for (const flag of Object.keys(needed) as (keyof Quirks)[]) {
      it(`would not without ${flag}`, async () => {
        const { [flag]: _one, ...rest } = quirks;
        const { emulator, outcomes } = await visit(name, rest);
        assert.equal(typeof outcomes, 'string', `${name} takes it all the same`);
        assert.throws(() => emulator.verify(), /was refused/);
      });
    }
  });
}

it('mistral finds more of a session cached when it is told which session it is', async () => {
  const { cacheKey: _key, ...rest } = PRESETS['mistral']?.quirks ?? assert.fail();
  const cached = [];
  for (const quirks of [undefined, rest]) {
    const { outcomes } = await visit('mistral', quirks);
    cached.push(typeof outcomes === 'string' ? outcomes : outcomes[1]?.usage.cachedInput);
  }
  assert.deepEqual(cached, [50, 0]);
});

describe('presets', () => {
  const resolve = (
    model: string,
    env: { [name: string]: string },
    endpoints: { name: string; baseUrl: string }[] = [],
  ) => {
    const source = createModelSource({ endpoints, env, system });
    after(() => source.close());
    return source.resolve(model);
  };

  it("say which key is missing; a server of one's own needs none", () => {
    const missing = (model: string) => {
      const found = resolve(model, {});
      return found.ok ? assert.fail(model) : found.message;
    };
    assert.match(missing('groq/x'), /groq needs a key: set GROQ_API_KEY/);
    assert.match(missing('google/x'), /set GEMINI_API_KEY or GOOGLE_API_KEY/);
    assert.ok(
      resolve('ollama/x', {}).ok && resolve('vllm/x', {}).ok && resolve('google/x', { GOOGLE_API_KEY: 'k' }).ok,
    );
    assert.deepEqual(resolve('groq/x', { GROQ_API_KEY: 'k', GROQ_BASE_URL: 'nowhere' }), {
      ok: false,
      message: "GROQ_BASE_URL: 'nowhere' is not a URL; it looks like https://host/v1",
    });
  });

  it('give way to a record of their name, which needs no key of theirs', () => {
    assert.ok(resolve('groq/x', {}, [{ name: 'groq', baseUrl: 'http://127.0.0.1:9/v1' }]).ok);
  });

  it('find Ollama where OLLAMA_HOST says, as its own client reads it', () => {
    const read = PRESETS['ollama']?.read ?? assert.fail();
    assert.equal(read('box'), 'http://box:11434/v1');
    assert.equal(read('0.0.0.0:8080'), 'http://127.0.0.1:8080/v1');
    assert.equal(read('http://box'), 'http://box/v1');
    assert.equal(read('https://box:1234/'), 'https://box:1234/v1');
    assert.equal(read('[::1]'), 'http://[::1]:11434/v1');
  });

  it('are known by the keys that are set', () => {
    const found = keysFound({ GOOGLE_API_KEY: 'k', GROQ_API_KEY: ' ', VLLM_API_KEY: 'k' });
    assert.deepEqual(
      found.filter(({ found: key }) => key !== null).map(({ provider, found: key }) => [provider, key]),
      [
        ['vllm', 'VLLM_API_KEY'],
        ['google', 'GOOGLE_API_KEY'],
      ],
    );
    assert.deepEqual(
      found.find(({ provider }) => provider === 'groq'),
      { provider: 'groq', keyEnv: ['GROQ_API_KEY'], found: null, keyless: false, baseUrl: PRESETS['groq']?.baseUrl },
    );
  });

  it('send the pieces of a thought back as one', async () => {
    const { emulator } = await visit('openrouter');
    const { messages } = (emulator.requests[1]?.body ?? {}) as { messages: { [member: string]: unknown }[] };
    const own = messages.find((message) => 'reasoning_details' in message);
    assert.deepEqual(own?.['reasoning_details'], [
      { type: 'reasoning.text', text: 'I think of water', index: 0, format: 'emulated-v1' },
    ]);
  });
});
