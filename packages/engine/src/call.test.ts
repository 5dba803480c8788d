import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answered,
  call,
  gate,
  given,
  homeless,
  lost,
  open,
  parks,
  resolve,
  returned,
  send,
  type Spec,
  unknown,
} from '@perdure/testkit/spec';
import type { Command, RuledCall } from './commands.ts';
import { LIMITS } from './limits.ts';
import { outstanding } from './outstanding.ts';

const asking = (...calls: RuledCall[]) => given(open(), send('one'), answered('r1t1', calls));
const effects = (spec: Spec) => outstanding(spec.state).map(({ type, id }) => `${type} ${id}`);
const attempts = (spec: Spec) => spec.log.filter((entry) => entry.kind === 'call.attempted');
const verifiable = call('unsafe', { verify: true });

describe('calls of a turn', () => {
  it('fly at once when pure; the others one after another, in the order the model asked (K4)', () => {
    asking(call('pure'), call('keyed'), call('pure'), call('keyed'), call('unsafe'))
      .and((s) => assert.deepEqual(effects(s), ['call r1t1c0', 'call r1t1c1', 'call r1t1c2']))
      .given(returned('r1t1c1'))
      .and((s) => assert.deepEqual(effects(s), ['call r1t1c0', 'call r1t1c2', 'call r1t1c3']))
      .given(returned('r1t1c3'), returned('r1t1c2'))
      .and((s) => assert.deepEqual(effects(s), ['call r1t1c0', 'gate r1t1c4']))
      .given(gate('r1t1c4'), returned('r1t1c4'))
      .when(returned('r1t1c0'))
      .leadsTo('call.settled', 'turn.requested');
  });

  it('wait behind one that a person must allow, unless they are pure', () => {
    asking(call('keyed', { decision: { verdict: 'ask' } }), call('keyed'), call('pure')).and((s) =>
      assert.deepEqual(effects(s), ['call r1t1c2']),
    );
  });

  it('that a policy denies, or that make no sense, are answered at once and do not stop their siblings', () => {
    asking(
      call('unsafe', { decision: { verdict: 'deny' } }),
      call('unsafe', { decision: { verdict: 'deny', result: { digest: 'why', bytes: 3 } } }),
      call('unsafe', {
        decision: { verdict: 'invalid', code: 'unknown_tool', result: { digest: 'no such tool', bytes: 9 } },
      }),
      call('unsafe'),
    )
      .leadsTo(
        'turn.settled',
        'call.requested',
        { kind: 'call.settled', data: { outcome: 'denied', code: 'policy', attempt: 0 } },
        'call.requested',
        { kind: 'call.settled', data: { outcome: 'denied', code: 'policy', result: { digest: 'why' } } },
        'call.requested',
        { kind: 'call.settled', data: { outcome: 'failed', code: 'unknown_tool', result: { digest: 'no such tool' } } },
        'call.requested',
      )
      .and((s) => assert.deepEqual(effects(s), ['gate r1t1c3']));
  });

  it('that are all answered at once lead to the next turn in the same append', () => {
    asking(call('pure', { decision: { verdict: 'deny' } })).leadsTo(
      'turn.settled',
      'call.requested',
      'call.settled',
      'turn.requested',
    );
  });
});

