// Conversations that the provider compacts, over real HTTP against the emulator that the official client agrees with.
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import type { CompactRequest, GenerateOutcome, NeutralItem } from '@perdure/runtime/ports';
import { createMessagesEmulator, type MessagesStep } from '@perdure/testkit';
import { createModelSource } from '../source.ts';

const system = {
  clock: { now: () => 0, monotonicMs: () => 0 },
  timers: { set: () => assert.fail('no timers are needed') },
  random: { bytes: () => assert.fail('no randomness is needed') },
};
const MODEL = 'anthropic/claude-opus-5-5';
const message = (text: string): NeutralItem => ({ kind: 'message', parts: [{ type: 'text', text }] });
const tool = { name: 'look', description: 'Looks.', input: { type: 'object', properties: {} } };
const said: NeutralItem = { kind: 'turn', model: 'other/x', text: 'of the sea', calls: [], native: null };

async function start(script: readonly MessagesStep[]) {
  const emulator = await createMessagesEmulator(script, { key: 'secret-key' });
  after(() => emulator.close().catch(() => undefined));
  const env = { ANTHROPIC_API_KEY: 'secret-key', ANTHROPIC_BASE_URL: emulator.url };
  const source = createModelSource({ env, system });
  after(() => source.close());
  const found = source.resolve(MODEL);
  assert.ok(found.ok);
  const { adapter } = found;
  const requestOf = (items: readonly NeutralItem[], model: string): CompactRequest => ({
    model,
    instructions: 'Be brief.',
    tools: [tool],
    rendered: items.map((item) => adapter.render(item, model)).join(','),
    params: { maxOutputTokens: 16_384 },
    key: 'abcdefghijklmnopqrstuvwxyz',
    attempt: 1,
  });
  const compact = async (items = [message('tell me'), said], model = MODEL) =>
    (await adapter.compact?.(requestOf(items, model), { signal: new AbortController().signal })) ??
    assert.fail('it does not compact');
  const ask = async (items: readonly NeutralItem[]) => {
    const context = { signal: new AbortController().signal, delta: () => undefined };
    return adapter.generate({ ...requestOf(items, MODEL), params: { maxOutputTokens: 256 } }, context);
  };
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
const turnOf = ({ text, calls, native }: Done): NeutralItem => ({ kind: 'turn', model: MODEL, text, calls, native });
type Sent = { messages: { role: string; content: { type: string }[] }[]; [name: string]: unknown };

describe('a conversation that Anthropic compacts', () => {
  it('is sent as a turn sends it, and goes on behind the signed block, which others can read', async () => {
    const usage = { input: 900, output: 60, cacheRead: 512 };
    const steps: MessagesStep[] = [
      { text: 'of the sea' },
      { compaction: 'They spoke of the sea.', usage },
      { thinking: 'hm', text: 'I look', calls: [{ id: 'a', name: 'look' }] },
      { text: 'seen' },
    ];
    const { emulator, compact, ask } = await start(steps);
    const first = done(await ask([message('tell me')]));
    const compacted = done(await compact([message('tell me'), turnOf(first)]));
    assert.deepEqual(
      [compacted.text, compacted.usage.input, compacted.usage.cachedInput, compacted.usage.output],
      ['They spoke of the sea.', 900, 512, 60],
    );
    const [turn, asked] = emulator.requests.map(({ body }) => body as Sent);
    assert.deepEqual(asked?.['compaction'], { type: 'summarize' });
    assert.deepEqual(
      [asked?.['tools'], asked?.['system'], asked?.['thinking']],
      [turn?.['tools'], turn?.['system'], turn?.['thinking']],
    );
    assert.deepEqual([asked?.['stream'], asked?.['max_tokens']], [false, 16_384]);
    assert.match(String(emulator.requests[1]?.headers['anthropic-beta']), /^thinking-binding[^,]*,compact-2026-09-04$/);
    const behind = [turnOf(compacted), message('go on')];
    const called = done(await ask(behind));
    assert.equal(called.stop, 'calls');
    const result: NeutralItem = { kind: 'result', providerId: 'a', name: 'look', outcome: 'done', content: 'trees' };
    assert.equal(done(await ask([...behind, turnOf(called), result])).text, 'seen');
    const sent = emulator.requests[3]?.body as Sent;
    assert.deepEqual(sent.messages[0], compacted.native);
    assert.equal(sent.messages[0]?.content[0]?.type, 'compaction');
    emulator.verify();
  });

  it('stands first also where what stays behind it begins with an answer, and can be compacted again', async () => {
    const { emulator, compact, ask } = await start([
      { compaction: 'They spoke of the sea.' },
      { text: 'well' },
      { compaction: 'They spoke at length.' },
    ]);
    const compacted = done(await compact());
    done(await ask([turnOf(compacted), said, message('go on')]));
    assert.equal(done(await compact([turnOf(compacted), said, message('go on')])).text, 'They spoke at length.');
    emulator.verify();
  });

  it('is not compacted by an answer that was cut or refused, or that has no summary', async () => {
    const { compact } = await start([
      { compaction: null, stop: 'max_tokens', content: [] },
      { compaction: null, stop: 'refusal', content: [] },
      { compaction: null },
    ]);
    const ends = [done(await compact()), done(await compact()), done(await compact())];
    assert.deepEqual(
      ends.map(({ stop, text, native }) => [stop, text, native]),
      [
        ['length', '', null],
        ['filtered', '', null],
        ['end', '', null],
      ],
    );
  });

  it('is refused by name where the provider does not compact, or not this', async () => {
    const wrong = { message: 'compaction: not supported', type: 'invalid_request_error' };
    const busy = { message: 'compaction_unavailable', type: 'overloaded_error' };
    const { compact } = await start([
      { status: 400, error: wrong },
      { status: 529, error: busy },
      { text: 'an answer', content: [{ type: 'text', text: 'an answer' }] },
    ]);
    assert.deepEqual(failure(await compact()), ['unsupported', 'no', 'none']);
    assert.deepEqual(failure(await compact()), ['overloaded', 'now', 'none']);
    assert.deepEqual(failure(await compact()), ['unsupported', 'no', 'usage']);
  });

  it('is never compacted by an answer that was cut, wherever it was', async () => {
    for (let cutAt = 0; cutAt < 500; cutAt += 29) {
      const { compact } = await start([{ compaction: 'They spoke of the sea.', cutAt }]);
      assert.deepEqual(failure(await compact())[2], 'bound');
    }
  });
});
