import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answered, approve, call, failed, given, open, resolve, returned, send, Spec } from '@perdure/testkit/spec';
import { LIMITS } from './limits.ts';
import { outstanding, statusOf } from './outstanding.ts';

const ask = call('pure', { decision: { verdict: 'ask' } });
const running = () => given(open(), send('one'));
const waiting = () => given(open(), send('one'), answered('r1t1', [ask]));
const messages = (spec: Spec): string[] => spec.state.context.items.map(({ body }) => body?.digest ?? '-');

describe('a message sent while the session is', () => {
  for (const mode of ['queue', 'steer', 'interrupt'] as const) {
    it(`idle starts a new run (${mode})`, () => {
      given(open())
        .when(send('one', { mode }))
        .leadsTo('run.queued', 'run.started', 'turn.requested')
        .and((s) => assert.deepEqual(s.last.ok && s.last.receipt, { seq: 2, run: 'r1' }));
    });
  }

  it('running waits in the queue, and starts in the append that ends the run before it (queue)', () => {
    running()
      .when(send('two'))
      .leadsTo({ kind: 'run.queued', run: 'r2' })
      .when(answered('r1t1'))
      .leadsTo('turn.settled', { kind: 'run.ended', run: 'r1' }, { kind: 'run.started', run: 'r2' }, 'turn.requested');
  });

  it('running joins the run and is read at its next turn, behind the results (steer)', () => {
    running()
      .given(answered('r1t1', [call()]))
      .when(send('two', { mode: 'steer' }))
      .leadsTo({ kind: 'run.steered', run: 'r1' })
      .when(returned('r1t1c0'))
      .leadsTo('call.settled', { kind: 'turn.requested', effect: 'r1t2' })
      .and((s) => assert.deepEqual(messages(s), ['message one', 'answer r1t1', 'result r1t1c0 1', 'message two']));
  });

  it('running on its last turn gets one more turn (steer)', () => {
    running()
      .given(send('two', { mode: 'steer' }))
      .when(answered('r1t1'))
      .leadsTo('turn.settled', { kind: 'turn.requested', effect: 'r1t2' })
      .and((s) => assert.deepEqual(messages(s), ['message one', 'answer r1t1', 'message two']));
  });

  it('running on the last turn its limit allows is read by the closing turn (steer)', () => {
    given(open({ limits: { turns: 1 } }), send('one'), send('two', { mode: 'steer' }))
      .when(answered('r1t1'))
      .leadsTo('turn.settled', 'run.limited', { kind: 'turn.requested', data: { closing: 'turns' } })
      .and((s) => assert.equal(messages(s).at(-1), 'message two'));
  });

  it('running ends the run as cancelled, then starts (interrupt)', () => {
    running()
      .when(send('two', { mode: 'interrupt' }))
      .leadsTo('run.queued', { kind: 'run.cancelling', run: 'r1', data: { reason: 'interrupted' } })
      .and((s) =>
        assert.deepEqual(
          outstanding(s.state).map(({ type }) => type),
          ['abort'],
        ),
      )
      .when(failed('r1t1', { code: 'aborted' }))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'cancelled' } },
        { kind: 'run.ended', run: 'r1', data: { status: 'cancelled', reason: 'interrupted' } },
        { kind: 'run.started', run: 'r2' },
        'turn.requested',
      );
  });

  it('waiting stays queued while the wait is open (queue)', () => {
    waiting().when(send('two')).leadsTo('run.queued').when(approve('w1')).leadsTo('wait.resolved');
  });

  it('waiting is kept, and read when the wait ends (steer)', () => {
    waiting()
      .when(send('two', { mode: 'steer' }))
      .leadsTo('run.steered')
      .given(approve('w1'), returned('r1t1c0'))
      .and((s) => assert.equal(messages(s).at(-1), 'message two'));
  });

  it('waiting closes the wait, answers the open call and starts, in one append (interrupt)', () => {
    waiting()
      .when(send('two', { mode: 'interrupt' }))
      .leadsTo(
        'run.queued',
        'run.cancelling',
        { kind: 'wait.resolved', data: { how: 'cancelled' } },
        { kind: 'call.settled', data: { outcome: 'cancelled', code: 'interrupted' } },
        { kind: 'run.ended', data: { status: 'cancelled' } },
        { kind: 'run.started', run: 'r2' },
        'turn.requested',
      );
  });

  it('stopping becomes a run of its own (steer)', () => {
    running()
      .given({ kind: 'cancel', run: 'r1' })
      .when(send('two', { mode: 'steer' }))
      .leadsTo('run.queued');
    given(open({ limits: { turns: 1 } }), send('one'), answered('r1t1', [call()]), returned('r1t1c0'))
      .and((s) => assert.equal(s.state.runs.get('r1')?.phase.at, 'closing'))
      .when(send('two', { mode: 'steer' }))
      .leadsTo('run.queued');
  });

  it('closing or closed is refused, and a known submission still gets its receipt', () => {
    running()
      .given({ kind: 'close' })
      .when(send('two'))
      .isRefused('session_closed')
      .when(send('one'))
      .changesNothing()
      .given(failed('r1t1'))
      .when(send('one'))
      .changesNothing()
      .when(send('two'))
      .isRefused('session_closed');
  });
});

