import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answered, call, failed, lost, open, resolve, returned, send, Spec, usage } from '@perdure/testkit/spec';
import { LIMITS } from './limits.ts';
import { memberOf, PROVIDER_FAILURES } from './route.ts';
import type { Config, Limits, Price } from './values.ts';

const ROUTE = ['a/one', 'b/two', 'c/three'];
const PRICE: Price = { id: 'list', input: 1_000, cachedInput: 1_000, cacheWrite: 1_000, output: 4_000 };
const started = (limits: Partial<Limits> = {}, config: Config = { model: ROUTE }, price: Price | null = PRICE) =>
  new Spec({ pin: { price } }).given(open({ ...config, limits }), send('one'));
const gone = (turn: 'r1t1' | 'r1t2' | 'r1t3' | 'r2t1', code = 'overloaded') => failed(turn, { code, retry: 'no' });
const runOf = ({ state }: Spec) => state.runs.get('r1') ?? assert.fail();
const requests = ({ log }: Spec) =>
  log.flatMap((entry) => (entry.kind === 'turn.requested' ? [[entry.data.model, entry.data.passed]] : []));

describe('a route', () => {
  it('of one model is written as ever', () => {
    started({}, { model: ['a/one'] }).and((s) => {
      const pin = s.log.find((entry) => entry.kind === 'run.started')?.data.pin;
      assert.equal(pin?.model, 'a/one');
      assert.ok(pin && !('fallbacks' in pin));
      assert.deepEqual(requests(s), [[undefined, undefined]]);
    });
  });

  it('goes on with the next model when one fails at its provider, and says which and why', () => {
    started()
      .when(gone('r1t1'))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'failed', code: 'overloaded' } },
        { kind: 'turn.requested', effect: 'r1t2', data: { model: 'b/two', passed: ['overloaded'] } },
      )
      .when(gone('r1t2', 'auth'))
      .leadsTo('turn.settled', { kind: 'turn.requested', data: { model: 'c/three', passed: ['overloaded', 'auth'] } })
      .when(answered('r1t3'))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'completed' } });
  });

  it('is gone along after the retries of each model, not before', () => {
    const spec = started();
    for (let attempt = 1; attempt < LIMITS.attempts; attempt += 1)
      spec.when(failed('r1t1', { attempt })).leadsTo('turn.failed', 'turn.attempted');
    spec
      .when(failed('r1t1', { attempt: LIMITS.attempts }))
      .leadsTo('turn.settled', { kind: 'turn.requested', data: { model: 'b/two' } });
  });

  it('is gone along when a provider asks for more patience than a run has', () => {
    started()
      .when(failed('r1t1', { code: 'rate_limited', retry: { afterMs: LIMITS.retryAfterMaxMs + 1 } }))
      .leadsTo('turn.settled', { kind: 'turn.requested', data: { passed: ['rate_limited'] } });
  });

  it('is not gone along for what is wrong with the request itself', () => {
    for (const code of ['context_length', 'invalid_request', 'too_large', 'aborted', 'adapter_error', 'blocked'])
      started()
        .when(gone('r1t1', code))
        .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'failed', detail: code } });
    for (const code of PROVIDER_FAILURES) started().when(gone('r1t1', code)).leadsTo('turn.settled', 'turn.requested');
  });

  it('ends: the failure of its last model is the run’s', () => {
    started()
      .given(gone('r1t1'), gone('r1t2'))
      .when(gone('r1t3', 'quota'))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'failed', reason: 'provider', detail: 'quota' } });
  });

  it('is kept to for the rest of the run; the next run begins with its first model', () => {
    started()
      .given(gone('r1t1'), answered('r1t2', [call()]), returned('r1t2c0'))
      .and((s) => assert.deepEqual(requests(s).at(-1), ['b/two', ['overloaded']]))
      .given(answered('r1t3'), send('two'))
      .and((s) => assert.deepEqual(requests(s).at(-1), [undefined, undefined]));
  });

  it('uses up no turn of the limit for a model that was left', () => {
    started({ turns: 1 })
      .given(gone('r1t1'), gone('r1t2'))
      .when(answered('r1t3', [call()]))
      .leadsTo('turn.settled', 'call.requested')
      .when(returned('r1t3c0'))
      .leadsTo('call.settled', { kind: 'run.limited', data: { limit: 'turns' } }, 'turn.requested');
  });

  it('holds the closing turn too: the model that failed is not asked again', () => {
    started({ deadlineMs: 1_000 })
      .given({ pass: 2_000 })
      .when(gone('r1t1'))
      .leadsTo('turn.settled', 'run.limited', {
        kind: 'turn.requested',
        data: { closing: 'deadline', model: 'b/two' },
      });
  });

  it('takes a loss of the process for no failure of its model', () => {
    started()
      .given({ restart: true })
      .when(lost('r1t1'))
      .leadsTo({ kind: 'turn.attempted', data: { n: 2, reason: 'lost' } })
      .and((s) => assert.equal(memberOf(runOf(s))?.model, 'a/one'));
  });
});

