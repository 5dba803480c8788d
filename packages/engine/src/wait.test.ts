import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answered,
  approve,
  call,
  deny,
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
  wake,
} from '@perdure/testkit/spec';
import type { RuledCall, ToolWait } from './commands.ts';
import { outstanding, wakeAt } from './outstanding.ts';

const asking = (...calls: RuledCall[]) => given(open(), send('one'), answered('r1t1', calls));
const toAsk = (over: Partial<RuledCall> = {}, expiresAt?: number) =>
  call('unsafe', { decision: { verdict: 'ask', ...(expiresAt === undefined ? {} : { expiresAt }) }, ...over });
const parked = (wait: ToolWait, kind: 'pure' | 'keyed' = 'pure') => asking(call(kind)).given(parks('r1t1c0', wait));
const question = { kind: 'question', prompt: { digest: 'which one?', bytes: 10 } } as const;
const yes = { digest: 'yes', bytes: 3 };
const receipt = (spec: Spec) => spec.last.ok && spec.last.receipt;

describe('an approval', () => {
  it('is asked for what the model wrote, by digest, and parks only its call', () => {
    asking(toAsk(), call())
      .and((s) =>
        assert.deepEqual(
          outstanding(s.state).map(({ id }) => id),
          ['r1t1c1'],
        ),
      )
      .leadsTo(
        'turn.settled',
        'call.requested',
        { kind: 'wait.opened', effect: 'r1t1c0', data: { kind: 'approval', digest: 'arguments' } },
        'call.requested',
      );
  });

  it('lets the call go ahead, through the gate', () => {
    asking(toAsk())
      .when(approve('w1'))
      .leadsTo({ kind: 'wait.resolved', data: { how: 'answered', epoch: 1 } })
      .when(gate('r1t1c0'))
      .leadsTo('call.attempted');
  });

  it('names the first attempt of what needs no gate: its process may die before it flew', () => {
    asking(toAsk({ class: 'keyed' }))
      .given({ restart: true }, approve('w1'))
      .and((s) => assert.equal(outstanding(s.state)[0]?.type, 'call'))
      .when(lost('r1t1c0'))
      .changesNothing()
      .given({ restart: true })
      .when(lost('r1t1c0'))
      .leadsTo({ kind: 'call.attempted', data: { n: 2 } });
  });

  it('denied answers the call, with the note of who denied it', () => {
    asking(toAsk())
      .when(
        resolve('w1', {
          kind: 'approval',
          decision: 'deny',
          digest: 'arguments',
          note: { digest: 'too dear', bytes: 8 },
        }),
      )
      .leadsTo(
        { kind: 'wait.resolved', data: { how: 'answered' } },
        {
          kind: 'call.settled',
          data: { outcome: 'denied', code: 'denied', attempt: 0, result: { digest: 'too dear' } },
        },
        'turn.requested',
      )
      .and((s) => {
        const resolved = s.log.find((entry) => entry.kind === 'wait.resolved');
        assert.deepEqual(
          Object.keys(resolved?.data ?? {}),
          ['wait', 'how', 'answer', 'digest'],
          'a denial lets nobody dispatch',
        );
      });
  });

  it('of something else than what is asked is refused (W2, P14)', () => {
    asking(toAsk())
      .when(approve('w1', 'other'))
      .isRefused('invalid_request')
      .when(deny('w1', 'other'))
      .isRefused('invalid_request');
  });

  it('of edited arguments runs those, by their digest; both are on record', () => {
    const edited = { digest: 'edited', ref: { digest: 'edited body', bytes: 20 } };
    asking(toAsk())
      .when(resolve('w1', { kind: 'approval', decision: 'approve', digest: 'arguments', edited }))
      .leadsTo({ kind: 'wait.resolved', data: { answer: { digest: 'arguments', edited } } })
      .and((s) => {
        const [edit] = s.state.runs.get('r1')?.asked ?? [];
        assert.equal(edit?.digest, 'edited');
        assert.deepEqual(edit?.arguments, { at: 'edit', body: { ...edited.ref, seq: s.state.head } });
        assert.deepEqual(s.log.at(-1)?.refs, ['edited body']);
      });
  });

  it('is used once: the same again gets the same receipt, another one a conflict (W1)', () => {
    const spec = asking(toAsk()).given(approve('w1'));
    const first = receipt(spec);
    assert.deepEqual(first, { seq: spec.state.head, run: 'r1', wait: 'w1' });
    spec.when(approve('w1')).changesNothing();
    assert.deepEqual(receipt(spec), first);
    spec.when(deny('w1')).isRefused('wait_resolved').given(gate('r1t1c0'), returned('r1t1c0'));
    spec.when(approve('w1')).changesNothing().when(gate('r1t1c0')).changesNothing();
  });

  it('that nobody gave in time is a denial', () => {
    asking(toAsk({}, 5_000))
      .and((s) => assert.equal(wakeAt(s.state), 5_000))
      .given({ pass: 3_999 })
      .when(wake)
      .changesNothing()
      .given({ pass: 1 })
      .when(approve('w1'))
      .isRefused('wait_resolved')
      .when(wake)
      .leadsTo(
        { kind: 'wait.resolved', data: { how: 'expired' } },
        { kind: 'call.settled', data: { outcome: 'denied', code: 'expired' } },
        'turn.requested',
      )
      .when(approve('w1'))
      .isRefused('wait_resolved');
  });

  it('has a number of its own for each call that needs one', () => {
    asking(toAsk(), call(), toAsk())
      .given(approve('w2'))
      .and((s) => assert.deepEqual([...s.state.waits.keys()], ['w1']))
      .and((s) => assert.equal(s.state.waits.get('w1')?.call, 'r1t1c0'));
  });
});

