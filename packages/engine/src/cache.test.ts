import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answered, call, open, returned, send, Spec, usage } from '@perdure/testkit/spec';
import type { Pin } from './values.ts';

const cache = { minTokens: 1_000, stepTokens: 128, lifetimeMs: 60_000 };
/** A first turn whose prompt counted 1,300 tokens, in whatever way they were billed. */
const first = (more: Partial<Pin> = {}, billed = usage({ input: 300, cachedInput: 600, cacheWrite: 400 })) =>
  new Spec({ pin: { cache, ...more } }).given(open(), send('one'), answered('r1t1', [call()], { usage: billed }));
const predicted = (spec: Spec): number | undefined => {
  const { data } = spec.log.findLast((entry) => entry.kind === 'turn.requested') ?? {};
  return data !== undefined && 'cached' in data ? data.cached : undefined;
};

describe('what the next prompt should take from the cache', () => {
  it('is the last prompt, in whole steps, and is recorded with the turn', () => {
    first()
      .when(returned('r1t1c0'))
      .leadsTo('call.settled', { kind: 'turn.requested', data: { cached: 1_280 } });
  });

  it('goes on from run to run', () => {
    const spec = first().given(
      returned('r1t1c0'),
      answered('r1t2', [], { usage: usage({ input: 20, cachedInput: 1_280 }) }),
    );
    spec.given(send('two'));
    assert.equal(predicted(spec), 1_280);
  });

  it('is nothing below the least, after its lifetime, or where nobody says that there is a cache', () => {
    assert.equal(predicted(first({}, usage({ input: 999 })).given(returned('r1t1c0'))), undefined);
    assert.equal(predicted(first().given({ pass: cache.lifetimeMs }, returned('r1t1c0'))), 1_280);
    assert.equal(predicted(first().given({ pass: cache.lifetimeMs + 1 }, returned('r1t1c0'))), undefined);
    const without = new Spec().given(
      open(),
      send('one'),
      answered('r1t1', [call()], { usage: usage({ input: 5_000 }) }),
    );
    assert.equal(predicted(without.given(returned('r1t1c0'))), undefined);
  });

  it('is nothing where the prompt begins otherwise: another model, pin or slot, or one that was taken away', () => {
    const done = () => first().given(returned('r1t1c0'), answered('r1t2', [], { usage: usage({ input: 1_300 }) }));
    const ref = { digest: 'notes', bytes: 10 };
    assert.equal(predicted(done().given(send('two'))), 1_280);
    assert.equal(predicted(done().given(send('two', { config: { model: 'demo/two' } }))), undefined);
    assert.equal(predicted(done().given(send('two', { config: { temperature: 1 } }))), undefined);
    assert.equal(predicted(done().given({ kind: 'remember', key: 'notes', ref }, send('two'))), undefined);
    const slotted = new Spec({ pin: { cache } }).given(open(), { kind: 'remember', key: 'notes', ref }, send('one'));
    slotted.given(answered('r1t1', [], { usage: usage({ input: 1_300 }) }));
    assert.equal(predicted(slotted.given(send('two'))), 1_280);
    slotted.given(answered('r2t1', [], { usage: usage({ input: 1_300 }) }), { kind: 'forget', key: 'notes' });
    assert.equal(predicted(slotted.given(send('three'))), undefined);
  });

  it('is nothing of a slot that was set while the model answered', () => {
    const spec = new Spec({ pin: { cache } }).given(open(), send('one'));
    spec.given({ kind: 'remember', key: 'notes', ref: { digest: 'notes', bytes: 10 } });
    spec.given(answered('r1t1', [], { usage: usage({ input: 1_300 }) }), send('two'));
    assert.equal(predicted(spec), undefined);
  });

  it('is nothing that anybody else counted: a bound is no prompt', () => {
    const bound = usage({ input: 1_300, source: 'bound' });
    assert.equal(predicted(first({}, bound).given(returned('r1t1c0'))), undefined);
  });

  it('lowers no reservation: the bound is the same with a cache and without (P9)', () => {
    const price = { id: 'list', input: 1_000, cachedInput: 100, cacheWrite: 1_250, output: 2_000 };
    const reserve = (more: Partial<Pin>) => {
      const spec = new Spec({ pin: { price, ...more } }).given(open(), send('one'));
      spec.given(answered('r1t1', [call()], { usage: usage({ input: 1_300 }) }), returned('r1t1c0'));
      return spec.state.reserved;
    };
    assert.deepEqual(reserve({ cache }), reserve({}));
  });
});
