import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Delta, GenerateRequest, NeutralItem } from '@perdure/runtime/ports';
import { createScriptedModel, type ScriptedModel } from './scripted-model.ts';

const message: NeutralItem = { kind: 'message', parts: [{ type: 'text', text: 'hello' }] };

async function call(model: ScriptedModel, given: Partial<GenerateRequest> = {}, signal = new AbortController().signal) {
  const found = model.source.resolve('scripted');
  assert.ok(found.ok);
  const deltas: Delta[] = [];
  const outcome = await found.adapter.generate(
    {
      model: 'scripted',
      instructions: 'be brief',
      tools: [],
      rendered: found.adapter.render(message, 'scripted'),
      params: { maxOutputTokens: 100 },
      key: 'keykeykeykeykey',
      attempt: 1,
      ...given,
    },
    { signal, delta: (delta) => void deltas.push(delta) },
  );
  return { outcome, deltas };
}

describe('the scripted model', () => {
  it('plays its steps in order, streams them, and records each request', async () => {
    const model = createScriptedModel([
      { text: 'abcd', reasoning: 'why', calls: [{ name: 'look', arguments: { at: 1 } }] },
      ({ request, n }) => ({ text: `${request.instructions} ${n}`, usage: { cachedInput: 7 } }),
    ]);
    const first = await call(model);
    assert.deepEqual(first.deltas, [
      { part: 'reasoning', text: 'why' },
      { part: 'text', text: 'ab' },
      { part: 'text', text: 'cd' },
      { part: 'arguments', call: 0, name: 'look', text: '{"at":1}' },
    ]);
    assert.equal(first.outcome.type === 'done' && first.outcome.stop, 'calls');
    const second = await call(model);
    assert.ok(second.outcome.type === 'done');
    assert.deepEqual(
      [second.outcome.text, second.outcome.stop, second.outcome.usage.cachedInput],
      ['be brief 1', 'end', 7],
    );
    assert.deepEqual(
      model.calls.map((seen) => seen.items),
      [[message], [message]],
    );
    model.verify();
  });

  it('fails a call it does not expect, and the test', async () => {
    const model = createScriptedModel([]);
    const { outcome } = await call(model);
    assert.deepEqual(outcome.type === 'failed' && [outcome.code, outcome.retry], ['unexpected_call', 'no']);
    assert.throws(() => model.verify(), /call 0 was not expected/);
  });

  it('fails the test when a step is left', () => {
    const model = createScriptedModel([{ text: 'never' }]);
    assert.throws(() => model.verify(), /1 steps were not used/);
  });

  it('fails the test when a step throws, and answers with a failure', async () => {
    const model = createScriptedModel([
      () => {
        throw new Error('wrong tools');
      },
    ]);
    assert.equal((await call(model)).outcome.type, 'failed');
    assert.throws(() => model.verify(), /wrong tools/);
  });

  it('holds an answer until it is released', async () => {
    const gate = Promise.withResolvers<void>();
    const model = createScriptedModel([{ text: 'late', hold: gate.promise }]);
    const calling = call(model);
    assert.equal((await model.called(0)).n, 0);
    assert.equal(model.active(), 1);
    gate.resolve();
    assert.equal((await calling).outcome.type, 'done');
    assert.equal(model.active(), 0);
  });

  it('ends a held call when it is aborted, with no delta', async () => {
    const abort = new AbortController();
    const model = createScriptedModel([{ text: 'never', hold: new Promise(() => undefined) }]);
    const calling = call(model, {}, abort.signal);
    abort.abort();
    const { outcome, deltas } = await calling;
    assert.deepEqual([outcome.type === 'failed' && outcome.code, deltas], ['aborted', []]);
    model.verify();
  });

  it('answers any number of calls from one function', async () => {
    const model = createScriptedModel(({ n }) => (n === 0 ? { fail: 'overloaded', retry: 'now' } : { text: `${n}` }));
    assert.equal((await call(model)).outcome.type, 'failed');
    assert.equal((await call(model)).outcome.type, 'done');
    assert.equal((await call(model)).outcome.type, 'done');
    model.verify();
  });
});