describe('an unsafe call', () => {
  it('is dispatched only after its own entry, whose writer alone dispatches (K2)', () => {
    asking(call('unsafe'))
      .and((s) => assert.deepEqual(effects(s), ['gate r1t1c0']))
      .when(gate('r1t1c0'))
      .leadsTo({ kind: 'call.attempted', data: { n: 1, reason: 'gate', epoch: 1 } })
      .given({ restart: true })
      .when(gate('r1t1c0'))
      .changesNothing();
  });

  it('gets no leave before its turn, while held, when the run stops, or when it is not unsafe', () => {
    asking(call('keyed'), call('unsafe'))
      .when(gate('r1t1c1'))
      .changesNothing()
      .when(gate('r1t1c0'))
      .changesNothing()
      .when(gate('r1t1'))
      .changesNothing()
      .given(returned('r1t1c0'), { kind: 'hold', run: 'r1' })
      .when(gate('r1t1c1'))
      .changesNothing()
      .given({ kind: 'cancel', run: 'r1' })
      .when(gate('r1t1c1'))
      .changesNothing();
  });

  it('is not lost because a process says so that was replaced', () => {
    asking(call('keyed'))
      .given({ restart: true }, lost('r1t1c0'))
      .and((s) => {
        s.epoch -= 1;
      })
      .when(lost('r1t1c0', 2))
      .changesNothing();
  });

  it('lost with its process is unknown: a person is asked (K3)', () => {
    asking(call('unsafe'))
      .given(gate('r1t1c0'), { restart: true })
      .when(lost('r1t1c0'))
      .leadsTo(
        { kind: 'call.unknown', data: { attempt: 1, reason: 'lost' } },
        {
          kind: 'wait.opened',
          effect: 'r1t1c0',
          data: { kind: 'outcome', call: 'r1t1c0' },
        },
      );
  });

  it('lost with its process is unknown: its tool is asked where it can tell', () => {
    asking(verifiable)
      .given(gate('r1t1c0'), { restart: true })
      .when(lost('r1t1c0'))
      .leadsTo('call.unknown')
      .and((s) => assert.deepEqual(effects(s), ['verify r1t1c0']))
      .when(returned('r1t1c0', 'failed', { attempt: 2 }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'failed', attempt: 2 } }, 'turn.requested');
  });

  it('whose tool is asked is not answered by a doubled delivery, and is by its own outcome', () => {
    const verifying = () => asking(verifiable).given(gate('r1t1c0'), unknown('r1t1c0'));
    verifying()
      .when(unknown('r1t1c0'))
      .changesNothing()
      .when(returned('r1t1c0', 'failed'))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'failed', attempt: 1 } }, 'turn.requested');
    verifying()
      .given(unknown('r1t1c0', 2))
      .when(returned('r1t1c0', 'done'))
      .leadsTo('wait.resolved', { kind: 'call.settled', data: { outcome: 'done', attempt: 1 } }, 'turn.requested');
  });

  it('whose tool cannot tell either, or is gone, is put to a person', () => {
    for (const answer of [unknown('r1t1c0', 2), homeless('r1t1c0', 2)]) {
      asking(verifiable)
        .given(gate('r1t1c0'), { restart: true }, lost('r1t1c0'))
        .when(answer)
        .leadsTo({ kind: 'wait.opened', data: { kind: 'outcome' } });
    }
  });

  it('whose question was lost with its process is asked about again', () => {
    asking(verifiable)
      .given(gate('r1t1c0'), { restart: true }, lost('r1t1c0'), { restart: true })
      .when(lost('r1t1c0', 2))
      .leadsTo({ kind: 'call.unknown', data: { reason: 'verify lost', epoch: 3 } })
      .when(returned('r1t1c0', 'done', { attempt: 3 }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'done' } }, 'turn.requested');
  });

  it('that timed out is unknown, never failed', () => {
    asking(call('unsafe')).given(gate('r1t1c0')).when(unknown('r1t1c0')).leadsTo('call.unknown', 'wait.opened');
  });

  it('that failed is not tried again by us', () => {
    asking(call('unsafe'))
      .given(gate('r1t1c0'))
      .when(returned('r1t1c0', 'failed', { retry: 'now' }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'failed' } }, 'turn.requested');
  });

  it('repeated by a person has its own entry, and if that fails it stays unknown: the first may have happened (P6)', () => {
    asking(call('unsafe'))
      .given(gate('r1t1c0'), { restart: true }, lost('r1t1c0'))
      .when(resolve('w1', { kind: 'outcome', outcome: 'retry' }))
      .leadsTo('wait.resolved', { kind: 'call.attempted', data: { n: 2, reason: 'person', epoch: 2 } })
      .when(returned('r1t1c0', 'failed', { attempt: 2 }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'unknown', attempt: 2 } }, 'turn.requested');
  });
});

