// The adapter over real HTTP, against the emulator that the official client agrees with (see testkit).
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { request } from 'undici';
import type { Delta, GenerateOutcome, GenerateRequest, NeutralItem, System } from '@perdure/runtime/ports';
import {
  createMessagesEmulator,
  type MessagesAnswer,
  type MessagesEmulatorOptions,
  type MessagesStep,
} from '@perdure/testkit';
import { createModelSource } from '../source.ts';

const NOW = Date.UTC(2026, 0, 1);
const system: System = {
  clock: { now: () => NOW, monotonicMs: () => 0 },
  timers: { set: () => assert.fail('no timers are needed') },
  random: { bytes: () => assert.fail('no randomness is needed') },
};
const MODEL = 'anthropic/claude-opus-5-5';
const OLD = 'anthropic/claude-haiku-4-5';
const FORCIBLE = 'anthropic/claude-sonnet-5';

const message = (text: string): NeutralItem => ({ kind: 'message', parts: [{ type: 'text', text }] });
const result = (providerId: string, content: string, outcome = 'done'): NeutralItem => ({
  kind: 'result',
  providerId,
  name: 'look',
  outcome,
  content,
});
const tool = { name: 'look', description: 'Looks.', input: { type: 'object', properties: {} } };

type Given = Partial<GenerateRequest> & { items?: readonly NeutralItem[]; signal?: AbortSignal };

