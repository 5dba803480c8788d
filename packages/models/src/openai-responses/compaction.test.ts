// Conversations that the provider compacts, over real HTTP against the emulator that the official client agrees with.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { CompactRequest, GenerateOutcome, NeutralItem } from '@perdure/runtime/ports';
import { createResponsesEmulator, type ResponsesStep } from '@perdure/testkit';
import { openEndpoint } from '../openai-chat/endpoint.ts';
import { createOpenAiResponses } from './adapter.ts';

const MODEL = 'openai/gpt-5';
const message = (text: string): NeutralItem => ({ kind: 'message', parts: [{ type: 'text', text }] });
const tool = { name: 'look', description: 'Looks.', input: { type: 'object', properties: {} } };
const said: NeutralItem = { kind: 'turn', model: 'other/x', text: 'of the sea', calls: [], native: null };

async function start(script: readonly ResponsesStep[], quirks = {}) {
  const emulator = await createResponsesEmulator(script, { key: 'secret-key' });
  after(() => emulator.close().catch(() => undefined));
  const opened = openEndpoint({ name: 'openai', baseUrl: emulator.url, apiKey: 'secret-key', quirks }, {});
  assert.ok(opened.ok);
  const provider = createOpenAiResponses('openai', opened.endpoint, { now: () => 0, monotonicMs: () => 0 });
  after(() => provider.close());
  const { adapter } = provider;
  const requestOf = (items: readonly NeutralItem[]): CompactRequest => ({
    model: MODEL,
    instructions: 'Be brief.',
    tools: [tool],
    rendered: items.map((item) => adapter.render(item, MODEL)).join(','),
    params: { maxOutputTokens: 128_000 },
    cacheKey: 'the session',
    key: 'abcdefghijklmnopqrstuvwxyz',
    attempt: 1,
  });
  const compact = async (items = [message('tell me'), said], signal = new AbortController().signal) =>
    (await adapter.compact?.(requestOf(items), { signal })) ?? assert.fail('it does not compact');
  const ask = async (items: readonly NeutralItem[]) =>
    adapter.generate(
      { ...requestOf(items), params: { maxOutputTokens: 256 } },
      {
        signal: new AbortController().signal,
        delta: () => undefined,
      },
    );
  return { emulator, compact, ask };
}

type Done = Extract<GenerateOutcome, { type: 'done' }>;
function done(outcome: GenerateOutcome): Done {
  assert.equal(outcome.type, 'done', JSON.stringify(outcome));
  return outcome as Done;
}
const failure = (outcome: GenerateOutcome): unknown[] => {
  assert.ok(outcome.type === 'failed', JSON.stringify(outcome));
  return [outcome.code, outcome.retry, outcome.spent.kind];
};
const turnOf = ({ text, native }: Done): NeutralItem => ({ kind: 'turn', model: MODEL, text, calls: [], native });

describe('a conversation that OpenAI compacts', () => {
  it('is sent as a turn sends it, without its tools, and goes on behind what came back, as it came', async () => {
    const usage = { input: 900, output: 60, cached: 512, reasoning: 20 };
    const { emulator, compact, ask } = await start([{ compacted: 'the sea', usage }, { output: [{ text: 'well' }] }], {
      cacheKey: true,
    });
    const compacted = done(await compact());
    assert.deepEqual(compacted.usage, {
      input: 388,
      cachedInput: 512,
      cacheWrite: 0,
      output: 60,
      reasoning: 20,
      source: 'provider',
    });
    assert.deepEqual([compacted.text, compacted.stop], ['', 'end']);
    const { path, body, headers } = emulator.requests[0] ?? assert.fail();
    assert.equal(path, '/v1/responses/compact');
    assert.deepEqual(body, {
      model: 'gpt-5',
      prompt_cache_key: 'the session',
      instructions: 'Be brief.',
      input: [
        { role: 'user', content: 'tell me' },
        { role: 'assistant', content: 'of the sea' },
      ],
    });
    assert.equal(headers['x-client-request-id'], 'abcdefghijklmnopqrstuvwxyz-1');
    done(await ask([turnOf(compacted), message('go on')]));
    const next = emulator.requests[1]?.body as { input: unknown[] } | undefined;
    assert.deepEqual(next?.input, [...(compacted.native as unknown[]), { role: 'user', content: 'go on' }]);
    emulator.verify();
  });

  it('can be compacted again, with what it goes on behind', async () => {
    const { emulator, compact } = await start([{ compacted: 'the sea' }, { compacted: 'the sea and the hills' }]);
    const first = done(await compact());
    const second = done(await compact([turnOf(first), message('go on'), said]));
    const types = (second.native as { type: string }[]).map(({ type }) => type);
    assert.deepEqual(types, ['message', 'message', 'compaction']);
    emulator.verify();
  });

  it('is refused by name where the provider does not compact, or not this: that costs nothing', async () => {
    const wrong = { message: 'no', type: 'invalid_request_error' };
    const refusals = [404, 400].map((status) => ({ status, error: wrong }));
    const { compact } = await start(refusals);
    for (const _ of refusals) assert.deepEqual(failure(await compact()), ['unsupported', 'no', 'none']);
    const { compact: busy } = await start([{ status: 503 }, { status: 401 }]);
    assert.deepEqual(failure(await busy()), ['overloaded', 'now', 'none']);
    assert.deepEqual(failure(await busy()), ['auth', 'no', 'none']);
  });

  it('is too long where the provider says so', async () => {
    const long = { message: 'too long', type: 'invalid_request_error', code: 'context_length_exceeded' };
    const { compact } = await start([{ status: 400, error: long }]);
    assert.deepEqual(failure(await compact()), ['context_length', 'no', 'none']);
  });

  it('is not compacted by an answer that has no compaction item, which is paid', async () => {
    const items = [[], [{ type: 'message', role: 'user', content: [] }], [{ type: 'compaction', id: 'x' }]];
    const { compact } = await start(items.map((output) => ({ compacted: '', output })));
    for (const _ of items) assert.deepEqual(failure(await compact()), ['unsupported', 'no', 'usage']);
  });

  it('is never compacted by an answer that was cut, wherever it was', async () => {
    const { compact } = await start([{ compacted: 'the sea' }]);
    const whole = JSON.stringify(done(await compact()).native).length;
    for (let cutAt = 0; cutAt < whole + 200; cutAt += 23) {
      const { compact: cut } = await start([{ compacted: 'the sea', cutAt }]);
      assert.deepEqual(failure(await cut())[2], 'bound');
    }
  });

  it('stops when nobody wants it any more', async () => {
    const { emulator, compact } = await start([{ compacted: 'the sea', hang: true }]);
    const controller = new AbortController();
    const asking = compact([message('tell me')], controller.signal);
    await emulator.requested(0);
    controller.abort('cancelled');
    assert.deepEqual(failure(await asking), ['aborted', 'no', 'bound']);
  });
});