describe('a keyed call', () => {
  it('lost with its process runs again, at once and for no retry, under the next attempt', () => {
    const spec = asking(call('keyed'));
    for (let n = 1; n <= LIMITS.retriesPerRun + LIMITS.attempts; n += 1) {
      spec
        .given({ restart: true })
        .when(lost('r1t1c0', n))
        .leadsTo({ kind: 'call.attempted', data: { n: n + 1, reason: 'lost', epoch: n + 1 } });
    }
    spec
      .when(returned('r1t1c0', 'done', { attempt: 26 }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'done' } }, 'turn.requested');
  });

  it('that timed out may have happened: it is asked again with a backoff, and says so (K3)', () => {
    asking(call('keyed'))
      .when(unknown('r1t1c0'))
      .leadsTo(
        { kind: 'call.unknown', data: { attempt: 1, reason: 'timeout' } },
        { kind: 'call.attempted', data: { n: 2 } },
      )
      .and((s) => assert.ok((attempts(s)[0]?.data.notBefore ?? 0) > s.at));
  });

  it('that times out again and again is unknown in the end, never failed', () => {
    const spec = asking(call('keyed'));
    for (let n = 1; n < LIMITS.attempts; n += 1) spec.given(unknown('r1t1c0', n));
    spec
      .when(unknown('r1t1c0', LIMITS.attempts))
      .leadsTo('call.unknown', { kind: 'wait.opened', data: { kind: 'outcome' } });
  });

  it('that failed before it could be heard once is unknown when it fails again (P6)', () => {
    asking(call('keyed'))
      .given({ restart: true }, lost('r1t1c0'))
      .when(returned('r1t1c0', 'failed', { attempt: 2 }))
      .leadsTo(
        { kind: 'call.settled', data: { outcome: 'unknown', result: { digest: 'result r1t1c0 2' } } },
        'turn.requested',
      );
  });

  it('that a rule denies before it flies again is unknown: the first may have happened (P6)', () => {
    const denied = (n: number): Command => ({
      kind: 'settle',
      effect: 'r1t1c0',
      attempt: n,
      outcome: { type: 'call-denied', rule: 'deny pay', policy: 'documents', result: { digest: 'why', bytes: 3 } },
    });
    const data = { code: 'policy', rule: 'deny pay', policy: 'documents', result: { digest: 'why' } };
    asking(call('keyed', { taint: ['web'] }))
      .when(denied(1))
      .leadsTo({ kind: 'call.settled', data: { ...data, outcome: 'denied', attempt: 1 } }, 'turn.requested')
      .and((s) => {
        const settled = s.log.find(({ kind }) => kind === 'call.settled');
        assert.deepEqual(settled?.refs, ['why', 'documents']);
        assert.deepEqual(s.state.context.taint, [], 'what it is told are our own words');
      })
      .when(denied(1))
      .leadsTo();
    asking(call('keyed'))
      .given({ restart: true }, lost('r1t1c0'))
      .when(denied(2))
      .leadsTo({ kind: 'call.settled', data: { ...data, outcome: 'unknown', attempt: 2 } }, 'turn.requested');
    asking(call('pure'))
      .given({ restart: true }, lost('r1t1c0'))
      .when(denied(2))
      .leadsTo({ kind: 'call.settled', data: { ...data, outcome: 'denied', attempt: 2 } }, 'turn.requested');
  });

  it('has failed when all its attempts were heard to fail, also late', () => {
    asking(call('keyed'))
      .given({ restart: true }, lost('r1t1c0'))
      .when(returned('r1t1c0', 'failed'))
      .leadsTo({ kind: 'effect.late', data: { attempt: 1, outcome: 'failed' } })
      .when(returned('r1t1c0', 'failed'))
      .changesNothing()
      .when(returned('r1t1c0', 'failed', { attempt: 2 }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'failed' } }, 'turn.requested');
  });
});

describe('a pure call', () => {
  it('lost with its process runs again', () => {
    asking(call('pure'))
      .given({ restart: true })
      .when(lost('r1t1c0'))
      .leadsTo({ kind: 'call.attempted', data: { n: 2 } });
  });

  it('that nobody heard of is read again, and has failed in the end: a read changes nothing', () => {
    const spec = asking(call('pure'));
    for (let n = 1; n < LIMITS.attempts; n += 1) spec.given(unknown('r1t1c0', n));
    spec
      .when(unknown('r1t1c0', LIMITS.attempts))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'failed', code: 'timeout' } }, 'turn.requested');
  });
});

it('the calls of all turns of a run count towards its limit', () => {
  given(open({ limits: { calls: 2 } }), send('one'), answered('r1t1', [call()]), returned('r1t1c0'))
    .when(answered('r1t2', [call(), call()]))
    .leadsTo('turn.settled', 'call.requested', 'call.requested', {
      kind: 'call.settled',
      effect: 'r1t2c1',
      data: { code: 'call_limit' },
    });
});