function client(url: string) {
  const env = { ANTHROPIC_API_KEY: 'secret-key', ANTHROPIC_BASE_URL: url };
  const source = createModelSource({ env, system });
  after(() => source.close());
  const found = source.resolve(MODEL);
  assert.ok(found.ok);
  const { adapter } = found;
  const requestOf = ({ items = [message('hello')], model = MODEL, ...given }: Given): GenerateRequest => ({
    model,
    instructions: 'Be brief.',
    tools: [],
    rendered: items
      .map((item) => adapter.render(item, model))
      .filter((text) => text !== '')
      .join(','),
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

async function start(steps: readonly MessagesStep[], options: MessagesEmulatorOptions = {}) {
  const emulator = await createMessagesEmulator(steps, { key: 'secret-key', ...options });
  after(() => emulator.close().catch(() => undefined));
  return { emulator, ...client(emulator.url) };
}

type Done = Extract<GenerateOutcome, { type: 'done' }>;
type Failed = Extract<GenerateOutcome, { type: 'failed' }>;
function done({ outcome }: { outcome: GenerateOutcome }): Done {
  assert.equal(outcome.type, 'done', JSON.stringify(outcome));
  return outcome as Done;
}
function failed({ outcome }: { outcome: GenerateOutcome }): Failed {
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
const contentOf = ({ native }: Done) => (native as { content: unknown[] }).content;
type Sent = { messages: { role: string; content: { [name: string]: unknown }[] }[]; [name: string]: unknown };

function sentOf({ requests }: { requests: readonly { body: unknown }[] }, n: number): Sent {
  return (requests.at(n) ?? assert.fail('there is no such request')).body as Sent;
}

describe('an answer', () => {
  it('is streamed, and is the sum of its deltas', async () => {
    const { emulator, ask } = await start([{ text: 'Grüße, 世界 😀!', pieces: 4, bytesPerWrite: 1 }]);
    const asked = await ask();
    assert.deepEqual([done(asked).text, done(asked).stop], ['Grüße, 世界 😀!', 'end']);
    assert.equal(asked.deltas.map((delta) => delta.text).join(''), 'Grüße, 世界 😀!');
    assert.equal(asked.deltas.length, 4);
    assert.deepEqual(done(asked).native, {
      role: 'assistant',
      content: [{ type: 'text', text: 'Grüße, 世界 😀!', citations: null }],
    });
    const { headers, path } = emulator.requests[0] ?? assert.fail();
    assert.deepEqual([path, headers['anthropic-version']], ['/v1/messages', '2026-10-21']);
    emulator.verify();
  });

  it('counts each token once: read from the cache, written to it, and neither', async () => {
    const usage = { input: 36, cacheRead: 64, cacheWrite: 20, output: 50, thinking: 40 };
    const { ask } = await start([{ text: 'x', usage }]);
    assert.deepEqual(done(await ask()).usage, {
      input: 36,
      cachedInput: 64,
      cacheWrite: 20,
      output: 50,
      reasoning: 40,
      source: 'provider',
    });
  });

  it('may ask for parallel calls, alone or mixed with text', async () => {
    const calls = [
      { id: 'a', name: 'look', input: { at: 'here' } },
      { id: 'b', name: 'look', input: { at: 'there' } },
      { id: 'c', name: 'stop' },
    ];
    const { ask } = await start([{ calls }, { calls, text: 'I look' }]);
    for (const text of ['', 'I look']) {
      const asked = await ask({ tools: [tool] });
      assert.deepEqual([done(asked).stop, done(asked).text], ['calls', text]);
      assert.deepEqual(done(asked).calls, [
        { id: 'a', name: 'look', arguments: '{"at":"here"}' },
        { id: 'b', name: 'look', arguments: '{"at":"there"}' },
        { id: 'c', name: 'stop', arguments: '{}' },
      ]);
      for (const [n, call] of done(asked).calls.entries()) {
        const pieces = asked.deltas.flatMap((delta) => (delta.part === 'arguments' && delta.call === n ? [delta] : []));
        assert.equal(pieces.map((piece) => piece.text).join(''), call.arguments === '{}' ? '' : call.arguments);
        assert.ok(pieces.every((piece) => piece.name === call.name));
      }
    }
  });

  it('hands malformed arguments on as they came; sent back they are told as what they are', async () => {
    const { emulator, ask } = await start([
      { calls: [{ id: 'a', name: 'look', input: '{"at": ' }] },
      { text: 'sorry' },
    ]);
    const first = done(await ask({ tools: [tool] }));
    assert.equal(first.calls[0]?.arguments, '{"at": ');
    done(await ask({ tools: [tool], items: [message('hello'), turnOf(first), result('a', 'not JSON', 'failed')] }));
    const { messages } = sentOf(emulator, 1);
    assert.deepEqual(messages[1]?.content[0]?.['input'], { INVALID_JSON: '{"at": ' });
    assert.equal(messages[2]?.content[0]?.['is_error'], true);
    emulator.verify();
  });

  it('that is cut hands no call on, and what is left of it can be sent back', async () => {
    const calls = [{ id: 'a', name: 'look', input: '{"rm": "/tm' }];
    const cuts = ['max_tokens', 'model_context_window_exceeded', 'pause_turn'];
    const { emulator, ask } = await start([
      ...cuts.flatMap((stop) => [{ thinking: 'hm', text: 'so', calls, stop }, { text: 'on' }]),
      { thinking: 'hm', stop: 'max_tokens' },
      { text: 'on' },
    ]);
    for (const text of [...cuts.map(() => 'so'), '']) {
      const cut = done(await ask({ tools: [tool] }));
      assert.deepEqual([cut.stop, cut.calls, cut.text], ['length', [], text]);
      assert.deepEqual(
        contentOf(cut).map((block) => (block as { type: string }).type),
        text === '' ? [] : ['thinking', 'text'],
      );
      done(await ask({ tools: [tool], items: [message('hello'), turnOf(cut), message('go on')] }));
    }
    emulator.verify();
  });

  it('that is refused counts as filtered, with its words or else the reason', async () => {
    const { ask } = await start([
      { text: 'I started', stop: 'refusal', explanation: 'not that' },
      { content: [], stop: 'refusal', explanation: 'not that' },
      { content: [], stop: 'refusal' },
    ]);
    for (const text of ['I started', 'not that', '']) {
      const asked = await ask();
      assert.deepEqual([done(asked).stop, done(asked).text], ['filtered', text]);
      assert.equal(asked.deltas.map((delta) => delta.text).join(''), text);
    }
  });

  it('keeps the blocks it does not read, citations and those of server tools', async () => {
    const search = { type: 'server_tool_use', id: 's', name: 'web_search', input: { query: 'q' } };
    const found = { type: 'web_search_tool_result', tool_use_id: 's', content: [{ encrypted_content: 'x' }] };
    const citations = [{ type: 'web_search_result_location', cited_text: 'c' }, { type: 'char_location' }];
    const content = [
      { type: 'raw', block: search },
      { type: 'raw', block: found },
      { type: 'text', text: 'Found.', citations },
    ] as const;
    const { ask } = await start([{ content }]);
    const answer = done(await ask());
    assert.deepEqual([answer.text, answer.stop, answer.calls], ['Found.', 'end', []]);
    assert.deepEqual(contentOf(answer), [search, found, { type: 'text', text: 'Found.', citations }]);
  });

  it('leaves the connection open for the next one', async () => {
    const { emulator, ask } = await start([{ text: 'a' }, { text: 'b' }, { text: 'c' }]);
    for (const text of ['a', 'b', 'c']) assert.equal(done(await ask()).text, text);
    assert.ok(emulator.connections() <= 2, `${emulator.connections()} connections`);
  });
});

describe('thinking', () => {
  it('is streamed, and goes back to its model byte for byte', async () => {
    const content = [
      { type: 'thinking', thinking: 'first, 世界' },
      { type: 'redacted_thinking', data: 'opaque==' },
      { type: 'text', text: 'I look' },
      { type: 'thinking', thinking: 'then' },
      { type: 'tool_use', id: 'a', name: 'look', input: { at: 1 } },
    ] as const;
    const { emulator, ask } = await start([{ content }, { text: 'seen' }]);
    const asked = await ask({ tools: [tool] });
    const first = done(asked);
    assert.equal(first.reasoning, 'first, 世界then');
    const told = asked.deltas.flatMap((delta) => (delta.part === 'reasoning' ? [delta.text] : []));
    assert.equal(told.join(''), first.reasoning);
    done(await ask({ tools: [tool], items: [message('hello'), turnOf(first), result('a', 'a tree')] }));
    const { messages } = sentOf(emulator, 1);
    assert.deepEqual(messages[1]?.content, contentOf(first));
    assert.deepEqual(
      messages[1]?.content.map(({ type, signature }) => [type, typeof signature]),
      [
        ['thinking', 'string'],
        ['redacted_thinking', 'undefined'],
        ['text', 'undefined'],
        ['thinking', 'string'],
        ['tool_use', 'undefined'],
      ],
    );
    // The emulator checks the signatures.
    emulator.verify();
  });

  it('of another model stays behind, also of a related one: text and calls go on', async () => {
    const { emulator, ask } = await start([
      { thinking: 'mine', text: 'I look', calls: [{ id: 'a', name: 'look' }] },
      { text: 'seen' },
    ]);
    const first = done(await ask({ tools: [tool] }));
    const items = [message('hello'), turnOf(first), result('a', 'a tree')];
    done(await ask({ tools: [tool], items, model: FORCIBLE }));
    const { messages } = sentOf(emulator, 1);
    assert.deepEqual(messages[1], {
      role: 'assistant',
      content: [
        { type: 'text', text: 'I look' },
        { type: 'tool_use', id: 'a', name: 'look', input: {} },
      ],
    });
    emulator.verify();
  });

  it('that no longer fits what stands before it is left out by the provider, and the answer says so', async () => {
    const { emulator, ask } = await start([{ thinking: 'hm', text: 'one' }, { text: 'two' }]);
    const first = done(await ask());
    const items = [message('hello'), turnOf(first), message('and?')];
    const second = done(await ask({ items, instructions: 'Be long.' }));
    assert.deepEqual((second.native as { input_transformations: object }).input_transformations, [
      { type: 'thinking_dropped', path: 'messages.1.content.0', reason: 'prefix_binding_mismatch' },
    ]);
    assert.equal(second.text, 'two');
    emulator.verify();
  });

  it('is asked for as the model takes it', async () => {
    const asked = async (model: string, effort?: string, maxOutputTokens = 32_000) => {
      const { emulator, ask } = await start([{ text: 'x' }]);
      const params = { maxOutputTokens, ...(effort === undefined ? {} : { effort }) };
      done(await ask({ model: `anthropic/${model}`, params }));
      emulator.verify();
      const { thinking, output_config: config } = sentOf(emulator, 0);
      return [thinking, config];
    };
    const adaptive = { type: 'adaptive', display: 'summarized' };
    const bound = { ...adaptive, block_binding: { prefix_mismatch_behavior: 'drop_block' } };
    assert.deepEqual(await asked('claude-opus-5-5'), [bound, undefined]);
    assert.deepEqual(await asked('claude-fable-5-1', 'max'), [bound, { effort: 'max' }]);
    assert.deepEqual(await asked('claude-sonnet-5-5', 'none'), [{ type: 'between_tools' }, undefined]);
    assert.deepEqual(await asked('claude-haiku-5-5', 'none'), [{ type: 'disabled' }, undefined]);
    assert.deepEqual(await asked('claude-opus-5', 'low'), [adaptive, { effort: 'low' }]);
    assert.deepEqual(await asked('claude-opus-4-8'), [undefined, undefined]);
    assert.deepEqual(await asked('claude-opus-4-8', 'none'), [undefined, undefined]);
    assert.deepEqual(await asked('claude-opus-4-8', 'xhigh'), [adaptive, { effort: 'xhigh' }]);
    assert.deepEqual(await asked('claude-sonnet-4-6', 'high'), [adaptive, { effort: 'high' }]);
    const budget = (tokens: number) => [{ type: 'enabled', budget_tokens: tokens }, undefined];
    assert.deepEqual(await asked('claude-haiku-4-5'), [undefined, undefined]);
    assert.deepEqual(await asked('claude-haiku-4-5', 'medium'), budget(8_192));
    assert.deepEqual(await asked('claude-haiku-4-5-20251001', 'high', 4_096), budget(2_048));
    assert.deepEqual(await asked('claude-haiku-4-5', 'high', 1_500), [undefined, undefined]);
  });

  it('with a budget is not begun in the middle of a tool loop', async () => {
    const { emulator, ask } = await start([{ text: 'seen' }, { text: 'seen' }]);
    const turn: NeutralItem = {
      kind: 'turn',
      model: 'other/model',
      text: '',
      calls: [{ id: 'a', name: 'look', arguments: '{}' }],
      native: null,
    };
    const items = [message('hello'), turn, result('a', 'a tree')];
    const given = { model: OLD, tools: [tool], params: { maxOutputTokens: 9_000, effort: 'low' } };
    const seen = done(await ask({ ...given, items }));
    done(await ask({ ...given, items: [...items, turnOf(seen, OLD), message('on')] }));
    const thinking = emulator.requests.map(({ body }) => (body as Sent)['thinking']);
    assert.deepEqual(thinking, [undefined, { type: 'enabled', budget_tokens: 2_048 }]);
    emulator.verify();
  });
});

describe('the history', () => {
  it('of a tool-using run is one that the provider takes, with all answers to a turn in one message', async () => {
    const calls = [
      { id: 'a', name: 'look', input: { at: 1 } },
      { id: 'b', name: 'look' },
    ];
    const { emulator, ask } = await start([{ calls }, { text: 'seen' }], { cacheFromTokens: 1 });
    const first = done(await ask({ tools: [tool], model: FORCIBLE }));
    const items: NeutralItem[] = [
      message('hello'),
      turnOf(first, FORCIBLE),
      result('a', 'a tree'),
      result('b', 'nothing there', 'failed'),
      message('faster!'),
    ];
    done(await ask({ tools: [tool], model: FORCIBLE, items }));
    const cache_control = { type: 'ephemeral' };
    assert.deepEqual(emulator.requests[1]?.body, {
      model: 'claude-sonnet-5',
      stream: true,
      max_tokens: 256,
      thinking: { type: 'adaptive', display: 'summarized' },
      tools: [{ name: 'look', description: 'Looks.', input_schema: tool.input, cache_control }],
      system: [{ type: 'text', text: 'Be brief.', cache_control }],
      messages: [
        { role: 'user', content: [{ type: 'text', text: 'hello', cache_control }] },
        {
          role: 'assistant',
          content: [
            { type: 'tool_use', id: 'a', name: 'look', input: { at: 1 }, caller: { type: 'direct' } },
            { type: 'tool_use', id: 'b', name: 'look', input: {}, caller: { type: 'direct' } },
          ],
        },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'a', content: 'a tree' },
            { type: 'tool_result', tool_use_id: 'b', content: 'nothing there', is_error: true },
            { type: 'text', text: 'faster!', cache_control },
          ],
        },
      ],
    });
    emulator.verify();
  });

  it('of another provider is told in text and calls, under ids that this one takes', async () => {
    const { emulator, ask } = await start([{ text: 'ok' }]);
    const calls = [{ id: 'functions.look:0', name: 'look', arguments: '[1]' }];
    const items: NeutralItem[] = [
      message('hello'),
      { kind: 'turn', model: 'other/model', text: ' ', calls, native: { role: 'assistant', content: 'native' } },
      result('functions.look:0', '', 'unknown'),
      { kind: 'turn', model: 'other/model', text: '', calls: [], native: null },
      message('and?'),
    ];
    done(await ask({ tools: [tool], items }));
    const { messages } = sentOf(emulator, 0);
    assert.deepEqual(messages.slice(1), [
      {
        role: 'assistant',
        content: [{ type: 'tool_use', id: 'functions_2e_look_3a_0', name: 'look', input: { INVALID_JSON: '[1]' } }],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'functions_2e_look_3a_0', content: '[unknown] ', is_error: true },
          { type: 'text', text: 'and?', cache_control: { type: 'ephemeral' } },
        ],
      },
    ]);
    emulator.verify();
  });

  it('is extended at its end only, apart from markers, whatever stands in it', async () => {
    const seam = ' ]},{"role":"user","content":[ ';
    const { adapter, requestOf } = client('http://127.0.0.1:9');
    const turn = (text: string): NeutralItem => ({
      kind: 'turn',
      model: MODEL,
      text,
      calls: [{ id: 'a', name: 'look', arguments: '{}' }],
      native: {
        role: 'assistant',
        content: [
          {
            type: 'tool_use',
            id: 'a',
            name: 'look',
            input: { odd: [seam, [{ role: 'user', content: [{ type: 'x' }] }]] },
          },
        ],
      },
    });
    const items = [
      message(seam),
      turn('x'),
      result('a', seam),
      result('b', '}'),
      message('}'),
      turn('y'),
      result('a', 'z'),
    ];
    const bodies = items.map((_, n) => {
      const body = adapter.body(requestOf({ items: items.slice(0, n + 1), tools: [tool] }));
      const { messages } = JSON.parse(body) as Sent;
      const roles = messages.map(({ role }) => role);
      assert.deepEqual(
        roles,
        roles.map((_role, at) => (at % 2 === 0 ? 'user' : 'assistant')),
      );
      assert.ok((body.match(/"cache_control"/g) ?? []).length <= 4);
      return body.replaceAll(',"cache_control":{"type":"ephemeral"}', '');
    });
    for (let n = 1; n < bodies.length; n += 1) {
      const before = bodies[n - 1]?.replace(/ ?\]\}\]\}$/, '') ?? '';
      assert.ok(bodies[n]?.startsWith(before), `${before}\n${bodies[n]}`);
    }
    const last = JSON.parse(bodies.at(-1) ?? '') as Sent;
    assert.equal(last.messages[0]?.content[0]?.['text'], seam);
    assert.deepEqual(last.messages[1]?.content[0]?.['input'], {
      odd: [seam, [{ role: 'user', content: [{ type: 'x' }] }]],
    });
  });

  it('is read from the cache from the second request on, however many blocks a turn adds', async () => {
    const calls = Array.from({ length: 30 }, (_, n) => ({ id: `c${n}`, name: 'look', input: { n } }));
    const { ask } = await start([{ calls }, { text: 'seen' }, { text: 'still' }], { cacheFromTokens: 1 });
    const first = done(await ask({ tools: [tool] }));
    assert.equal(first.usage.cachedInput, 0);
    assert.ok(first.usage.cacheWrite > 0 && first.usage.input === 0);
    const items = [message('hello'), turnOf(first), ...calls.map(({ id }) => result(id, 'a tree'))];
    const second = done(await ask({ tools: [tool], items }));
    assert.equal(second.usage.cachedInput, first.usage.cacheWrite);
    assert.ok(second.usage.cacheWrite > first.usage.cacheWrite);
    const third = done(await ask({ tools: [tool], items: [...items, turnOf(second), message('sure?')] }));
    assert.equal(third.usage.cachedInput, second.usage.cachedInput + second.usage.cacheWrite);
  });

  it('holds images, PDF and text as what they are, and says what it cannot hold', async () => {
    const { emulator, ask } = await start([{ text: 'ok' }]);
    const base64 = Buffer.from('Grüße').toString('base64');
    const file = (mediaType: string, name: string) => ({ type: 'file', digest: 'd', mediaType, name, base64 }) as const;
    const image = (mediaType: string) => ({ type: 'image', digest: 'd', mediaType, base64 }) as const;
    const parts = [
      { type: 'text', text: '  ' } as const,
      image('image/png'),
      image('image/svg+xml'),
      file('application/pdf', 'a.pdf'),
      file('text/csv; charset=utf-8', 'b.csv'),
      file('application/zip', 'c.zip'),
      file('image/webp', 'd.webp'),
    ];
    done(
      await ask({
        items: [
          { kind: 'message', parts },
          { kind: 'message', parts: [] },
        ],
      }),
    );
    const { messages } = sentOf(emulator, 0);
    assert.deepEqual(messages[0]?.content, [
      { type: 'image', source: { type: 'base64', media_type: 'image/png', data: base64 } },
      { type: 'text', text: '[image image/svg+xml]' },
      { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: base64 }, title: 'a.pdf' },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Grüße' }, title: 'b.csv' },
      { type: 'text', text: '[file c.zip, application/zip]' },
      { type: 'image', source: { type: 'base64', media_type: 'image/webp', data: base64 } },
      { type: 'text', text: '[empty message]', cache_control: { type: 'ephemeral' } },
    ]);
    emulator.verify();
  });

  it('is exactly what `body` says', async () => {
    const { emulator, adapter, requestOf, ask } = await start([{ text: 'x' }]);
    await ask({ tools: [tool] });
    assert.equal(emulator.requests[0]?.text, adapter.body(requestOf({ tools: [tool] })));
  });
});

