import assert from 'node:assert/strict';
import { it } from 'node:test';
import { answered, call, gate, given, lost, open, send } from '@perdure/testkit/spec';
import { decodeState, encodeState } from './snapshot.ts';
import { freshState } from './state.ts';

it('a state survives its snapshot, whatever stands in it', () => {
  const { state } = given(
    open({ limits: { session: { tokens: 90_000 } }, instructions: { digest: 'be brief', bytes: 8 } }),
    send('one'),
    { kind: 'remember', key: '$map', ref: { digest: 'notes', bytes: 5 } },
    answered('r1t1', [call('unsafe'), call('keyed', { decision: { verdict: 'ask' } })]),
    gate('r1t1c0'),
    { restart: true },
    lost('r1t1c0'),
    send('two', { mode: 'interrupt' }),
  );
  assert.ok(state.unheard.size > 0);
  assert.deepStrictEqual(decodeState(encodeState(state)), state);
  assert.deepStrictEqual(decodeState(encodeState(freshState())), freshState());
});

it('the same state gives the same text', () => {
  const state = () => given(open(), send('one')).state;
  assert.equal(encodeState(state()), encodeState(state()));
});