describe('a question', () => {
  it('is answered by a person: the answer is the result of its call', () => {
    parked(question)
      .leadsTo({ kind: 'wait.opened', effect: 'r1t1c0', refs: ['which one?'], data: { kind: 'question' } } as never)
      .when(resolve('w1', { kind: 'question', ref: yes }))
      .leadsTo(
        'wait.resolved',
        { kind: 'call.settled', data: { outcome: 'done', attempt: 1, result: yes } },
        'turn.requested',
      )
      .and((s) => assert.deepEqual(s.log.find(({ kind }) => kind === 'wait.resolved')?.refs, ['yes']));
  });

  it('takes no answer of another kind', () => {
    parked(question).when(approve('w1')).isRefused('invalid_request');
  });

  it('that nobody answered in time has failed', () => {
    parked({ ...question, expiresAt: 2_000 })
      .given({ pass: 1_000 })
      .when(wake)
      .leadsTo(
        'wait.resolved',
        { kind: 'call.settled', data: { outcome: 'failed', code: 'expired' } },
        'turn.requested',
      );
  });

  it('is not answered by the tool that asked it', () => {
    parked(question).when(returned('r1t1c0')).changesNothing().when(parks('r1t1c0', question)).changesNothing();
  });

  it('is answered by an earlier attempt that was done after all', () => {
    asking(call('keyed'))
      .given({ restart: true }, lost('r1t1c0'), { ...parks('r1t1c0', question), attempt: 2 } as never)
      .when(returned('r1t1c0'))
      .leadsTo(
        { kind: 'wait.resolved', data: { how: 'cancelled' } },
        { kind: 'call.settled', data: { attempt: 1, outcome: 'done' } },
        'turn.requested',
      )
      .when({ ...returned('r1t1c0', 'done', { attempt: 2 }) })
      .changesNothing();
  });
});