describe('a submission', () => {
  it('that opened a session without a message sends none, and opens no other', () => {
    const opening = { kind: 'open' as const, id: 'ses_1', tenant: 'default', agent: 'clerk', payload: 'one' };
    const spec = given(opening);
    const { opened } = spec.state;
    spec.when(send(opened?.input ?? assert.fail('nothing was opened'))).isRefused('submission_conflict');
  });

  it('is accepted once: the same again gets the first receipt, whatever happened since', () => {
    const receipt = { seq: 2, run: 'r1' };
    const spec = running().when(send('one')).changesNothing();
    assert.deepEqual(spec.last.ok && spec.last.receipt, receipt);
    spec.given(answered('r1t1')).when(send('one')).changesNothing();
    assert.deepEqual(spec.last.ok && spec.last.receipt, receipt);
  });

  it('with another payload is a conflict, also for a steered message', () => {
    running()
      .when(send('one', { payload: 'other' }))
      .isRefused('submission_conflict')
      .given(send('two', { mode: 'steer' }))
      .when(send('two', { mode: 'steer', payload: 'other' }))
      .isRefused('submission_conflict')
      .when(send('two', { mode: 'steer' }))
      .changesNothing();
  });

  it('that steers takes no configuration, for its run is pinned', () => {
    running()
      .when(send('two', { mode: 'steer', config: { model: 'other' } }))
      .isRefused('invalid_request');
  });

  it('brings its own configuration, over that of the session', () => {
    given(open({ model: 'demo/two', effort: 'low' }), send('one', { config: { model: 'demo/three' } })).and((s) => {
      const run = s.state.runs.get('r1');
      assert.deepEqual([run?.pin?.model, run?.config], ['demo/three', { model: 'demo/three', effort: 'low' }]);
    });
  });

  it('for an agent that is not defined here is refused', () => {
    const spec = given(open());
    spec.pin = null;
    spec.when(send('one')).isRefused('not_found');
  });

  it('carries the digests of its message and of its instructions', () => {
    given(open())
      .when(send('one', { config: { instructions: { digest: 'be brief', bytes: 8 } } }))
      .and((s) => assert.deepEqual(s.log.find(({ kind }) => kind === 'run.queued')?.refs, ['message one', 'be brief']));
  });
});

describe('the queue', () => {
  const order = (spec: Spec): string[] => spec.state.queue;

  it('goes by priority, then in order; an interrupt goes first, behind earlier interrupts', () => {
    running()
      .given(send('low', { priority: -1 }), send('a'), send('b'), send('high', { priority: 5 }))
      .and((s) => assert.deepEqual(order(s), ['r5', 'r3', 'r4', 'r2']))
      .given(send('now', { mode: 'interrupt' }), send('and now', { mode: 'interrupt' }))
      .and((s) => assert.deepEqual(order(s), ['r6', 'r7', 'r5', 'r3', 'r4', 'r2']));
  });

  it('is bounded, and one frame can end all of it', () => {
    const spec = new Spec({ quick: true }).given(open(), send('one'));
    for (let i = 0; i < LIMITS.queuedRuns; i += 1) spec.given(send(`s${i}`));
    spec.when(send('one too many')).isRefused('rate_limited').given({ kind: 'close' });
    assert.ok(spec.last.ok && spec.last.entries.length > LIMITS.queuedRuns);
    assert.ok(JSON.stringify(spec.last.entries).length <= LIMITS.frameBytes);
  });

  it('holds no more steered messages for one turn than its limit', () => {
    const spec = running();
    for (let i = 0; i < LIMITS.pendingSteers; i += 1) spec.given(send(`s${i}`, { mode: 'steer' }));
    spec.when(send('one too many', { mode: 'steer' })).isRefused('rate_limited');
  });
});

describe('unqueue', () => {
  it('takes back a run that has not started, and only that', () => {
    running()
      .given(send('two'))
      .when({ kind: 'unqueue', run: 'r2' })
      .leadsTo({ kind: 'run.ended', run: 'r2', data: { status: 'cancelled', reason: 'unqueued' } })
      .when({ kind: 'unqueue', run: 'r2' })
      .isRefused('invalid_state')
      .when({ kind: 'unqueue', run: 'r1' })
      .isRefused('invalid_state')
      .when({ kind: 'unqueue', run: 'r3' })
      .isRefused('not_found')
      .when({ kind: 'unqueue', run: 'r0' })
      .isRefused('not_found');
  });
});

