import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answered,
  approve,
  call,
  failed,
  given,
  lost,
  open,
  returned,
  send,
  type Spec,
  unknown,
  wake,
} from '@perdure/testkit/spec';
import { statusOf } from './outstanding.ts';
import type { RunStatus } from './values.ts';

const DAY = 24 * 60 * 60_000;
const started = (limits = {}) => given(open({ limits }), send('one'));
const status = (spec: Spec): RunStatus | undefined => {
  const run = spec.state.runs.get('r1');
  return run && statusOf(spec.state, run);
};

describe('a run', () => {
  it('completes with the body of its last answer as text', () => {
    started()
      .given(answered('r1t1', [call()]), returned('r1t1c0'))
      .when(answered('r1t2'))
      .leadsTo('turn.settled', {
        kind: 'run.ended',
        data: { status: 'completed', text: { digest: 'answer r1t2', seq: 9 }, usage: { input: 200, output: 40 } },
      });
  });

  it('has no text when no turn was done', () => {
    started()
      .when(failed('r1t1', { retry: 'no' }))
      .leadsTo('turn.settled', 'run.ended')
      .and((s) => assert.equal('text' in (s.log.at(-1)?.data ?? {}), false));
  });

  for (const stop of ['filtered', 'empty'] as const) {
    it(`whose answer is ${stop} has failed`, () => {
      started()
        .when(answered('r1t1', [], { stop }))
        .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'failed', reason: stop } });
    });
  }

  it('whose provider gives up has failed, with the code as detail', () => {
    started()
      .when(failed('r1t1', { retry: 'no', code: 'unauthorized' }))
      .leadsTo('turn.settled', {
        kind: 'run.ended',
        data: { status: 'failed', reason: 'provider', detail: 'unauthorized' },
      });
  });

  it('whose context is too long has failed for that reason', () => {
    started()
      .when(failed('r1t1', { retry: 'no', code: 'context_length' }))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'failed', reason: 'context' } });
  });

  it('has the status that says what it does', () => {
    const spec = started();
    assert.equal(status(spec), 'running');
    spec.given(answered('r1t1', [call('pure', { decision: { verdict: 'ask' } }), call()]));
    assert.equal(status(spec), 'running', 'something flies beside what waits');
    spec.given(returned('r1t1c1'));
    assert.equal(status(spec), 'waiting');
    spec.given({ kind: 'hold', run: 'r1' });
    assert.equal(status(spec), 'held');
    spec.given({ kind: 'release', run: 'r1' }, approve('w1'), { kind: 'cancel', run: 'r1' });
    assert.equal(status(spec), 'cancelling');
    spec.given(send('two'));
    const queued = spec.state.runs.get('r2');
    assert.equal(queued && statusOf(spec.state, queued), 'queued');
  });

  it('is pinned when it starts: one under the same pin repeats only its hash, a new price is said', () => {
    const spec = started().given(answered('r1t1'));
    spec.when(send('two')).leadsTo('run.queued', 'run.started', 'turn.requested');
    assert.deepEqual(spec.log.findLast(({ kind }) => kind === 'run.started')?.data, { hash: spec.state.lastPin?.hash });
    spec.given(answered('r2t1'));
    assert.ok(spec.pin);
    spec.pin = { ...spec.pin, price: { id: 'p1', input: 1, cachedInput: 1, cacheWrite: 1, output: 1 } };
    spec.given(send('three'));
    assert.equal(spec.state.runs.get('r3')?.pin?.price?.id, 'p1');
    assert.deepEqual(spec.log.findLast(({ kind }) => kind === 'run.started')?.refs, [spec.pin.manifest]);
  });

  it('in the queue takes the configuration as it is when it starts, and keeps it', () => {
    given(open(), send('one'), send('two'))
      .given({ kind: 'configure', ifRevision: 1, config: { model: 'demo/two' } })
      .and((s) => assert.equal(s.state.runs.get('r1')?.pin?.model, 'demo/one'))
      .given(answered('r1t1'))
      .and((s) => assert.equal(s.state.runs.get('r2')?.pin?.model, 'demo/two'))
      .given({ kind: 'configure', ifRevision: 2, config: { model: 'demo/three' } })
      .and((s) => assert.equal(s.state.runs.get('r2')?.config.model, 'demo/two'));
  });

  it('whose agent is gone when its turn comes waits until it is back', () => {
    const spec = given(open(), send('one'), send('two'));
    const { pin } = spec;
    spec.pin = null;
    spec.when(answered('r1t1')).leadsTo('turn.settled', 'run.ended');
    spec.pin = pin;
    spec.when(wake).leadsTo({ kind: 'run.started', run: 'r2' }, 'turn.requested');
  });
});

