import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answered, approve, call, failed, given, open, send, Spec, wake } from '@perdure/testkit/spec';
import { LIMITS } from './limits.ts';
import { transition } from './machine.ts';
import { outstanding, wakeAt } from './outstanding.ts';

const slot = (key: string, digest = key) => ({ kind: 'remember', key, ref: { digest, bytes: 5 } }) as const;
const changed = (workspace: string, after = 't1') =>
  ({ kind: 'changed', effect: 'r1t1c0', changes: [{ workspace, before: 't0', after }] }) as const;
const opening = { id: 'ses_1', tenant: 'default', agent: 'clerk' };

describe('a session', () => {
  it('is opened once (S1)', () => {
    given()
      .when(open({ instructions: { digest: 'be brief', bytes: 8 } }))
      .leadsTo('session.opened')
      .and((s) => assert.deepEqual(s.log[0]?.refs, ['be brief']))
      .when(open())
      .changesNothing()
      .and((s) => assert.deepEqual(s.last.ok && s.last.receipt, { seq: 1 }));
  });

  it('is what it was opened as', () => {
    const { state } = given({ kind: 'open', id: 'ses_9', tenant: 't', agent: 'a', key: 'k' });
    const { id, tenant, agent, key, createdAt, revision, phase } = state;
    assert.deepEqual(
      { id, tenant, agent, key, createdAt, revision, phase },
      { id: 'ses_9', tenant: 't', agent: 'a', key: 'k', createdAt: 1_000, revision: 1, phase: 'open' },
    );
    assert.equal(given(open()).state.key, null);
  });

  it('is opened by its first message, in one append', () => {
    given()
      .when(send('one', { open: opening }))
      .leadsTo('session.opened', 'run.queued', 'run.started', 'turn.requested')
      .and((s) => assert.deepEqual(s.last.ok && s.last.receipt, { seq: 2, run: 'r1' }))
      .when(send('two', { open: opening }))
      .leadsTo('run.queued');
  });

  it('is not opened by a message that is refused', () => {
    const spec = new Spec({ pin: null });
    spec
      .when(send('one', { open: opening }))
      .isRefused('not_found')
      .and((s) => assert.equal(s.state.phase, 'fresh'));
  });

  it('that was not opened is not found', () => {
    given()
      .when(send('one'))
      .isRefused('not_found')
      .when(wake)
      .isRefused('not_found')
      .when({ kind: 'close' })
      .isRefused('not_found');
  });
});

describe('configuration', () => {
  it('changes at the revision it was seen at, member by member (S2)', () => {
    given(open({ model: 'a', limits: { turns: 5, calls: 6 } }))
      .when({ kind: 'configure', ifRevision: 1, config: { effort: 'low', limits: { turns: 7 } } })
      .leadsTo({ kind: 'session.configured', data: { revision: 2 } })
      .and((s) => assert.deepEqual(s.state.config, { model: 'a', effort: 'low', limits: { turns: 7, calls: 6 } }))
      .when({ kind: 'configure', ifRevision: 1, config: { effort: 'high' } })
      .isRefused('revision_conflict')
      .and((s) => assert.deepEqual(!s.last.ok && s.last.rejection.details, { revision: 2 }));
  });

  it('delivered twice is no conflict: it gets the first receipt', () => {
    const spec = given(open());
    const input = spec.input({ kind: 'configure', ifRevision: 1, config: { effort: 'low' } });
    const first = transition(spec.state, input);
    assert.deepEqual(transition(spec.state, input), { ok: true, entries: [], receipt: first.ok && first.receipt });
  });

  it('names the body of its instructions, and where that is', () => {
    given(open())
      .when({ kind: 'configure', ifRevision: 1, config: { instructions: { digest: 'be brief', bytes: 8 } } })
      .and((s) => assert.deepEqual(s.log[1]?.refs, ['be brief']))
      .and((s) => assert.deepEqual(s.state.config.instructions, { digest: 'be brief', bytes: 8, seq: 2 }));
  });
});

describe('what a session remembers', () => {
  it('is kept by key, and what is known already is not written again', () => {
    given(open())
      .when(slot('notes', 'one'))
      .leadsTo('context.set')
      .when(slot('notes', 'one'))
      .changesNothing()
      .when(slot('notes', 'two'))
      .leadsTo('context.set')
      .and((s) =>
        assert.partialDeepStrictEqual(s.state.context.slots, [{ key: 'notes', digest: 'two', seq: 3, revision: 2 }]),
      )
      .when({ kind: 'forget', key: 'notes' })
      .leadsTo('context.unset')
      .when({ kind: 'forget', key: 'notes' })
      .isRefused('not_found');
  });

  it('has a revision that a change may name; no revision comes twice (S4)', () => {
    given(open(), slot('notes', 'one'))
      .when({ kind: 'remember', key: 'notes', ref: { digest: 'two', bytes: 5 }, ifRevision: 0 })
      .isRefused('revision_conflict')
      .when({ kind: 'remember', key: 'notes', ref: { digest: 'two', bytes: 5 }, ifRevision: 1 })
      .leadsTo({ kind: 'context.set', data: { revision: 2 } })
      .when({ kind: 'remember', key: 'notes', ref: { digest: 'two', bytes: 5 }, ifRevision: 9 })
      .isRefused('revision_conflict')
      .when({ kind: 'forget', key: 'notes', ifRevision: 1 })
      .isRefused('revision_conflict')
      .given({ kind: 'forget', key: 'notes', ifRevision: 2 })
      .when({ kind: 'remember', key: 'notes', ref: { digest: 'one', bytes: 5 }, ifRevision: 0 })
      .leadsTo({ kind: 'context.set', data: { revision: 3 } });
  });

  it('of a log that knew no revisions has them in the order in which it was set (P3)', () => {
    given(open(), { kind: 'context.set', refs: ['one'], data: { key: 'a', ref: { digest: 'one', bytes: 3 } } })
      .given({ kind: 'context.set', refs: ['two'], data: { key: 'b', ref: { digest: 'two', bytes: 3 } } })
      .and((s) =>
        assert.deepEqual(
          s.state.context.slots.map(({ revision }) => revision),
          [1, 2],
        ),
      );
  });

  it('that is set while a turn is under way is not read by that turn', () => {
    given(open(), slot('notes', 'one'), send('one'), slot('notes', 'two')).and((s) => {
      const { turn } = s.state.runs.get('r1') ?? assert.fail();
      assert.deepEqual([turn?.slots[0]?.digest, s.state.context.slots[0]?.digest], ['one', 'two']);
    });
  });

  it('is bounded, and a known key may still change', () => {
    const spec = given(open());
    for (let i = 0; i < LIMITS.slots; i += 1) spec.given(slot(`k${i}`));
    spec.when(slot('more')).isRefused('rate_limited').when(slot('k0', 'new')).leadsTo('context.set');
  });
});

