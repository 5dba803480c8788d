import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answered,
  approve,
  call,
  failed,
  gate,
  given,
  homeless,
  lost,
  open,
  parks,
  resolve,
  returned,
  send,
  Spec,
  unknown,
} from '@perdure/testkit/spec';
import type { Config, Entry } from './index.ts';
import { fold } from './machine.ts';
import { outstanding, wakeAt } from './outstanding.ts';
import type { Command } from './commands.ts';

const fork = (id = 'ses_2', over: { payload?: string; config?: Config } = {}): Command => ({
  kind: 'fork',
  id,
  tenant: 'default',
  payload: 'as it is',
  ...over,
});
const ended = { kind: 'run.ended', data: { status: 'cancelled', reason: 'fork' } } as const;
const asks = (effect: 'pure' | 'keyed' | 'unsafe') => call(effect, { decision: { verdict: 'ask' } });

describe('a fork', () => {
  it('goes on as a session of its own, from where the other one was', () => {
    given(open({ model: 'a' }), send('one'), answered('r1t1'))
      .when(fork())
      .leadsTo({ kind: 'session.forked', data: { id: 'ses_2', from: 'ses_1', seq: 6 } })
      .and(({ last, state }) => {
        assert.deepEqual(last.ok && last.receipt, { seq: 7 });
        assert.deepEqual([state.id, state.phase, state.config, state.lastRun], ['ses_2', 'open', { model: 'a' }, 1]);
      })
      .when(send('two'))
      .leadsTo({ kind: 'run.queued', run: 'r2' }, 'run.started', 'turn.requested');
  });

  it('of nothing is none', () => {
    given().when(fork()).isRefused('not_found');
  });

  it('does not take the key of the session it comes from', () => {
    const { state } = given({ kind: 'open', id: 'ses_1', tenant: 'default', agent: 'clerk', key: 'k' }, fork());
    assert.equal(state.key, null);
  });

  it('changes its configuration by a revision, and says where its instructions are', () => {
    given(open({ model: 'a', limits: { turns: 5 } }))
      .when(fork('ses_2', { config: { model: 'b', instructions: { digest: 'be brief', bytes: 8 } } }))
      .leadsTo('session.forked', { kind: 'session.configured', data: { revision: 2 } })
      .and(({ state, log }) => {
        assert.deepEqual(state.config, {
          model: 'b',
          limits: { turns: 5 },
          instructions: { digest: 'be brief', bytes: 8, seq: 3 },
        });
        assert.deepEqual(log[2]?.refs, ['be brief']);
      });
  });

  it('asked for again is the same one; asked for otherwise it is a conflict', () => {
    given(open(), send('one'), answered('r1t1'), fork())
      .when(fork())
      .changesNothing()
      .and(({ last }) => assert.deepEqual(last.ok && last.receipt, { seq: 7 }))
      .when(fork('ses_2', { payload: 'another place' }))
      .isRefused('submission_conflict');
  });

  it('knows no submission of its prefix, and the prefix answers none of its waits (F3)', () => {
    given(open(), send('one'), answered('r1t1', [asks('pure')]), approve('w1'), returned('r1t1c0'), answered('r1t2'))
      .given(fork())
      .when(approve('w1'))
      .isRefused('not_found')
      .when(send('one', { payload: 'something else' }))
      .leadsTo({ kind: 'run.queued', run: 'r2' }, 'run.started', 'turn.requested');
  });

  it('of a closed session, and of one that has moved, is open', () => {
    given(open(), { kind: 'close' }, fork(), send('one')).and(({ state }) => assert.equal(state.phase, 'open'));
    given(open(), { kind: 'move', to: 'elsewhere' }, fork(), send('one'));
  });
});