describe('parameters', () => {
  it('are translated: tool choice, tier, a schema', async () => {
    const output = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      properties: { age: { type: 'integer', minimum: 0 }, name: { type: ['string', 'null'], format: 'slug' } },
      required: ['age'],
    };
    const { emulator, ask } = await start([{ text: '{"age":1}' }, { text: 'x' }]);
    const params = { maxOutputTokens: 7, tier: 'priority', toolChoice: 'none' } as const;
    done(await ask({ output, params, tools: [tool], instructions: ' ' }));
    const sent = sentOf(emulator, 0);
    assert.deepEqual(sent['output_config'], {
      format: {
        type: 'json_schema',
        schema: {
          type: 'object',
          additionalProperties: false,
          required: ['age'],
          properties: {
            age: { type: 'integer', description: '(minimum: 0)' },
            name: { type: ['string', 'null'], description: '(format: "slug")' },
          },
        },
      },
    });
    assert.deepEqual(
      [sent['service_tier'], sent['tool_choice'], sent['system']],
      ['auto', { type: 'none' }, undefined],
    );
    done(await ask({ params: { maxOutputTokens: 7, tier: 'default', toolChoice: 'required' } }));
    const bare = sentOf(emulator, 1);
    assert.deepEqual(
      [bare['service_tier'], bare['tool_choice'], bare['tools']],
      ['standard_only', undefined, undefined],
    );
    emulator.verify();
  });

  it('with a schema that the API cannot be told ask for it in words', async () => {
    const tree = { type: 'object', properties: { left: { $ref: '#/$defs/tree' } } };
    const { emulator, ask } = await start([{ text: '{}' }, { text: '{}' }]);
    for (const output of [{ $defs: { tree }, $ref: '#/$defs/tree' }, { description: 'anything' }]) {
      done(await ask({ output }));
      const sent = sentOf(emulator, -1);
      assert.equal(sent['output_config'], undefined);
      const [{ text }] = sent['system'] as [{ text: string }];
      assert.ok(text.startsWith('Be brief.\n\n') && text.endsWith(JSON.stringify(output)), text);
    }
    emulator.verify();
  });

  it('that force a call turn thinking off where the model can do without it', async () => {
    const { emulator, ask } = await start([{ calls: [{ name: 'look' }] }, { calls: [{ name: 'look' }] }]);
    const forced = (toolChoice: 'required' | { tool: string }, more: object = {}) =>
      ({ tools: [tool], model: FORCIBLE, params: { maxOutputTokens: 256, toolChoice, ...more } }) as const;
    assert.equal(done(await ask(forced('required', { effort: 'low' }))).stop, 'calls');
    done(await ask(forced({ tool: 'look' })));
    const seen = emulator.requests.map(({ body }) => body as Sent);
    assert.deepEqual(
      seen.map((sent) => [sent['thinking'], sent['output_config'], sent['tool_choice']]),
      [
        [{ type: 'disabled' }, { effort: 'low' }, { type: 'any' }],
        [{ type: 'disabled' }, undefined, { type: 'tool', name: 'look' }],
      ],
    );
    emulator.verify();
  });

  it('that this API does not have are refused before anything is sent', async () => {
    const { emulator, ask } = await start([]);
    const refusal = async (params: object, model = MODEL) => {
      const found = failed(await ask({ model, tools: [tool], params: { maxOutputTokens: 256, ...params } }));
      assert.deepEqual(brief(found), ['invalid_request', 'no', 'none']);
      return found.detail;
    };
    assert.match(await refusal({ temperature: 0.5 }), /temperature/);
    assert.match(await refusal({ tier: 'flex' }), /flex/);
    assert.match(await refusal({ background: true }), /background/);
    assert.match(await refusal({ effort: 'none' }), /claude-opus-5-5 takes no effort 'none', but low, /);
    assert.match(await refusal({ effort: 'minimal' }, FORCIBLE), /minimal/);
    assert.match(await refusal({ toolChoice: 'required' }), /claude-opus-5-5 takes no toolChoice/);
    assert.match(await refusal({ toolChoice: { tool: 'look' }, effort: 'max' }, FORCIBLE), /leave out effort 'max'/);
    assert.match(await refusal({ toolChoice: 'required', effort: 'low' }, OLD), /leave out effort 'low'/);
    assert.equal(emulator.requests.length, 0);
  });
});

