import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delta, GenerateRequest, NeutralItem, Timer, Timers, ToolDeclaration } from '@perdure/runtime/ports';
import { createDemo } from './demo.ts';
import { LIMITS } from './limits.ts';

const virtual = (): Timers & { waited: number[]; fire(): void } => {
  const due: { run: () => void }[] = [];
  const waited: number[] = [];
  return {
    waited,
    set: (afterMs, run): Timer => {
      waited.push(afterMs);
      const timer = { run };
      due.push(timer);
      return { cancel: () => void (timer.run = () => undefined) };
    },
    fire: () => due.shift()?.run(),
  };
};

const read: ToolDeclaration = {
  name: 'read',
  description: 'Reads a file.',
  input: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
};
const sleep: ToolDeclaration = {
  name: 'sleep',
  description: 'Sleeps.',
  input: { type: 'object', properties: { seconds: { type: 'number' } }, required: ['seconds'] },
};

const message = (text: string): NeutralItem => ({ kind: 'message', parts: [{ type: 'text', text }] });
const turn = (...names: string[]): NeutralItem => ({
  kind: 'turn',
  model: 'demo',
  text: '',
  calls: names.map((name, n) => ({ id: `c${n}`, name, arguments: '{}' })),
  native: null,
});
const result = (name: string, content: string, outcome = 'done'): NeutralItem => ({
  kind: 'result',
  providerId: 'c0',
  name,
  outcome,
  content,
});

async function ask(
  items: readonly NeutralItem[] | string,
  given: Partial<GenerateRequest> & { timers?: Timers; signal?: AbortSignal } = {},
) {
  const adapter = createDemo(given.timers ?? virtual());
  const list = typeof items === 'string' ? [message(items)] : items;
  const deltas: Delta[] = [];
  const outcome = await adapter.generate(
    {
      model: 'demo',
      instructions: '',
      tools: [read, sleep],
      rendered: list.map((item) => adapter.render(item, 'demo')).join(','),
      params: { maxOutputTokens: 4_096 },
      key: 'abcdefghijklmnop',
      attempt: 1,
      ...given,
    },
    { signal: given.signal ?? new AbortController().signal, delta: (delta) => void deltas.push(delta) },
  );
  return { outcome, deltas };
}

async function answer(...given: Parameters<typeof ask>) {
  const { outcome } = await ask(...given);
  assert.equal(outcome.type, 'done', JSON.stringify(outcome));
  return outcome as Extract<typeof outcome, { type: 'done' }>;
}