describe('what was open where a session was forked', () => {
  it('a queued run ends', () => {
    given(open(), send('one'), send('two'))
      .when(fork())
      .leadsTo(
        'session.forked',
        { kind: 'run.cancelling', run: 'r1', data: { reason: 'fork' } },
        'turn.settled',
        {
          ...ended,
          run: 'r2',
        },
        { ...ended, run: 'r1' },
      );
  });

  it('a turn that flies ends cancelled and costs the fork nothing (F2)', () => {
    const pin = { limits: { turns: 5, calls: 5, deadlineMs: 1e6, tokens: 50_000 } };
    new Spec({ pin })
      .given(open(), send('one'), answered('r1t1', [call()]), returned('r1t1c0'))
      .and(({ state }) => assert.ok(state.reserved.tokens > 0))
      .when(fork())
      .leadsTo('session.forked', 'run.cancelling', { kind: 'turn.settled', data: { outcome: 'cancelled' } }, ended)
      .and(({ state }) => {
        assert.deepEqual([state.reserved.tokens, state.spent.tokens], [0, 120], 'what the prefix spent is spent');
        assert.equal(outstanding(state).length, 0);
      });
  });

  it('a read that flies is cancelled; what may have happened is unknown (F2)', () => {
    given(open(), send('one'), answered('r1t1', [call(), call('keyed'), call('unsafe')]))
      .when(fork())
      .leadsTo(
        'session.forked',
        'run.cancelling',
        { kind: 'call.settled', effect: 'r1t1c0', data: { outcome: 'cancelled', code: 'fork' } },
        { kind: 'call.settled', effect: 'r1t1c1', data: { outcome: 'unknown', code: 'fork' } },
        { kind: 'call.settled', effect: 'r1t1c2', data: { outcome: 'cancelled', code: 'fork' } },
        ended,
      );
    given(open(), send('one'), answered('r1t1', [call('unsafe')]), gate('r1t1c0'))
      .when(fork())
      .leadsTo('session.forked', 'run.cancelling', { kind: 'call.settled', data: { outcome: 'unknown' } }, ended);
  });

  it('waits of every kind are closed, each with its call', () => {
    const parked: [Command[], string][] = [
      [[answered('r1t1', [asks('unsafe')])], 'cancelled'],
      [
        [answered('r1t1', [call()]), parks('r1t1c0', { kind: 'question', prompt: { digest: 'q', bytes: 1 } })],
        'cancelled',
      ],
      [[answered('r1t1', [call()]), parks('r1t1c0', { kind: 'timer', dueAt: 9_000 })], 'cancelled'],
      [[answered('r1t1', [call('keyed')]), parks('r1t1c0', { kind: 'callback' })], 'unknown'],
      [[answered('r1t1', [call('keyed')]), homeless('r1t1c0')], 'cancelled'],
      [[answered('r1t1', [call('unsafe')]), gate('r1t1c0'), unknown('r1t1c0')], 'unknown'],
      [[answered('r1t1', [call('unsafe', { verify: true })]), gate('r1t1c0'), unknown('r1t1c0')], 'unknown'],
    ];
    for (const [steps, outcome] of parked)
      given(open(), send('one'), ...steps)
        .when(fork())
        .and(({ last, state, log }) => {
          const settled = log.findLast((entry: Entry) => entry.kind === 'call.settled');
          assert.equal(settled?.kind === 'call.settled' && settled.data.outcome, outcome);
          assert.deepEqual([last.ok && last.entries.at(-1)?.kind, state.waits.size], ['run.ended', 0]);
          assert.equal(wakeAt(state), null);
        });
  });

  it('a budget that ran short ends with its run, and what was raised stays raised', () => {
    const spec = new Spec({ pin: { limits: { turns: 5, calls: 5, deadlineMs: 1e6, session: { tokens: 1_800 } } } });
    spec
      .given(open(), send('one'), answered('r1t1'), send('two', { message: { digest: 'long', bytes: 1_500 } }))
      .given(resolve('w1', { kind: 'budget', decision: 'raise', cap: { tokens: 9_000 } }))
      .when(fork())
      .and(({ state }) => assert.deepEqual(state.caps, { tokens: 9_000 }));
  });

  it('an attempt that was lost before is not forgotten: its call is unknown (F2)', () => {
    given(open(), send('one'), answered('r1t1', [call('keyed')]), { restart: true }, lost('r1t1c0'))
      .given(homeless('r1t1c0', 2))
      .when(fork())
      .leadsTo(
        'session.forked',
        'run.cancelling',
        'wait.resolved',
        {
          kind: 'call.settled',
          data: { outcome: 'unknown' },
        },
        ended,
      );
  });

  it('a run that was stopping already ends for the fork', () => {
    given(open(), send('one'), { kind: 'cancel', run: 'r1' })
      .when(fork())
      .leadsTo('session.forked', 'run.cancelling', 'turn.settled', ended);
    given(open(), send('one'), { kind: 'close' })
      .when(fork())
      .leadsTo('session.forked', 'run.cancelling', 'turn.settled', ended);
  });

  it('leaves a history that a provider takes', () => {
    given(open(), send('one'), answered('r1t1', [call('keyed'), call()]), fork())
      .when(send('two'))
      .leadsTo('run.queued', 'run.started', 'turn.requested')
      .and(({ state }) =>
        assert.deepEqual(
          state.context.items.map(({ kind }) => kind),
          ['message', 'turn', 'result', 'result', 'message'],
        ),
      );
  });
});