describe('a limit ends in one closing turn, then limited:', () => {
  it('turns', () => {
    started({ turns: 2 })
      .given(answered('r1t1', [call()]), returned('r1t1c0'), answered('r1t2', [call()]))
      .when(returned('r1t2c0'))
      .leadsTo(
        'call.settled',
        { kind: 'run.limited', data: { limit: 'turns' } },
        {
          kind: 'turn.requested',
          effect: 'r1t3',
          data: { closing: 'turns' },
        },
      )
      .when(answered('r1t3'))
      .leadsTo('turn.settled', {
        kind: 'run.ended',
        data: { status: 'limited', reason: 'turns', text: { digest: 'answer r1t3' } },
      });
  });

  it('calls, of which those beyond the limit are answered and not run', () => {
    started({ calls: 1 })
      .when(answered('r1t1', [call(), call('unsafe', { decision: { verdict: 'ask' } })]))
      .leadsTo(
        'turn.settled',
        'call.requested',
        { kind: 'call.requested', data: { decision: 'invalid' } },
        {
          kind: 'call.settled',
          effect: 'r1t1c1',
          data: { outcome: 'failed', code: 'call_limit', attempt: 0 },
        },
      )
      .when(returned('r1t1c0'))
      .leadsTo(
        'call.settled',
        { kind: 'run.limited', data: { limit: 'calls' } },
        {
          kind: 'turn.requested',
          data: { closing: 'calls' },
        },
      )
      .when(answered('r1t2'))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'limited', reason: 'calls' } });
  });

  it('calls, but a run that used exactly what it may goes on', () => {
    started({ calls: 1 })
      .given(answered('r1t1', [call()]))
      .when(returned('r1t1c0'))
      .leadsTo('call.settled', 'turn.requested')
      .when(answered('r1t2'))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'completed' } });
  });

  it('the deadline, which stops what flies and closes what waits', () => {
    started({ deadlineMs: DAY })
      .given(answered('r1t1', [call('keyed'), call('pure', { decision: { verdict: 'ask' } })]), { pass: DAY })
      .when(wake)
      .leadsTo({ kind: 'run.limited', data: { limit: 'deadline' } }, 'wait.resolved', {
        kind: 'call.settled',
        effect: 'r1t1c1',
        data: { outcome: 'cancelled', code: 'deadline' },
      })
      .when(unknown('r1t1c0', 1, 'aborted'))
      .leadsTo(
        { kind: 'call.settled', data: { outcome: 'unknown' } },
        {
          kind: 'turn.requested',
          data: { closing: 'deadline' },
        },
      )
      .when(answered('r1t2'))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'limited', reason: 'deadline' } });
  });

  it('the deadline while the model answers: its turn ends, then the closing turn begins', () => {
    started({ deadlineMs: 1_000 })
      .given({ pass: 1_000 }, wake)
      .when(failed('r1t1', { code: 'aborted' }))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'cancelled' } },
        {
          kind: 'turn.requested',
          effect: 'r1t2',
          data: { closing: 'deadline' },
        },
      );
  });

  it('the deadline also where no wake-up came: no other turn is requested after it', () => {
    started({ deadlineMs: 1_000 })
      .given(answered('r1t1', [call()]), { pass: 1_000 })
      .when(returned('r1t1c0'))
      .leadsTo('call.settled', 'run.limited', { kind: 'turn.requested', data: { closing: 'deadline' } });
  });

  it('the deadline that has not come changes nothing', () => {
    started({ deadlineMs: 1_000 }).given({ pass: 999 }).when(wake).changesNothing();
  });

  it('length', () => {
    started()
      .when(answered('r1t1', [], { stop: 'length' }))
      .leadsTo(
        'turn.settled',
        { kind: 'run.limited', data: { limit: 'length' } },
        {
          kind: 'turn.requested',
          data: { closing: 'length' },
        },
      )
      .when(answered('r1t2', [], { stop: 'length' }))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'limited', reason: 'length' } });
  });

  it('is limited although the closing turn fails', () => {
    started({ turns: 1 })
      .given(answered('r1t1', [call()]), returned('r1t1c0'))
      .when(failed('r1t2', { retry: 'no' }))
      .leadsTo('turn.settled', {
        kind: 'run.ended',
        data: { status: 'limited', reason: 'turns', text: { digest: 'answer r1t1' } },
      });
  });

  it('answers the calls that the closing turn asked for all the same, and runs none', () => {
    started({ turns: 1 })
      .given(answered('r1t1', [call()]), returned('r1t1c0'))
      .when(answered('r1t2', [call('unsafe')]))
      .leadsTo(
        'turn.settled',
        'call.requested',
        { kind: 'call.settled', data: { outcome: 'cancelled', code: 'turns' } },
        {
          kind: 'run.ended',
          data: { status: 'limited' },
        },
      );
  });

  it('is limited when the closing turn is lost and stopped by the deadline', () => {
    started({ turns: 1 })
      .given(answered('r1t1', [call()]), returned('r1t1c0'), { restart: true })
      .when(lost('r1t2'))
      .leadsTo({ kind: 'turn.attempted', data: { n: 2 } })
      .given({ pass: 2 * DAY })
      .when(wake)
      .changesNothing()
      .when(answered('r1t2', [], { attempt: 2 }))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'limited', reason: 'turns' } });
  });

  it('rests while held, and closes when released', () => {
    started({ turns: 1 })
      .given(answered('r1t1', [call()]), { kind: 'hold', run: 'r1' }, { pass: 2 * DAY }, wake)
      .when(returned('r1t1c0'))
      .leadsTo('call.settled')
      .when({ kind: 'release', run: 'r1' })
      .leadsTo('run.released', 'turn.requested');
  });
});