describe('hold', () => {
  it('keeps a queued run from starting; what is behind it goes first; release starts it', () => {
    running()
      .given(send('two'), send('three'), { kind: 'hold', run: 'r2' })
      .when(answered('r1t1'))
      .leadsTo('turn.settled', 'run.ended', { kind: 'run.started', run: 'r3' }, 'turn.requested')
      .when(answered('r3t1'))
      .leadsTo('turn.settled', 'run.ended')
      .when({ kind: 'release', run: 'r2' })
      .leadsTo('run.released', { kind: 'run.started', run: 'r2' }, 'turn.requested');
  });

  it('lets land what flies of an active run and starts nothing new; release goes on', () => {
    running()
      .when({ kind: 'hold', run: 'r1' })
      .leadsTo('run.held')
      .when(answered('r1t1', [call('pure'), call('keyed'), call('unsafe')]))
      .leadsTo('turn.settled', 'call.requested', 'call.requested', 'call.requested')
      .and((s) => {
        const run = s.state.runs.get('r1');
        assert.deepEqual(outstanding(s.state), []);
        assert.equal(run && statusOf(s.state, run), 'held');
      })
      .when({ kind: 'release', run: 'r1' })
      .leadsTo('run.released')
      .and((s) =>
        assert.deepEqual(
          outstanding(s.state).map(({ id }) => id),
          ['r1t1c0', 'r1t1c1'],
        ),
      );
  });

  it('of a run between turns keeps its next turn back', () => {
    running()
      .given(answered('r1t1', [call()]), { kind: 'hold', run: 'r1' })
      .when(returned('r1t1c0'))
      .leadsTo('call.settled')
      .when({ kind: 'release', run: 'r1' })
      .leadsTo('run.released', 'turn.requested');
  });

  it('repeated changes nothing, and so does a release of what is not held', () => {
    running()
      .when({ kind: 'release', run: 'r1' })
      .changesNothing()
      .given({ kind: 'hold', run: 'r1' })
      .when({ kind: 'hold', run: 'r1' })
      .changesNothing();
  });

  it('of a run that is being cancelled is refused', () => {
    running().given({ kind: 'cancel', run: 'r1' }).when({ kind: 'hold', run: 'r1' }).isRefused('invalid_state');
  });
});

describe('cancel', () => {
  it('ends a queued run at once, held or not', () => {
    running()
      .given(send('two'), { kind: 'hold', run: 'r2' })
      .when({ kind: 'cancel', run: 'r2' })
      .leadsTo({ kind: 'run.ended', data: { status: 'cancelled', reason: 'requested' } });
  });

  it('ends an active run only when nothing of it flies, and dispatches nothing more (P10)', () => {
    running()
      .given(answered('r1t1', [call('pure'), call('keyed'), call('unsafe'), ask]))
      .when({ kind: 'cancel', run: 'r1' })
      .leadsTo(
        'run.cancelling',
        'wait.resolved',
        { kind: 'call.settled', effect: 'r1t1c3', data: { outcome: 'cancelled' } },
        { kind: 'call.settled', effect: 'r1t1c2', data: { outcome: 'cancelled', attempt: 0 } },
      )
      .and((s) =>
        assert.deepEqual(
          outstanding(s.state).map(({ type, id }) => [type, id]),
          [
            ['abort', 'r1t1c0'],
            ['abort', 'r1t1c1'],
          ],
        ),
      )
      .when(returned('r1t1c0', 'failed', { code: 'aborted', retry: 'now' }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'failed' } })
      .when(returned('r1t1c1'))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'done' } }, 'run.ended');
  });

  it('again changes nothing; of a run that has ended it is refused', () => {
    running()
      .given({ kind: 'cancel', run: 'r1' })
      .when({ kind: 'cancel', run: 'r1' })
      .changesNothing()
      .given(answered('r1t1'))
      .when({ kind: 'cancel', run: 'r1' })
      .isRefused('invalid_state');
  });

  it('ends a held run too', () => {
    given(open(), send('one'), { kind: 'hold', run: 'r1' }, { kind: 'cancel', run: 'r1' })
      .when(failed('r1t1'))
      .leadsTo('turn.settled', 'run.ended');
  });

  it('keeps what the model answered meanwhile, and answers each call it asked for', () => {
    running()
      .given({ kind: 'cancel', run: 'r1' })
      .when(answered('r1t1', [call('unsafe'), ask]))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'done' } },
        'call.requested',
        { kind: 'call.settled', data: { outcome: 'cancelled', attempt: 0 } },
        'call.requested',
        { kind: 'call.settled', data: { outcome: 'cancelled', attempt: 0 } },
        { kind: 'run.ended', data: { status: 'cancelled', text: { digest: 'answer r1t1', seq: 6 } } },
      );
  });

  it('closes a question to a person as cancelled, and its answer then comes too late', () => {
    waiting()
      .given({ kind: 'cancel', run: 'r1' })
      .when(approve('w1'))
      .isRefused('wait_resolved')
      .when(resolve('w9', { kind: 'budget', decision: 'deny' }))
      .isRefused('not_found');
  });
});