describe('closing', () => {
  it('an idle session closes it at once, and a closed one stays closed (S3)', () => {
    given(open())
      .when({ kind: 'close' })
      .leadsTo('session.closing', 'session.closed')
      .when({ kind: 'close' })
      .changesNothing()
      .when({ kind: 'configure', ifRevision: 1, config: {} })
      .isRefused('session_closed')
      .when(slot('notes'))
      .isRefused('session_closed')
      .when({ kind: 'forget', key: 'notes' })
      .isRefused('session_closed');
  });

  it('cancels what runs and what waits, and is done when nothing flies', () => {
    given(open(), send('one'), send('two'))
      .when({ kind: 'close' })
      .leadsTo(
        'session.closing',
        { kind: 'run.cancelling', run: 'r1', data: { reason: 'closed' } },
        { kind: 'run.ended', run: 'r2', data: { status: 'cancelled', reason: 'closed' } },
      )
      .when({ kind: 'close' })
      .changesNothing()
      .when(failed('r1t1'))
      .leadsTo('turn.settled', { kind: 'run.ended', run: 'r1', data: { reason: 'closed' } }, 'session.closed');
  });

  it('a waiting session closes its waits', () => {
    given(open(), send('one'), answered('r1t1', [call('unsafe', { decision: { verdict: 'ask' } })]))
      .when({ kind: 'close' })
      .leadsTo('session.closing', 'run.cancelling', 'wait.resolved', 'call.settled', 'run.ended', 'session.closed')
      .when(approve('w1'))
      .isRefused('wait_resolved');
  });
});

it('a session that has moved takes nothing, dispatches nothing and wakes for nothing', () => {
  given(open(), send('one'), { kind: 'session.moved', data: { to: 'elsewhere' } })
    .when(answered('r1t1'))
    .isRefused('session_closed')
    .and((s) => assert.deepEqual([outstanding(s.state), wakeAt(s.state)], [[], null]));
});

describe('what a call has changed in workspaces', () => {
  const ran = () => given(open(), send('one')).when(answered('r1t1')).leadsTo('turn.settled', 'run.ended');

  it('is told behind the end of its run, once (S5)', () => {
    ran()
      .when(changed('site'))
      .leadsTo('workspace.changed')
      .and(({ log }) => {
        const entry = log.at(-1);
        assert.deepEqual([entry?.run, entry?.effect, entry?.refs], ['r1', 'r1t1c0', ['t0', 't1']]);
      })
      .when(changed('site'))
      .changesNothing()
      .when(changed('other'))
      .leadsTo('workspace.changed');
  });

  it('is told to a session that is closed, and not to one that has moved (S5)', () => {
    ran()
      .when({ kind: 'close' })
      .leadsTo('session.closing', 'session.closed')
      .when(changed('site'))
      .leadsTo('workspace.changed');
    ran().when({ kind: 'move' }).leadsTo('session.moved').when(changed('site')).isRefused('session_closed');
    given().when(changed('site')).isRefused('not_found');
  });

  it('is told with the outcome of the call, or before it, and not by both (S5)', () => {
    const trees = [{ workspace: 'site', before: 't0', after: 't1' }];
    const asked = () => given(open(), send('one')).when(answered('r1t1', [call('keyed')]));
    const outcome = { type: 'call', outcome: 'done', result: { digest: 'x', bytes: 1 }, changed: trees } as const;
    const settle = { kind: 'settle', effect: 'r1t1c0', attempt: 1, outcome } as const;
    asked()
      .when(settle)
      .leadsTo('workspace.changed', 'call.settled', 'turn.requested')
      .when(changed('site'))
      .changesNothing();
    asked().when(changed('site')).leadsTo('workspace.changed').when(settle).leadsTo('call.settled', 'turn.requested');
  });

  it('is told where its outcome comes too late to count (S5)', () => {
    const spec = given(open(), send('one')).when(answered('r1t1', [call('keyed')]));
    spec.when({ kind: 'cancel', run: 'r1' });
    const late = {
      type: 'call-unknown',
      reason: 'late',
      changed: [{ workspace: 'site', before: 't0', after: 't1' }],
    } as const;
    spec
      .when({ kind: 'settle', effect: 'r1t1c0', attempt: 1, outcome: late })
      .leadsTo('workspace.changed', 'call.settled', 'run.ended');
    spec.when({
      kind: 'settle',
      effect: 'r1t1c0',
      attempt: 1,
      outcome: { ...late, changed: [{ ...late.changed[0], workspace: 'other' }] },
    });
    spec.leadsTo('workspace.changed');
  });
});
