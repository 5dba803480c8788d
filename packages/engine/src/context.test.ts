import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answered,
  call,
  failed,
  given,
  open,
  parks,
  resolve,
  returned,
  send,
  type Spec,
  usage,
} from '@perdure/testkit/spec';
import { LIMITS } from './limits.ts';

const started = () => given(open(), send('one'));
const read = (spec: Spec): string[] =>
  spec.state.context.items.map((item) =>
    item.kind === 'result' ? `${item.call} ${item.outcome}` : `${item.kind} ${item.body.digest}`,
  );

describe('what the model reads', () => {
  it('is message, answer, results in the order it asked, then what was steered (C1)', () => {
    started()
      .given(answered('r1t1', [call(), call('keyed'), call('pure', { decision: { verdict: 'deny' } })]))
      .given(send('two', { mode: 'steer' }), returned('r1t1c1'), returned('r1t1c0', 'failed'))
      .and((s) =>
        assert.deepEqual(read(s), [
          'message message one',
          'turn answer r1t1',
          'r1t1c0 failed',
          'r1t1c1 done',
          'r1t1c2 denied',
          'message message two',
        ]),
      );
  });

  it('has what was steered once, however many turns follow', () => {
    started()
      .given(answered('r1t1', [call()]), send('two', { mode: 'steer' }), returned('r1t1c0'))
      .given(answered('r1t2', [call()]), returned('r1t2c0'))
      .and((s) => assert.equal(read(s).filter((item) => item === 'message message two').length, 1));
  });

  it('goes on from run to run', () => {
    started()
      .given(answered('r1t1'), send('two'))
      .and((s) => assert.deepEqual(read(s), ['message message one', 'turn answer r1t1', 'message message two']));
  });

  it('has an answer to each call of a run that was cancelled, and what was steered into it (C2)', () => {
    started()
      .given(answered('r1t1', [call('unsafe')]), send('two', { mode: 'steer' }), { kind: 'cancel', run: 'r1' })
      .and((s) =>
        assert.deepEqual(read(s), [
          'message message one',
          'turn answer r1t1',
          'r1t1c0 cancelled',
          'message message two',
        ]),
      );
  });

  it('has nothing of a turn that failed, nor of a run that never started', () => {
    started()
      .given(send('two'), { kind: 'unqueue', run: 'r2' }, failed('r1t1', { retry: 'no' }))
      .and((s) => assert.deepEqual(read(s), ['message message one']));
  });

  it('names where each body is, and a code where there is none', () => {
    started()
      .given(
        answered('r1t1', [call()]),
        parks('r1t1c0', { kind: 'callback' }),
        resolve('w1', { kind: 'callback', ref: { digest: 'it came', bytes: 7 } }),
      )
      .and((s) =>
        assert.deepEqual(s.state.context.items.at(-1), {
          kind: 'result',
          call: 'r1t1c0',
          providerId: 'call_1',
          name: 'pure-tool',
          outcome: 'done',
          code: null,
          body: { digest: 'it came', bytes: 7, seq: 9 },
          seq: 10,
        }),
      );
  });
});

describe('the bytes of the context', () => {
  it('are new until the provider has counted them', () => {
    const overhead = LIMITS.itemOverheadBytes;
    started()
      .and((s) =>
        assert.deepEqual([s.state.context.newBytes, s.state.context.totalBytes], [10 + overhead, 10 + overhead]),
      )
      .given(answered('r1t1', [call()], { usage: usage({ input: 5, output: 3 }) }))
      .and((s) => assert.deepEqual([s.state.context.newBytes, s.state.context.counted?.tokens], [0, 8]))
      .given(returned('r1t1c0'))
      .and((s) =>
        assert.deepEqual([s.state.context.newBytes, s.state.context.totalBytes], [10 + overhead, 60 + 3 * overhead]),
      );
  });

  it('stay new where the usage is a bound, not a count', () => {
    started()
      .given(answered('r1t1', [call()], { usage: usage({ source: 'bound' }) }))
      .and((s) =>
        assert.deepEqual([s.state.context.counted, s.state.context.newBytes], [null, s.state.context.totalBytes]),
      );
  });
});