describe('a stream', () => {
  const calls = [
    { id: 'a', name: 'look', input: { at: 'hier, 世界' } },
    { id: 'b', name: 'look', input: { at: 2 } },
  ];
  const answers: { [name: string]: MessagesAnswer } = {
    text: { text: 'Grüße, 世界 😀, it is done.' },
    'tool-call': { text: 'so', calls },
    thinking: { thinking: 'hm, 世界', text: 'so', calls: [{ id: 'a', name: 'look' }] },
  };
  for (const [name, answer] of Object.entries(answers)) {
    it(`cut at every byte offset of a ${name} response is never taken for a complete answer`, async () => {
      // The message says where to cut, so that many can be under way at once.
      const whole = { ...answer, usage: { input: 1, output: 1 } };
      const emulator = await createMessagesEmulator((seen) => {
        const cutAt = Number(seen.request?.messages.at(-1)?.content[0]?.['text']);
        return Number.isNaN(cutAt) ? whole : { ...whole, cutAt };
      });
      after(() => emulator.close());
      const { adapter, requestOf, ask } = client(emulator.url);
      const given = (offset: number | 'whole'): Given => ({ tools: [tool], items: [message(String(offset))] });
      const bytes = await sizeOf(emulator.url, adapter.body(requestOf(given('whole'))));
      const check = async (offset: number): Promise<void> => {
        const asked = await ask(given(offset));
        if (offset < bytes) assert.deepEqual(brief(failed(asked)), ['stream_cut', 'now', 'bound'], `at ${offset}`);
        else assert.equal(done(asked).text, answer.text);
      };
      for (let from = 0; from <= bytes; from += 32) {
        const offsets = Array.from({ length: Math.min(32, bytes + 1 - from) }, (_, n) => from + n);
        await Promise.all(offsets.map(check));
      }
      assert.equal(emulator.requests.length, bytes + 2);
    });
  }

  /** Bytes of the whole response. */
  async function sizeOf(url: string, body: string): Promise<number> {
    const headers = {
      authorization: 'Bearer x',
      'anthropic-version': '2026-10-21',
      'content-type': 'application/json',
    };
    const beta = { 'anthropic-beta': 'thinking-binding-controls-2026-08-01' };
    const init = { method: 'POST', headers: { ...headers, ...beta }, body };
    const response = await request(`${url}/v1/messages`, init as Parameters<typeof request>[1]);
    return (await response.body.arrayBuffer()).byteLength;
  }

  it('that ends properly without its terminal event is cut', async () => {
    const { ask } = await start([
      { text: 'whole', endAfter: 8 },
      { text: 'whole', endAfter: 2 },
    ]);
    assert.deepEqual(brief(failed(await ask())), ['stream_cut', 'now', 'bound']);
    assert.deepEqual(brief(failed(await ask())), ['stream_cut', 'now', 'bound']);
  });

  it('that breaks off with an error event is failed by what the error says', async () => {
    const broken = (type: string, text = 'boom') => ({
      text: 'a b c',
      errorAfter: { events: 4, error: { type, message: text } },
    });
    const { ask } = await start([
      broken('overloaded_error'),
      broken('api_error'),
      broken('rate_limit_error'),
      broken('timeout_error'),
      broken('invalid_request_error', 'prompt is too long: 9 tokens > 8 maximum'),
      broken('new_error'),
    ]);
    const first = failed(await ask());
    assert.deepEqual(brief(first), ['overloaded', 'now', 'bound']);
    assert.match(first.detail, /boom/);
    assert.deepEqual(brief(failed(await ask())), ['overloaded', 'now', 'bound']);
    assert.deepEqual(brief(failed(await ask())), ['rate_limited', 'now', 'bound']);
    assert.deepEqual(brief(failed(await ask())), ['timeout', 'now', 'bound']);
    assert.deepEqual(brief(failed(await ask())), ['context_length', 'no', 'bound']);
    assert.deepEqual(brief(failed(await ask())), ['stream_error', 'now', 'bound']);
  });

  it('is ended by an abort, at once and with nothing told after it', async () => {
    const { emulator, ask } = await start([{ text: 'a b c', stallAt: 900 }, { hang: true }]);
    for (const n of [0, 1]) {
      const abort = new AbortController();
      const asking = ask({ signal: abort.signal });
      await emulator.requested(n);
      abort.abort();
      assert.deepEqual(brief(failed(await asking)), ['aborted', 'no', 'bound']);
    }
    assert.deepEqual(brief(failed(await ask({ signal: AbortSignal.abort() }))), ['aborted', 'no', 'none']);
    emulator.verify();
  });

  const streams = async (...events: (object | string)[]) => {
    const text = events
      .map((event) => (typeof event === 'string' ? event : `data: ${JSON.stringify(event)}\n\n`))
      .join('');
    const server: Server = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    after(() => server.close());
    return client(`http://127.0.0.1:${(server.address() as AddressInfo).port}`).ask();
  };
  const begin = { type: 'message_start', message: { usage: { input_tokens: 5 } } };
  const open = (index: number, block: object) => ({ type: 'content_block_start', index, content_block: block });
  const more = (index: number, delta: object) => ({ type: 'content_block_delta', index, delta });
  const close = (index: number) => ({ type: 'content_block_stop', index });
  const finish = (reason: string | null, usage: object = { output_tokens: 7 }) => ({
    type: 'message_delta',
    delta: { stop_reason: reason },
    usage,
  });
  const end = { type: 'message_stop' };
  const text = { type: 'text', text: '' };
  const call = { type: 'tool_use', id: 'a', name: 'look', input: {} };

  it('of nonsense is malformed, whatever the nonsense', async () => {
    const malformed = ['malformed', 'now', 'bound'];
    for (const nonsense of [
      ['data: {"type": [\n\n'],
      ['data: 7\n\n'],
      [begin, open(0, { text: 'untyped' })],
      [begin, open(0, text), open(0, text)],
      [begin, open(0, { ...call, id: 7 })],
      [begin, more(0, { type: 'text_delta', text: 'x' })],
      [begin, open(0, text), close(0), more(0, { type: 'text_delta', text: 'x' })],
      [begin, close(0)],
      [begin, open(0, text), finish('end_turn'), end],
      [begin, finish('tool_use'), end],
    ]) {
      assert.deepEqual(brief(failed(await streams(...nonsense))), malformed, JSON.stringify(nonsense));
    }
    assert.deepEqual(brief(failed(await streams(begin, finish('whatever'), end))), ['malformed', 'no', 'bound']);
    assert.deepEqual(brief(failed(await streams(begin, finish(null), end))), ['stream_cut', 'now', 'bound']);
    assert.deepEqual(brief(failed(await streams(end))), ['stream_cut', 'now', 'bound']);
  });

  it('may hold kinds that nobody knows, and counts that change on the way', async () => {
    const asked = await streams(
      begin,
      { type: 'news', index: 0 },
      [] as object,
      open(0, text),
      more(0, { type: 'text_delta', text: 'fine' }),
      more(0, { type: 'odd_delta', odd: 1 }),
      more(0, { type: 'text_delta', text: 7 }),
      close(0),
      open(2, { type: 'odd', kept: [1] }),
      close(2),
      finish('end_turn', { output_tokens: 7, input_tokens: null, cache_read_input_tokens: 3 }),
      end,
    );
    const { text: told, usage, native } = done(asked);
    assert.deepEqual([told, usage.input, usage.cachedInput, usage.output], ['fine', 5, 3, 7]);
    assert.deepEqual(native, {
      role: 'assistant',
      content: [
        { type: 'text', text: 'fine' },
        { type: 'odd', kept: [1] },
      ],
    });
  });

  it('that counts nothing is charged as a bound', async () => {
    const { usage } = done(
      await streams({ type: 'message_start' }, open(0, text), close(0), finish('end_turn', {}), end),
    );
    assert.deepEqual([usage.source, usage.output], ['bound', 256]);
    assert.ok(usage.input > 100);
  });

  it('larger than the bounds is given up', async () => {
    assert.deepEqual(brief(failed(await streams(`data: ${'x'.repeat(5 * 1024 * 1024)}`))), [
      'too_large',
      'no',
      'bound',
    ]);
    const many = Array.from({ length: 1_100 }, (_, n) => [open(n, { ...call, id: `c${n}` }), close(n)]).flat();
    assert.deepEqual(brief(failed(await streams(begin, ...many))), ['too_large', 'no', 'bound']);
  });
});