describe('a move', () => {
  it('seals the session, and says where it has gone', () => {
    given(open(), send('one'), answered('r1t1'))
      .when({ kind: 'move', to: 'the new machine' })
      .leadsTo({ kind: 'session.moved', data: { to: 'the new machine' } })
      .when({ kind: 'move', to: 'the new machine' })
      .changesNothing()
      .when(send('two'))
      .isRefused('session_closed')
      .and(({ last }) => assert.match(last.ok ? '' : last.rejection.message, /the new machine/));
  });

  it('waits until nothing flies: no outcome is lost on the way (F4)', () => {
    given(open(), send('one'))
      .when({ kind: 'move', to: 'x' })
      .isRefused('invalid_state')
      .given({ kind: 'hold', run: 'r1' }, answered('r1t1', [call()]))
      .given({ kind: 'move', to: 'x' });
    given(open(), send('one'), answered('r1t1', [asks('unsafe')])).given({ kind: 'move', to: 'x' });
    given(open(), { kind: 'close' }).when({ kind: 'move', to: 'x' }).isRefused('session_closed');
    given().when({ kind: 'move', to: 'x' }).isRefused('not_found');
  });

  it('goes on where it arrives, once, with its runs and waits', () => {
    given(open(), send('one'), answered('r1t1', [asks('keyed')]), { kind: 'move', to: 'x' })
      .when({ kind: 'arrive' })
      .leadsTo({ kind: 'session.arrived', data: { epoch: 1 } })
      .when({ kind: 'arrive' })
      .isRefused('invalid_state')
      .when(approve('w1'))
      .leadsTo('wait.resolved')
      .and(({ state }) => assert.deepEqual(outstanding(state)[0]?.type, 'call'));
  });

  it('what had leave to fly has it from whoever drives it there, whatever epoch that counts', () => {
    const spec = given(open(), { restart: true }, send('one'), { kind: 'hold', run: 'r1' });
    spec.given(answered('r1t1', [call('keyed')]), { kind: 'move', to: 'x' });
    spec.epoch = 1;
    spec.given({ kind: 'arrive' }, { kind: 'release', run: 'r1' });
    assert.partialDeepStrictEqual(outstanding(spec.state), [{ type: 'call', id: 'r1t1c0', attempt: 1, epoch: 1 }]);
  });

  it('keeps its submissions and its failures: it is the same session', () => {
    given(open(), send('one'), failed('r1t1', { retry: 'no' }), { kind: 'move', to: 'x' }, { kind: 'arrive' })
      .when(send('one'))
      .changesNothing();
  });
});

it('a log with forks and moves folds to the state that wrote it', () => {
  const { state, log } = given(
    open(),
    send('one'),
    fork(),
    { kind: 'move', to: 'x' },
    { kind: 'arrive' },
    fork('ses_3'),
  );
  assert.deepEqual(fold(log), state);
  assert.deepEqual(state.forked, { from: 'ses_2', seq: 10, payload: 'as it is', receipt: { seq: 11 } });
});
