import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answered,
  approve,
  call,
  failed,
  gate,
  given,
  lost,
  open,
  parks,
  returned,
  send,
  type Spec,
  wake,
} from '@perdure/testkit/spec';
import { outstanding, wakeAt } from './outstanding.ts';

const started = () => given(open({ limits: { deadlineMs: 100_000 } }), send('one'));
const effects = (spec: Spec) => outstanding(spec.state);

describe('outstanding', () => {
  it('is nothing for an idle session', () => {
    given(open()).and((s) => assert.deepEqual([effects(s), wakeAt(s.state)], [[], null]));
  });

  it('is what flies, with the attempt, who may dispatch it, and not before when', () => {
    started()
      .given({ restart: true }, failed('r1t1', { retry: { afterMs: 9_000 } }))
      .and((s) =>
        assert.deepEqual(effects(s), [
          { type: 'generate', id: 'r1t1', run: 'r1', attempt: 2, epoch: 2, notBefore: 10_000 },
        ]),
      )
      .given(answered('r1t1', [call('pure')], { attempt: 2 }))
      .and((s) =>
        assert.deepEqual(effects(s), [
          { type: 'call', id: 'r1t1c0', run: 'r1', attempt: 1, epoch: 2, notBefore: 0, class: 'pure' },
        ]),
      );
  });

  it('is the leave of an unsafe call, and the question put to its tool', () => {
    started()
      .given(answered('r1t1', [call('unsafe', { verify: true })]))
      .and((s) => assert.deepEqual(effects(s), [{ type: 'gate', id: 'r1t1c0', run: 'r1' }]))
      .given(gate('r1t1c0'))
      .and((s) => assert.partialDeepStrictEqual(effects(s)[0], { type: 'call', attempt: 1, epoch: 1, notBefore: 0 }))
      .given({ restart: true }, lost('r1t1c0'))
      .and((s) => assert.deepEqual(effects(s), [{ type: 'verify', id: 'r1t1c0', run: 'r1', attempt: 2, epoch: 2 }]));
  });

  it('is the abort of what flies when its run stops, and the closing turn itself', () => {
    started()
      .given({ pass: 100_000 }, wake)
      .and((s) => assert.deepEqual(effects(s), [{ type: 'abort', id: 'r1t1', run: 'r1', attempt: 1, epoch: 1 }]))
      .given(failed('r1t1'))
      .and((s) => assert.deepEqual(effects(s)[0]?.type, 'generate'))
      .given({ kind: 'cancel', run: 'r1' })
      .and((s) => assert.deepEqual(effects(s), [{ type: 'abort', id: 'r1t2', run: 'r1', attempt: 1, epoch: 1 }]));
  });

  it('is the abort of each call by who dispatched it', () => {
    started()
      .given(answered('r1t1', [call(), call(), call()]), { restart: true }, lost('r1t1c1'), {
        kind: 'cancel',
        run: 'r1',
      })
      .and((s) =>
        assert.deepEqual(
          effects(s).map((effect) => [effect.id, 'epoch' in effect && effect.epoch]),
          [
            ['r1t1c0', 1],
            ['r1t1c1', 2],
            ['r1t1c2', 1],
          ],
        ),
      );
  });

  it('is nothing while a run is parked or held between turns', () => {
    started()
      .given(answered('r1t1', [call('unsafe', { decision: { verdict: 'ask' } })]))
      .and((s) => assert.deepEqual(effects(s), []))
      .given({ kind: 'hold', run: 'r1' }, approve('w1'))
      .and((s) => assert.deepEqual(effects(s), []))
      .given({ kind: 'release', run: 'r1' })
      .and((s) => assert.deepEqual(effects(s)[0]?.type, 'gate'));
  });
});

describe('the next time something happens by itself', () => {
  it('is the deadline, or the end of a wait before it', () => {
    started()
      .and((s) => assert.equal(wakeAt(s.state), 101_000))
      .given(
        answered('r1t1', [call(), call()]),
        parks('r1t1c0', { kind: 'timer', dueAt: 9_000 }),
        parks('r1t1c1', { kind: 'callback', expiresAt: 5_000 }),
      )
      .and((s) => assert.equal(wakeAt(s.state), 5_000))
      .given({ pass: 4_000 }, wake)
      .and((s) => assert.equal(wakeAt(s.state), 9_000));
  });

  it('is no deadline for a run that is stopping', () => {
    started()
      .given({ kind: 'cancel', run: 'r1' })
      .and((s) => assert.equal(wakeAt(s.state), null))
      .given(returned('r1t1c0'), failed('r1t1'))
      .and((s) => assert.equal(wakeAt(s.state), null));
  });
});