it('the retries of all calls of a run count towards its budget of retries', () => {
  const rounds = LIMITS.retriesPerRun / (LIMITS.attempts - 1);
  const spec = given(open(), send('one'));
  for (let turn = 1; turn <= rounds; turn += 1) {
    spec.given(answered(`r1t${turn}`, [call()]));
    for (let n = 1; n < LIMITS.attempts; n += 1)
      spec.given(returned(`r1t${turn}c0`, 'failed', { attempt: n, retry: 'now' }));
    spec.given(returned(`r1t${turn}c0`, 'done', { attempt: LIMITS.attempts }));
  }
  spec.given(answered(`r1t${rounds + 1}`, [call()]));
  spec
    .when(returned(`r1t${rounds + 1}c0`, 'failed', { retry: 'now' }))
    .leadsTo({ kind: 'call.settled', data: { outcome: 'failed' } }, 'turn.requested');
});

describe('a call that failed and may be tried again', () => {
  for (const kind of ['pure', 'keyed'] as const) {
    it(`has its backoff, its limit of attempts, and then its failure as outcome (${kind})`, () => {
      const spec = asking(call(kind));
      for (let n = 1; n < LIMITS.attempts; n += 1) {
        spec
          .when(returned('r1t1c0', 'failed', { attempt: n, code: 'busy', retry: 'now' }))
          .leadsTo(
            { kind: 'call.failed', data: { attempt: n, code: 'busy' } },
            { kind: 'call.attempted', data: { n: n + 1 } },
          );
      }
      spec
        .when(returned('r1t1c0', 'failed', { attempt: LIMITS.attempts, code: 'busy', retry: 'now' }))
        .leadsTo({ kind: 'call.settled', data: { outcome: 'failed', code: 'busy' } }, 'turn.requested');
    });
  }

  it('is tried again once when its failure is delivered twice', () => {
    asking(call('keyed'))
      .given(returned('r1t1c0', 'failed', { retry: { afterMs: 5_000 } }))
      .and((s) => assert.equal(attempts(s)[0]?.data.notBefore, s.at + 5_000))
      .when(returned('r1t1c0', 'failed', { retry: 'now' }))
      .changesNothing()
      .when(unknown('r1t1c0'))
      .changesNothing()
      .when(parks('r1t1c0', { kind: 'timer', dueAt: 1 }))
      .changesNothing()
      .when(homeless('r1t1c0'))
      .changesNothing();
  });
});

describe('the outcome of a call', () => {
  it('is the first one recorded: another one changes nothing (K1)', () => {
    asking(call('pure'), call('pure'))
      .given(returned('r1t1c0'))
      .when(returned('r1t1c0', 'failed'))
      .changesNothing()
      .when(unknown('r1t1c0'))
      .changesNothing()
      .when(returned('r1t1c0', 'done', { attempt: 7 }))
      .changesNothing();
  });

  it('is that of an earlier attempt, when that one comes first; the later one is evidence', () => {
    asking(call('keyed'), call('pure'))
      .given({ restart: true }, lost('r1t1c0'))
      .when(returned('r1t1c0'))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'done', attempt: 1 } })
      .when(returned('r1t1c0', 'done', { attempt: 2 }))
      .leadsTo({ kind: 'effect.late', data: { attempt: 2, outcome: 'done', result: { digest: 'result r1t1c0 2' } } })
      .when(returned('r1t1c0', 'done', { attempt: 2 }))
      .changesNothing();
  });

  it('answers the question that a person was asked about it', () => {
    for (const outcome of ['done', 'failed'] as const) {
      asking(call('unsafe'))
        .given(gate('r1t1c0'), { restart: true }, lost('r1t1c0'))
        .when(returned('r1t1c0', outcome))
        .leadsTo(
          { kind: 'wait.resolved', data: { wait: 'w1', how: 'cancelled' } },
          { kind: 'call.settled', data: { outcome, attempt: 1 } },
          'turn.requested',
        )
        .when(resolve('w1', { kind: 'outcome', outcome: 'done' }))
        .isRefused('wait_resolved');
    }
  });

  it('that comes after a person has spoken is evidence, once', () => {
    asking(call('unsafe'))
      .given(gate('r1t1c0'), { restart: true }, lost('r1t1c0'))
      .when(resolve('w1', { kind: 'outcome', outcome: 'failed' }))
      .leadsTo(
        'wait.resolved',
        { kind: 'call.settled', data: { outcome: 'failed', code: 'by_person', attempt: 0 } },
        'turn.requested',
      )
      .when(returned('r1t1c0'))
      .leadsTo({ kind: 'effect.late', data: { attempt: 1, outcome: 'done' } })
      .when(returned('r1t1c0'))
      .changesNothing();
  });

  it('that comes after its run has ended is evidence, once', () => {
    asking(call('keyed'))
      .given({ kind: 'cancel', run: 'r1' }, { restart: true }, lost('r1t1c0'))
      .when(returned('r1t1c0'))
      .leadsTo({ kind: 'effect.late', run: 'r1', data: { outcome: 'done' } })
      .when(returned('r1t1c0'))
      .changesNothing();
  });

  it('does not come from a call that nobody has allowed', () => {
    asking(call('unsafe', { decision: { verdict: 'ask' } }), call('unsafe'))
      .when(returned('r1t1c0'))
      .changesNothing()
      .when(returned('r1t1c1'))
      .changesNothing();
  });
});