describe('the demo model', () => {
  it('answers a sum, and echoes what it does not understand', async () => {
    assert.equal((await answer('What is 2 + 3?')).text, '2 + 3 = 5');
    assert.equal((await answer('0.1 + 0.2')).text, '0.1 + 0.2 = 0.3');
    assert.equal((await answer('Hello')).text, 'You said: Hello');
    assert.equal((await answer('due on 2024-05-01')).text, 'You said: due on 2024-05-01');
  });

  it('says what it was given besides text: name, type and size', async () => {
    const base64 = Buffer.from('12345').toString('base64');
    const image = { type: 'image' as const, digest: 'd', mediaType: 'image/png', base64 };
    const given: NeutralItem = {
      kind: 'message',
      parts: [
        { type: 'text', text: 'Look' },
        { ...image, name: 'a.png' },
        { type: 'file', digest: 'e', mediaType: 'application/pdf', name: 'b.pdf', base64 },
      ],
    };
    const seen = 'You gave me: a.png (image/png, 5 bytes)\nYou gave me: b.pdf (application/pdf, 5 bytes)';
    assert.equal((await answer([given])).text, `You said: Look\n${seen}`);
    assert.equal((await answer([{ kind: 'message', parts: [image] }])).text, 'You gave me: image (image/png, 5 bytes)');
  });

  it('streams its answer in pieces that make the whole', async () => {
    const { outcome, deltas } = await ask('say one two three four five six 😀😀😀😀😀😀😀😀😀😀');
    assert.equal(outcome.type, 'done');
    assert.ok(deltas.length > 2);
    assert.equal(deltas.map((delta) => delta.text).join(''), 'one two three four five six 😀😀😀😀😀😀😀😀😀😀');
    assert.ok(deltas.every((delta) => delta.text.isWellFormed()));
  });

  it('calls tools verbatim, several lines in parallel, unknown tools and broken JSON included', async () => {
    const { stop, calls } = await answer('call read {"path": "a"}\ncall nope {broken\ncall sleep');
    assert.equal(stop, 'calls');
    assert.deepEqual(calls, [
      { id: 'demo_abcdefghijkl_0', name: 'read', arguments: '{"path": "a"}' },
      { id: 'demo_abcdefghijkl_1', name: 'nope', arguments: '{broken' },
      { id: 'demo_abcdefghijkl_2', name: 'sleep', arguments: '{}' },
    ]);
  });

  it('answers with what the tools gave', async () => {
    const text = [
      message('call read {}\ncall sleep'),
      turn('read', 'sleep'),
      result('read', 'R1'),
      result('sleep', 'S1', 'failed'),
    ];
    assert.equal((await answer(text)).text, 'read: R1\nsleep (failed): S1');
  });

  it('goes from stage to stage of a script, one answer each', async () => {
    const script = message('call read {}\nthen\ncall sleep\nsay resting\nthen\nsay done');
    const first = await answer([script]);
    assert.deepEqual(
      first.calls.map((call) => call.name),
      ['read'],
    );
    const second = await answer([script, turn('read'), result('read', 'x')]);
    assert.deepEqual([second.text, second.calls.map((call) => call.name)], ['resting', ['sleep']]);
    const third = await answer([script, turn('read'), result('read', 'x'), turn('sleep'), result('sleep', 'y')]);
    assert.deepEqual([third.stop, third.text], ['end', 'done']);
  });

  it('follows the last message only', async () => {
    assert.equal((await answer([message('fail'), message('say fine')])).text, 'fine');
    assert.equal(
      (await answer([message('call read {}'), turn('read'), result('read', 'x'), message('say new')])).text,
      'new',
    );
  });

  it('uses a tool that is plainly asked for, when it can fill what the tool requires', async () => {
    const asked = async (text: string) => (await answer(text)).calls.map((call) => [call.name, call.arguments]);
    assert.deepEqual(await asked('Read the file docs/a.md'), [['read', '{"path":"docs/a.md"}']]);
    assert.deepEqual(await asked('please sleep for 5 seconds'), [['sleep', '{"seconds":5}']]);
    assert.deepEqual(await asked('use the tool read on "my notes"'), [['read', '{"path":"my notes"}']]);
    assert.deepEqual(await asked('sleep well'), []);
  });

  it('calls nothing without tools or when the choice is none, and the demanded tool when there is a demand', async () => {
    assert.equal((await answer('call read {}', { tools: [] })).text, 'I have no tools here.');
    const params = { maxOutputTokens: 100, toolChoice: 'none' } as const;
    assert.deepEqual((await answer('call read {}', { params })).calls, []);
    const forced = await answer('hello', { params: { maxOutputTokens: 100, toolChoice: { tool: 'sleep' } } });
    assert.deepEqual(
      forced.calls.map((call) => call.name),
      ['sleep'],
    );
  });

  it('fails as asked: always, by status, once, filtered', async () => {
    const failing = async (text: string, attempt = 1) => {
      const { outcome } = await ask(text, { attempt });
      return outcome.type === 'failed' ? [outcome.code, outcome.retry] : outcome.stop;
    };
    assert.deepEqual(await failing('fail'), ['demo', 'no']);
    assert.deepEqual(await failing('fail 429'), ['rate_limited', 'now']);
    assert.deepEqual(await failing('fail 503'), ['overloaded', 'now']);
    assert.deepEqual(await failing('fail 401'), ['auth', 'no']);
    assert.deepEqual(await failing('fail once'), ['demo', 'now']);
    assert.equal(await failing('fail once', 2), 'end');
    const { outcome: second } = await ask('fail once', { attempt: 2 });
    assert.equal(second.type === 'done' ? second.text : second.code, 'You said: fail once');
    assert.equal(await failing('fail filtered'), 'filtered');
  });

  it('is slow as asked, on the timers port alone, and an abort ends the wait at once', async () => {
    const timers = virtual();
    const abort = new AbortController();
    const asking = ask('slow 2000\nsay a', { timers, signal: abort.signal });
    assert.deepEqual(timers.waited, [2000]);
    timers.fire();
    assert.equal((await asking).outcome.type, 'done');
    const stopped = ask('slow 2000\nsay a', { timers, signal: abort.signal });
    abort.abort();
    const { outcome } = await stopped;
    assert.deepEqual(outcome.type === 'failed' && outcome.code, 'aborted');
  });

  it('cuts an answer at its maximum output and says so', async () => {
    const { stop, text, usage } = await answer('long 100', { params: { maxOutputTokens: 5 } });
    assert.deepEqual([stop, text.length, usage.output], ['length', 20, 5]);
    assert.equal((await answer('long 7')).text.split(' ').length, 7);
  });

  it('fits the schema of a structured answer', async () => {
    const output = {
      type: 'object',
      properties: { sum: { type: 'number' }, how: { type: 'string' }, sure: { enum: ['yes', 'no'] } },
    };
    const { text } = await answer('2 + 3', { output });
    assert.deepEqual(JSON.parse(text), { sum: 5, how: '2 + 3 = 5', sure: 'yes' });
    assert.equal((await answer('say {"a":1}', { output })).text, '{"a":1}');
  });

  it('gives the same answer and the same count for the same request', async () => {
    assert.deepEqual(await answer('long 50'), await answer('long 50'));
    const more = await answer('say hi', { instructions: 'x'.repeat(400) });
    const less = await answer('say hi');
    assert.equal(more.usage.input - less.usage.input, 100);
  });

  it('refuses what is larger than its window', async () => {
    const { outcome } = await ask('x'.repeat(LIMITS.demoWindowTokens * 4));
    assert.deepEqual(outcome.type === 'failed' && [outcome.code, outcome.retry], ['context_length', 'no']);
  });
});
