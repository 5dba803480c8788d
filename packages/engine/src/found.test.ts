import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answered, call, given, open, returned, send } from '@perdure/testkit/spec';
import { LIMITS } from './limits.ts';
import { decodeState, encodeState } from './snapshot.ts';

const searched = () => given(open(), send('one'), answered('r1t1', [call('pure'), call('pure')]));
const names = (from: number, count: number): string[] => Array.from({ length: count }, (_, n) => `tool_${from + n}`);

describe('tools that a search has found', () => {
  it('are written down with its end, and each is known once from then on', () => {
    searched()
      .when(returned('r1t1c0', 'done', { found: ['pay', 'ship'] }))
      .leadsTo({ kind: 'call.settled', data: { found: ['pay', 'ship'] } })
      .given(returned('r1t1c1', 'done', { found: ['ship', 'find'] }))
      .and(({ state }) => assert.deepEqual(state.context.found, ['pay', 'ship', 'find']))
      .and(({ state }) => assert.deepEqual(decodeState(encodeState(state)).context.found, state.context.found));
  });

  it('are none where it failed', () => {
    searched()
      .given(returned('r1t1c0', 'failed', { found: ['pay'], code: 'tool_error' }))
      .and(({ state }) => assert.deepEqual(state.context.found, []));
  });

  it('are no more in one entry than so many, however many are said to be', () => {
    searched()
      .given(returned('r1t1c0', 'done', { found: names(0, 1_000) }))
      .and(({ state }) => assert.equal(state.context.found.length, LIMITS.toolsFound));
  });
});