describe('what a route costs', () => {
  it('is reserved and booked at the price of the model that is asked', () => {
    started()
      .given(gone('r1t1'))
      .and(({ state, log }) => {
        const [first, second] = log.flatMap((entry) => (entry.kind === 'turn.requested' ? [entry.data.reserve] : []));
        assert.equal(second?.tokens, first?.tokens);
        assert.equal(second?.nanoUsd, Math.ceil((first?.nanoUsd ?? 0) / 2));
        assert.deepEqual(state.reserved, second);
      })
      .when(answered('r1t2', [], { usage: usage({ input: 100, output: 20 }) }))
      .leadsTo({ kind: 'turn.settled', data: { cost: { nanoUsd: 50 + 40, price: 'list/2' } } }, 'run.ended');
  });

  it('is bounded for each model by itself: what one counted says nothing of another one’s tokens', () => {
    started()
      .given(answered('r1t1', [call()], { usage: usage({ input: 9 }) }), returned('r1t1c0'), gone('r1t2'))
      .and(({ state, log }) => {
        const [, known, fresh] = log.flatMap((entry) => (entry.kind === 'turn.requested' ? [entry.data] : []));
        assert.equal(state.context.counted?.model, 'a/one');
        assert.ok((fresh?.reserve.tokens ?? 0) > (known?.reserve.tokens ?? 0));
      });
  });

  it('decides too: a model that no account has room for is passed over for one that fits', () => {
    started({ nanoUsd: 1_300 }).and((s) => assert.deepEqual(requests(s), [['b/two', ['unaffordable']]]));
  });

  it('is nobody’s turn where no model fits: the first one’s shortage is told', () => {
    started({ session: { nanoUsd: 300 } })
      .and((s) => assert.equal(s.log.at(-1)?.kind, 'wait.opened'))
      .when(resolve('w1', { kind: 'budget', decision: 'raise', cap: { nanoUsd: 1_300 } }))
      .leadsTo('wait.resolved', 'budget.raised', { kind: 'turn.requested', data: { passed: ['unaffordable'] } });
  });

  it('must be known of every model under a money cap', () => {
    const spec = new Spec({ pin: { price: null } }).given(open({ model: ROUTE, limits: { nanoUsd: 1 } }));
    spec.when(send('one')).isRefused('invalid_request');
  });

  it('is refused by the ledger as ever, and the next model is tried with that as a fact', () => {
    const spec = new Spec({ pin: { price: PRICE } }).given(open({ model: ROUTE }));
    spec.refusal = { account: 'agent/clerk', limit: 'money', needed: 5_000, free: 1_300 };
    spec.given(send('one')).and((s) => assert.deepEqual(requests(s), [['b/two', ['unaffordable']]]));
  });
});

describe('a circuit breaker', () => {
  it('that is open has its model passed over, and that is on record', () => {
    const spec = new Spec({ pin: { price: PRICE } }).given(open({ model: ROUTE }));
    spec.broken.set('a/one', 'overloaded').set('b/two', 'timeout');
    spec
      .when(send('one'))
      .leadsTo('run.queued', 'run.started', {
        kind: 'turn.requested',
        data: { model: 'c/three', passed: ['breaker:overloaded', 'breaker:timeout'] },
      })
      .and((s) => s.broken.clear())
      .given(answered('r1t1', [call()]), returned('r1t1c0'))
      .and((s) => assert.deepEqual(requests(s).at(-1), ['c/three', ['breaker:overloaded', 'breaker:timeout']]));
  });

  it('stops no run that has no other model', () => {
    const alone = new Spec().given(open({ model: 'a/one' }));
    alone.broken.set('a/one', 'overloaded');
    alone.given(send('one')).and((s) => assert.deepEqual(requests(s), [[undefined, undefined]]));
    const spec = new Spec().given(open({ model: ROUTE }));
    for (const model of ROUTE) spec.broken.set(model, 'overloaded');
    spec.given(send('one')).and((s) => assert.deepEqual(requests(s), [[undefined, undefined]]));
  });

  it('uses up the limit of turns for no model that it spared', () => {
    const spec = new Spec().given(open({ model: ROUTE, limits: { turns: 1 } }));
    spec.broken.set('a/one', 'overloaded');
    spec
      .given(send('one'))
      .when(answered('r1t1', [call()]))
      .leadsTo('turn.settled', 'call.requested')
      .when(returned('r1t1c0'))
      .leadsTo('call.settled', 'run.limited', 'turn.requested');
  });
});
