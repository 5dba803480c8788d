import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answered,
  call,
  compact,
  gate,
  given,
  lost,
  open,
  resolve,
  returned,
  send,
  Spec,
  summed,
  unknown,
} from '@perdure/testkit/spec';
import type { Command } from './commands.ts';
import { fold } from './machine.ts';
import { decodeState, encodeState } from './snapshot.ts';
import type { Actor } from './values.ts';

const labels = (spec: Spec): string[] => spec.state.context.taint.map(({ label, from }) => `${label} ${from}`);
/** A run that has read the web in its first turn and goes on. */
const tainted = () =>
  given(open(), send('one'), answered('r1t1', [call('pure', { taint: ['web'] })]), returned('r1t1c0'));
const agentSays: Actor = { kind: 'agent', id: 'other' };

describe('the labels of a context', () => {
  it('come with a result, from the next turn on (X1, X2)', () => {
    given(open(), send('one'), answered('r1t1', [call('pure', { taint: ['web'] }), call('pure')]))
      .and((s) => assert.deepEqual(labels(s), []))
      .when(returned('r1t1c0'))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'done', taint: ['web'] } })
      // The turn that reads it has not been asked for.
      .and((s) => assert.deepEqual(labels(s), []))
      .when(returned('r1t1c1'))
      .leadsTo('call.settled', 'turn.requested')
      .and((s) => assert.deepEqual(labels(s), ['web r1t1c0']));
  });

  it('come with a failed result as well: its text is from outside, too', () => {
    given(open(), send('one'), answered('r1t1', [call('pure', { taint: ['tool'] })]))
      .given(returned('r1t1c0', 'failed', { code: 'tool_error' }))
      .and((s) => assert.deepEqual(labels(s), ['tool r1t1c0']));
  });

  it('come with what nobody can call done or failed: its text is from outside all the same', () => {
    given(open(), send('one'), answered('r1t1', [call('keyed', { taint: ['web'] })]))
      .given({ restart: true }, lost('r1t1c0'))
      .when(returned('r1t1c0', 'failed', { attempt: 2 }))
      .leadsTo({ kind: 'call.settled', data: { outcome: 'unknown', taint: ['web'] } }, 'turn.requested')
      .and((s) => assert.deepEqual(labels(s), ['web r1t1c0']));
  });

  it('come with what a call was shown, besides those of its tool, each once', () => {
    given(open(), send('one'), answered('r1t1', [call('pure', { taint: ['tool'] })]))
      .when(returned('r1t1c0', 'done', { taint: ['web', 'tool'] }))
      .leadsTo({ kind: 'call.settled', data: { taint: ['tool', 'web'] } }, 'turn.requested')
      .and((s) => assert.deepEqual(labels(s), ['tool r1t1c0', 'web r1t1c0']));
  });

  it('do not come with what a person says of a call, nor with a call that never ran', () => {
    given(
      open(),
      send('one'),
      answered('r1t1', [call('unsafe', { taint: ['web'] })]),
      gate('r1t1c0'),
      unknown('r1t1c0'),
    )
      .given(resolve('w1', { kind: 'outcome', outcome: 'done', ref: { digest: 'it did', bytes: 6 } }))
      .and((s) => assert.deepEqual(labels(s), []));
    const denied = call('unsafe', {
      taint: ['web'],
      decision: { verdict: 'deny', result: { digest: 'why', bytes: 3 } },
    });
    given(open(), send('one'), answered('r1t1', [denied])).and((s) => assert.deepEqual(labels(s), []));
    given(open(), send('one'), answered('r1t1', [call('unsafe', { taint: ['web'], decision: { verdict: 'ask' } })]))
      .given(
        resolve('w1', { kind: 'approval', decision: 'deny', digest: 'arguments', note: { digest: 'no', bytes: 2 } }),
      )
      .and((s) => assert.deepEqual(labels(s), []));
  });

  it('name the first call that brought each, and grow no further (X3)', () => {
    tainted()
      .given(answered('r1t2', [call('pure', { taint: ['web', 'file'] })]), returned('r1t2c0'))
      .and((s) => assert.deepEqual(labels(s), ['web r1t1c0', 'file r1t2c0']));
  });

  it('stay when the run ends, when the conversation is compacted, and in a fork (X1)', () => {
    const spec = tainted().given(answered('r1t2'), send('two'), answered('r2t1'), compact, summed('k1'));
    assert.deepEqual(labels(spec), ['web r1t1c0']);
    assert.equal(spec.state.context.items.length, 1);
    spec
      .given({ kind: 'fork', id: 'ses_fork', tenant: 'default', payload: 'p' })
      .and((s) => assert.deepEqual([s.state.id, labels(s)], ['ses_fork', ['web r1t1c0']]));
  });

  it('stand in a snapshot, and in a fold of the log from its beginning', () => {
    const { state, log } = tainted();
    assert.deepEqual(decodeState(encodeState(state)).context.taint, state.context.taint);
    assert.deepEqual(fold(log).context.taint, state.context.taint);
  });

  it('are those of a log that knew none: none', () => {
    const { log } = tainted();
    const old = log.map((entry) => {
      const { taint: _, ...data } = entry.data as { taint?: unknown };
      return { ...entry, data } as typeof entry;
    });
    assert.deepEqual(fold(old).context.taint, []);
  });

  it('come with a message or a slot of somebody untrusted, and not with those of people, keys and the runtime', () => {
    const notes: Command = { kind: 'remember', key: 'notes', ref: { digest: 'note', bytes: 4 } };
    const by = (actor: Actor): string[] => [
      ...labels(new Spec({ by: actor }).given(open(), notes)),
      ...labels(new Spec({ by: actor }).given(open(), send('one'))),
    ];
    assert.deepEqual(by(agentSays), ['input slot notes', 'input r1']);
    assert.deepEqual(by({ kind: 'user', id: 'u' }), []);
    assert.deepEqual(by({ kind: 'key', id: 'k' }), []);
    assert.deepEqual(by({ kind: 'system', id: 's' }), ['input r1']);
  });
});