describe('when a run stops, a call that', () => {
  const cancelled = (calls: RuledCall[], ...before: Parameters<Spec['given']>) =>
    asking(...calls).given(...before, { kind: 'cancel', run: 'r1' });

  it('flies and is lost is cancelled when pure, unknown when it may have happened', () => {
    for (const [kind, outcome] of [
      ['pure', 'cancelled'],
      ['keyed', 'unknown'],
    ] as const) {
      cancelled([call(kind)], { restart: true })
        .when(lost('r1t1c0'))
        .leadsTo({ kind: 'call.settled', data: { outcome, attempt: 0 } }, 'run.ended');
    }
    cancelled([call('unsafe')], gate('r1t1c0'), { restart: true })
      .when(lost('r1t1c0'))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'unknown' } }, 'run.ended');
  });

  it('cannot be stopped in time ends as it ends, and is not tried again', () => {
    cancelled([call('keyed')])
      .when(unknown('r1t1c0'))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'unknown' } }, 'run.ended');
    cancelled([call('pure')])
      .when(unknown('r1t1c0'))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'cancelled' } }, 'run.ended');
    cancelled([call('pure')])
      .when(parks('r1t1c0', { kind: 'callback' }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'cancelled' } }, 'run.ended');
    cancelled([call('pure')])
      .when(homeless('r1t1c0'))
      .leadsTo('wait.opened', 'wait.resolved', { kind: 'call.settled', data: { outcome: 'cancelled' } }, 'run.ended');
  });

  it('is unknown stays unknown', () => {
    for (const verify of [true, false]) {
      asking(call('unsafe', { verify }))
        .given(gate('r1t1c0'), { restart: true }, lost('r1t1c0'), { kind: 'cancel', run: 'r1' })
        .and((s) => {
          const settled = s.log.find((entry) => entry.kind === 'call.settled');
          assert.deepEqual([settled?.data.outcome, settled?.data.attempt], ['unknown', 0]);
          assert.equal(s.log.at(-1)?.kind, 'run.ended');
        })
        .when(returned('r1t1c0'))
        .leadsTo('effect.late');
    }
  });

  it('began something it was to be told about is unknown unless it only read', () => {
    for (const [kind, outcome] of [
      ['pure', 'cancelled'],
      ['keyed', 'unknown'],
    ] as const) {
      cancelled([call(kind)], parks('r1t1c0', { kind: 'callback' })).and((s) => {
        const settled = s.log.find((entry) => entry.kind === 'call.settled');
        assert.equal(settled?.data.outcome, outcome);
      });
      cancelled([call(kind)])
        .when(parks('r1t1c0', { kind: 'callback' }))
        .leadsTo({ kind: 'call.settled', data: { outcome } }, 'run.ended');
    }
  });

  it('asked a person is cancelled, unless an attempt before it was never heard of', () => {
    const question = parks('r1t1c0', { kind: 'question', prompt: { digest: 'which one?', bytes: 10 } });
    cancelled([call('keyed')], question).and((s) => {
      assert.equal(s.log.find((entry) => entry.kind === 'call.settled')?.data.outcome, 'cancelled');
    });
    const again = { ...question, attempt: 2 } as typeof question;
    cancelled([call('keyed')], { restart: true }, lost('r1t1c0'), again).and((s) => {
      assert.equal(s.log.find((entry) => entry.kind === 'call.settled')?.data.outcome, 'unknown');
    });
  });
});