describe('a timer', () => {
  it('is what the session wakes for, and done when it comes due', () => {
    parked({ kind: 'timer', dueAt: 9_000 })
      .and((s) => assert.equal(wakeAt(s.state), 9_000))
      .when(wake)
      .changesNothing()
      .given({ pass: 8_000 })
      .when(wake)
      .leadsTo('wait.resolved', { kind: 'call.settled', data: { outcome: 'done', code: 'timer' } }, 'turn.requested');
  });

  it('that came due stays due when the clock is set back', () => {
    const spec = parked({ kind: 'timer', dueAt: 2_000 }).given({ pass: 1_500 }, { kind: 'hold', run: 'r1' });
    spec.at = 5;
    spec.when(wake).leadsTo('wait.resolved', 'call.settled');
  });

  it('beside others resolves with them in one append', () => {
    asking(call(), call())
      .given(parks('r1t1c0', { kind: 'timer', dueAt: 2_000 }), parks('r1t1c1', { kind: 'timer', dueAt: 3_000 }), {
        pass: 5_000,
      })
      .when(wake)
      .leadsTo('wait.resolved', 'call.settled', 'wait.resolved', 'call.settled', 'turn.requested');
  });

  it('that comes due with the deadline is closed by it: no other turn begins', () => {
    given(open({ limits: { deadlineMs: 1_000 } }), send('one'), answered('r1t1', [call()]))
      .given(parks('r1t1c0', { kind: 'timer', dueAt: 1_500 }), { pass: 1_000 })
      .when(wake)
      .leadsTo('run.limited', { kind: 'wait.resolved', data: { how: 'cancelled' } }, 'call.settled', {
        kind: 'turn.requested',
        data: { closing: 'deadline' },
      });
  });
});

describe('a callback', () => {
  it('is the result of its call when it comes', () => {
    parked({ kind: 'callback' }, 'keyed')
      .when(resolve('w1', { kind: 'callback', ref: yes }))
      .leadsTo('wait.resolved', { kind: 'call.settled', data: { outcome: 'done', result: yes } }, 'turn.requested');
  });

  it('that never came is a failure of a read, and unknown of all else (P6)', () => {
    for (const [kind, outcome] of [
      ['pure', 'failed'],
      ['keyed', 'unknown'],
    ] as const) {
      parked({ kind: 'callback', expiresAt: 2_000 }, kind)
        .given({ pass: 1_000 })
        .when(wake)
        .leadsTo('wait.resolved', { kind: 'call.settled', data: { outcome, code: 'expired' } }, 'turn.requested');
    }
  });
});

describe('the outcome of an effect that nobody knows', () => {
  const unsure = () => asking(call('unsafe')).given(gate('r1t1c0'), { restart: true }, lost('r1t1c0'));

  for (const outcome of ['done', 'failed'] as const) {
    it(`is ${outcome} when a person says so`, () => {
      unsure()
        .when(resolve('w1', { kind: 'outcome', outcome, ref: yes }))
        .leadsTo(
          'wait.resolved',
          { kind: 'call.settled', data: { outcome, code: 'by_person', result: yes } },
          'turn.requested',
        );
    });
  }

  it('does not expire', () => {
    unsure().given({ pass: 1_000_000 }).when(wake).changesNothing();
  });
});

describe('a tool that is not here', () => {
  it('parks its call until it is back: then the call flies under its next attempt', () => {
    asking(call('unsafe'))
      .given(gate('r1t1c0'))
      .when(homeless('r1t1c0'))
      .leadsTo({ kind: 'wait.opened', data: { kind: 'tool' } })
      .when(resolve('w1', { kind: 'tool', decision: 'back' }))
      .leadsTo('wait.resolved', { kind: 'call.attempted', data: { n: 2, reason: 'tool back' } })
      .when(returned('r1t1c0', 'failed', { attempt: 2 }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'failed' } }, 'turn.requested');
  });

  it('and is gone for good has failed, unless an attempt before was never heard of', () => {
    asking(call('keyed'))
      .given(homeless('r1t1c0'))
      .when(resolve('w1', { kind: 'tool', decision: 'gone' }))
      .leadsTo(
        'wait.resolved',
        { kind: 'call.settled', data: { outcome: 'failed', code: 'tool_gone' } },
        'turn.requested',
      );
    asking(call('keyed'))
      .given({ restart: true }, lost('r1t1c0'), homeless('r1t1c0', 2))
      .when(resolve('w1', { kind: 'tool', decision: 'gone' }))
      .leadsTo(
        'wait.resolved',
        { kind: 'call.settled', data: { outcome: 'unknown', code: 'tool_gone' } },
        'turn.requested',
      );
  });
});

it('a wait that is not there is not found', () => {
  given(open()).when(approve('w1')).isRefused('not_found');
});