describe('a refusal of the provider', () => {
  const refused = async (
    status: number,
    type: string,
    more: { message?: string; headers?: Record<string, string>; body?: string } = {},
  ) => {
    const { message: words = 'wrong', headers = {}, ...rest } = more;
    const { ask } = await start([{ status, error: { type, message: words }, headers, ...rest }]);
    return failed(await ask());
  };

  it('has a code by its type and its status, and says whether trying again can help', async () => {
    assert.deepEqual(brief(await refused(401, 'authentication_error')), ['auth', 'no', 'none']);
    assert.deepEqual(brief(await refused(403, 'permission_error')), ['auth', 'no', 'none']);
    assert.deepEqual(brief(await refused(402, 'billing_error')), ['quota', 'no', 'none']);
    assert.deepEqual(brief(await refused(404, 'not_found_error')), ['model_not_found', 'no', 'none']);
    assert.deepEqual(brief(await refused(400, 'invalid_request_error')), ['invalid_request', 'no', 'none']);
    for (const words of [
      'prompt is too long: 210000 tokens > 200000 maximum',
      'input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000',
    ]) {
      const outcome = await refused(400, 'invalid_request_error', { message: words });
      assert.deepEqual(brief(outcome), ['context_length', 'no', 'none']);
    }
    const poor = { message: 'Your credit balance is too low to access the Anthropic API.' };
    assert.deepEqual(brief(await refused(400, 'invalid_request_error', poor)), ['quota', 'no', 'none']);
    assert.deepEqual(brief(await refused(413, 'request_too_large')), ['context_length', 'no', 'none']);
    assert.deepEqual(brief(await refused(413, 'invalid_request_error')), ['context_length', 'no', 'none']);
    assert.deepEqual(brief(await refused(429, 'rate_limit_error')), ['rate_limited', 'now', 'none']);
    const error = { type: 'rate_limit_error', message: 'x', details: { error_code: 'contract_spend_limit_reached' } };
    assert.deepEqual(brief(await refused(429, 'x', { body: JSON.stringify({ type: 'error', error }) })), [
      'quota',
      'no',
      'none',
    ]);
    for (const [status, type] of [
      [500, 'api_error'],
      [503, 'api_error'],
      [529, 'overloaded_error'],
    ] as const) {
      assert.deepEqual(brief(await refused(status, type)), ['overloaded', 'now', 'none'], `${status}`);
    }
    assert.deepEqual(brief(await refused(504, 'timeout_error')), ['timeout', 'now', 'bound']);
  });

  it('is obeyed in when to come back, and tells its id', async () => {
    const busy = await refused(529, 'overloaded_error', { headers: { 'retry-after': '7' } });
    assert.deepEqual(busy.retry, { afterMs: 7_000 });
    assert.match(busy.detail, /answered 529 \(request req_emulated\): wrong/);
    assert.equal((await refused(529, 'overloaded_error', { headers: { 'x-should-retry': 'false' } })).retry, 'no');
  });

  it('of a prompt above the window is an overflow of the context', async () => {
    const { ask } = await start([], { windowTokens: 100 });
    const overflow = failed(await ask({ items: [message('long '.repeat(200))] }));
    assert.deepEqual(brief(overflow), ['context_length', 'no', 'none']);
  });

  it('of the key says where the key is, and no answer tells the key', async () => {
    const named = await refused(401, 'authentication_error', { message: 'invalid key secret-key' });
    assert.match(named.detail, /check ANTHROPIC_API_KEY/);
    assert.doesNotMatch(named.detail, /secret-key/);
    assert.match((await refused(400, 'invalid_request_error', { message: 'you sent secret-key' })).detail, /\[key\]/);
  });
});
