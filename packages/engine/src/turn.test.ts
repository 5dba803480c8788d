import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  accepted,
  answered,
  call,
  failed,
  given,
  lost,
  open,
  returned,
  send,
  type Spec,
  usage,
  wake,
} from '@perdure/testkit/spec';
import { LIMITS } from './limits.ts';
import { outstanding } from './outstanding.ts';

const started = (limits = {}) => given(open({ limits }), send('one'));
const attempted = (spec: Spec) => spec.log.filter((entry) => entry.kind === 'turn.attempted');

describe('a turn', () => {
  it('is requested before it is dispatched, by the entry that names its first attempt', () => {
    started().and((s) => {
      const [effect] = outstanding(s.state);
      assert.deepEqual(effect, { type: 'generate', id: 'r1t1', run: 'r1', attempt: 1, epoch: 1, notBefore: 0 });
      assert.equal(s.log.at(-1)?.kind, 'turn.requested');
    });
  });

  it('has one outcome: the same again changes nothing, nor does another one of the same attempt', () => {
    started()
      .given(answered('r1t1', [call()]))
      .when(answered('r1t1', [call()]))
      .changesNothing()
      .when(failed('r1t1'))
      .changesNothing()
      .when(answered('r9t1'))
      .changesNothing();
  });

  it('built from something else than was sealed says so', () => {
    const command = answered('r1t1');
    assert.ok('outcome' in command && command.outcome.type === 'turn');
    started()
      .when({ ...command, outcome: { ...command.outcome, built: 'another context' } } as typeof command)
      .leadsTo({ kind: 'turn.settled', data: { built: 'another context' } }, 'run.ended');
    started()
      .given(command)
      .and((s) => assert.equal('built' in (s.log.find(({ kind }) => kind === 'turn.settled')?.data ?? {}), false));
  });

  it('that asks for more calls than a frame can hold has failed', () => {
    const many = Array.from({ length: LIMITS.callsPerAnswer + 1 }, () => call());
    started()
      .when(answered('r1t1', many))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'failed', code: 'too_many_calls', usage: { output: 20 } } },
        {
          kind: 'run.ended',
          data: { status: 'failed', reason: 'provider' },
        },
      );
  });

  it('with as many calls as an answer may have fits a frame, and runs those that a turn may run', () => {
    const long = call('unsafe', {
      name: 'n'.repeat(64),
      providerId: 'p'.repeat(64),
      rule: 'r'.repeat(128),
      verify: true,
    });
    const many = Array.from({ length: LIMITS.callsPerAnswer }, () => long);
    const spec = started({ calls: 1_000 }).given(answered('r1t1', many));
    assert.ok(spec.last.ok && JSON.stringify(spec.last.entries).length <= LIMITS.frameBytes);
    const open_ = spec.state.runs.get('r1')?.asked.filter(({ phase }) => phase.at === 'ready');
    assert.equal(open_?.length, LIMITS.callsPerTurn);
  });
});

describe('an answer that does not fit its schema', () => {
  const unfit = (turn: 'r1t1' | 'r1t2', over = {}) =>
    answered(turn, [], { stop: 'invalid_output', misfit: `misfit of ${turn}`, ...over });
  const failedRun = { kind: 'run.ended', data: { status: 'failed', reason: 'invalid_output' } } as const;

  it('is repaired once: the next turn reads what did not fit, behind the answer', () => {
    started()
      .when(unfit('r1t1'))
      .leadsTo(
        { kind: 'turn.settled', data: { stop: 'invalid_output', misfit: { digest: 'misfit of r1t1' } } },
        { kind: 'turn.requested', effect: 'r1t2', data: { repair: true } },
      )
      .and((s) =>
        assert.deepEqual(
          s.state.context.items.map(({ kind, body }) => [kind, body?.digest]),
          [
            ['message', 'message one'],
            ['turn', 'answer r1t1'],
            ['repair', 'misfit of r1t1'],
          ],
        ),
      )
      .when(answered('r1t2'))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'completed' } });
  });

  it('twice is a failure, and the next run is not told of it', () => {
    started()
      .given(unfit('r1t1'))
      .when(unfit('r1t2'))
      .leadsTo('turn.settled', failedRun)
      .given(send('two'))
      .and((s) =>
        assert.deepEqual(
          s.state.context.items.map(({ kind }) => kind),
          ['message', 'turn', 'repair', 'turn', 'message'],
        ),
      );
  });

  it('is not repaired beyond the turns and the money of its run', () => {
    started({ turns: 1 }).when(unfit('r1t1')).leadsTo('turn.settled', failedRun);
    started({ tokens: 1_500 })
      .when(unfit('r1t1', { usage: usage({ input: 400, output: 900 }) }))
      .leadsTo('turn.settled', failedRun);
  });

  it('waits for somebody who may raise the cap of its session', () => {
    started({ session: { tokens: 1_600 } })
      .when(unfit('r1t1', { usage: usage({ output: 900 }) }))
      .leadsTo('turn.settled', { kind: 'wait.opened', data: { kind: 'budget' } });
  });

  it('and was steered meanwhile is not the last word: the message is answered', () => {
    started()
      .given(send('and', { mode: 'steer' }))
      .when(unfit('r1t1'))
      .leadsTo('turn.settled', 'turn.requested')
      .and((s) => assert.equal(s.state.context.items.at(-1)?.kind, 'message'))
      .when(unfit('r1t2'))
      .leadsTo('turn.settled', { kind: 'turn.requested', data: { repair: true } });
  });
});

describe('a failed model call', () => {
  it('is tried again after a backoff that doubles, within its upper half', () => {
    const spec = started();
    for (let n = 1; n < LIMITS.attempts; n += 1) {
      spec
        .when(failed('r1t1', { attempt: n }))
        .leadsTo(
          { kind: 'turn.failed', data: { attempt: n, code: 'overloaded' } },
          { kind: 'turn.attempted', data: { n: n + 1 } },
        );
      const delayMs = (attempted(spec).at(-1)?.data.notBefore ?? 0) - spec.at;
      const ceiling = LIMITS.backoffBaseMs * 2 ** (n - 1);
      assert.ok(delayMs >= ceiling / 2 && delayMs <= ceiling, `${delayMs} of ${ceiling}`);
    }
    spec
      .when(failed('r1t1', { attempt: LIMITS.attempts }))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'failed' } },
        { kind: 'run.ended', data: { status: 'failed' } },
      );
  });

  it('whose failure is delivered twice is tried again once', () => {
    started().given(failed('r1t1')).when(failed('r1t1')).changesNothing().when(answered('r1t1')).changesNothing();
  });

  it('waits as long as the provider asks, and not for hours', () => {
    started()
      .given(failed('r1t1', { retry: { afterMs: 90_000 } }))
      .and((s) => assert.equal(attempted(s).at(-1)?.data.notBefore, s.at + 90_000))
      .when(failed('r1t1', { attempt: 2, retry: { afterMs: LIMITS.retryAfterMaxMs + 1 } }))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'failed', detail: 'overloaded' } });
  });

  it('that cannot get better is not tried again', () => {
    started()
      .when(failed('r1t1', { retry: 'no' }))
      .leadsTo('turn.settled', 'run.ended');
  });

  it('uses up the budget of retries of its run, in all its turns', () => {
    const spec = started();
    let turn = 1;
    for (let used = 0; used < LIMITS.retriesPerRun; used += 2, turn += 1) {
      spec.given(failed(`r1t${turn}`), failed(`r1t${turn}`, { attempt: 2 }));
      spec.given(answered(`r1t${turn}`, [call()], { attempt: 3 }), returned(`r1t${turn}c0`));
    }
    spec.when(failed(`r1t${turn}`)).leadsTo('turn.settled', 'run.ended');
  });

  it('after the clock was set back is tried again after what the log knows', () => {
    const spec = started();
    spec.at = 10;
    spec.given(failed('r1t1'));
    assert.ok((attempted(spec)[0]?.data.notBefore ?? 0) > 1_000);
  });
});

describe('a model call whose process is gone', () => {
  const restarted = () => started().given({ restart: true });

  it('is made again, and the lost one is charged at what was reserved (T3)', () => {
    restarted()
      .and((s) => assert.equal(outstanding(s.state)[0]?.type, 'generate'))
      .when(lost('r1t1'))
      .leadsTo({
        kind: 'turn.attempted',
        data: { n: 2, reason: 'lost', epoch: 2, charged: { tokens: 1_426, nanoUsd: 0 } },
      })
      .and((s) => assert.deepEqual(s.state.spent, { tokens: 1_426, nanoUsd: 0 }));
  });

  it('uses up no retry, however often processes die', () => {
    const spec = started();
    for (let n = 1; n <= LIMITS.retriesPerRun + LIMITS.attempts; n += 1) spec.given({ restart: true }, lost('r1t1', n));
    spec.when(failed('r1t1', { attempt: 26 })).leadsTo('turn.failed', 'turn.attempted');
  });

  it('is not lost for the process that named it, and not lost twice', () => {
    started()
      .when(lost('r1t1'))
      .changesNothing()
      .given({ restart: true }, lost('r1t1'))
      .when(lost('r1t1'))
      .changesNothing()
      .when(lost('r1t1', 2))
      .changesNothing()
      .given({ restart: true })
      .when(lost('r1t1', 1))
      .changesNothing();
  });

  it('answers late: that is evidence, once, and the next attempt stays the one that counts (T1, P4)', () => {
    restarted()
      .given(lost('r1t1'))
      .when(answered('r1t1', [], { usage: usage({ output: 7 }) }))
      .leadsTo({
        kind: 'effect.late',
        effect: 'r1t1',
        data: {
          attempt: 1,
          outcome: 'done',
          result: { digest: 'answer r1t1' },
          spent: { kind: 'usage', usage: { output: 7 } },
        },
      })
      .and((s) => assert.deepEqual(s.log.at(-1)?.refs, ['answer r1t1']))
      .when(answered('r1t1'))
      .changesNothing()
      .when(answered('r1t1', [], { attempt: 2 }))
      .leadsTo('turn.settled', 'run.ended');
  });

  it('answers after its run has ended: evidence still, once', () => {
    restarted()
      .given(lost('r1t1'), answered('r1t1', [], { attempt: 2 }))
      .when(failed('r1t1', { spent: { kind: 'bound' } }))
      .leadsTo({ kind: 'effect.late', run: 'r1', data: { outcome: 'failed', spent: { kind: 'bound' } } })
      .when(failed('r1t1', { spent: { kind: 'bound' } }))
      .changesNothing()
      .when(answered('r1t1', [], { attempt: 2 }))
      .changesNothing();
  });

  it('in a run that is being cancelled ends, charged; it is not made again', () => {
    started()
      .given({ kind: 'cancel', run: 'r1' }, { restart: true })
      .and((s) =>
        assert.deepEqual(outstanding(s.state), [{ type: 'abort', id: 'r1t1', run: 'r1', attempt: 1, epoch: 1 }]),
      )
      .when(lost('r1t1'))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'failed', code: 'lost', usage: { source: 'bound' } } },
        {
          kind: 'run.ended',
          data: { status: 'cancelled' },
        },
      )
      .when(answered('r1t1'))
      .leadsTo('effect.late');
  });

  it('in a run whose deadline has passed is followed by the closing turn', () => {
    started({ deadlineMs: 1_000 })
      .given({ pass: 1_000 }, wake, { restart: true })
      .when(lost('r1t1'))
      .leadsTo('turn.settled', { kind: 'turn.requested', data: { closing: 'deadline' } });
  });
});

describe('an answer that the provider accepted by name', () => {
  const NAME = 'answer of r1t1';
  const resumed = { kind: 'turn.attempted', data: { n: 2, resume: NAME } } as const;

  it('is on record before anything of it is told, once, and changes nothing else', () => {
    started()
      .when(accepted('r1t1'))
      .leadsTo({ kind: 'turn.accepted', effect: 'r1t1', data: { attempt: 1, response: NAME } })
      .and((s) => assert.equal(outstanding(s.state).length, 1))
      .when(accepted('r1t1'))
      .changesNothing()
      .when(accepted('r1t1', 'another'))
      .changesNothing();
  });

  it('late, of another attempt, of another process or without a usable name changes nothing', () => {
    started()
      .when(accepted('r1t1', NAME, 2))
      .changesNothing()
      .when(accepted('r9t1'))
      .changesNothing();
    started().when(accepted('r1t1', '')).changesNothing();
    started()
      .when(accepted('r1t1', 'x'.repeat(LIMITS.responseChars + 1)))
      .changesNothing();
    started().given({ restart: true }).when(accepted('r1t1')).changesNothing();
    started().given(answered('r1t1')).when(accepted('r1t1')).changesNothing();
    started()
      .given(answered('r1t1', [call()]))
      .when(accepted('r1t1c0'))
      .changesNothing();
  });

  it('is asked for again when its process is lost, and nothing is charged for that', () => {
    started({ tokens: 10_000 })
      .given(accepted('r1t1'), { restart: true })
      .when(lost('r1t1'))
      .leadsTo(resumed)
      .and(({ state, log }) => {
        assert.equal('charged' in (log.at(-1)?.data ?? {}), false);
        assert.equal(state.spent.tokens, 0);
        assert.equal(state.runs.get('r1')?.turn?.response, NAME);
      })
      .given({ restart: true })
      .when(lost('r1t1', 2))
      .leadsTo({ kind: 'turn.attempted', data: { n: 3, resume: NAME } })
      .when(answered('r1t1', [], { attempt: 3 }))
      .leadsTo({ kind: 'turn.settled', data: { usage: usage() } }, 'run.ended')
      .and(({ state }) => assert.equal(state.spent.tokens, 120));
  });

  it('of a lost process that comes late is evidence, and not paid', () => {
    started()
      .given(accepted('r1t1'), { restart: true }, lost('r1t1'))
      .when(answered('r1t1'))
      .leadsTo('effect.late')
      .and(({ state }) => assert.equal(state.spent.tokens, 0));
  });

  it('is asked for again when the way to it broke, after a backoff, and nothing is charged for that', () => {
    const cut = { code: 'stream_cut', spent: { kind: 'bound' }, resumable: true } as const;
    started()
      .given(accepted('r1t1'))
      .when(failed('r1t1', cut))
      .leadsTo({ kind: 'turn.failed', data: { spent: { kind: 'none' } } }, resumed)
      .and((s) => assert.ok((attempted(s).at(-1)?.data.notBefore ?? 0) > s.at));
    started()
      .when(failed('r1t1', cut))
      .leadsTo({ kind: 'turn.failed', data: { spent: cut.spent } }, 'turn.attempted');
  });

  it('that nobody could fetch is charged in full, once', () => {
    const spec = started().given(accepted('r1t1'));
    const cut = { code: 'connection', spent: { kind: 'none' }, resumable: true } as const;
    for (let attempt = 1; attempt < LIMITS.attempts; attempt += 1) spec.given(failed('r1t1', { ...cut, attempt }));
    spec
      .when(failed('r1t1', { ...cut, attempt: LIMITS.attempts }))
      .leadsTo({ kind: 'turn.settled', data: { outcome: 'failed', usage: { source: 'bound' } } }, 'run.ended')
      .and(({ state, log }) => {
        const asked = log.find((entry) => entry.kind === 'turn.requested');
        assert.equal(state.spent.tokens, asked?.data.reserve.tokens);
      });
  });

  it('that is gone was perhaps paid, and is asked for anew', () => {
    started()
      .given(accepted('r1t1'), { restart: true }, lost('r1t1'))
      .when(failed('r1t1', { attempt: 2, code: 'response_gone', retry: 'no' }))
      .leadsTo(
        { kind: 'turn.failed', data: { code: 'response_gone', spent: { kind: 'bound' } } },
        { kind: 'turn.attempted', data: { n: 3 } },
      )
      .and(({ state, log }) => {
        assert.equal('resume' in (log.at(-1)?.data ?? {}), false);
        assert.equal(state.runs.get('r1')?.turn?.response, null);
        assert.ok(state.spent.tokens > 0);
      })
      .when(accepted('r1t1', 'a second one', 3))
      .leadsTo('turn.accepted');
  });

  it('failed at the provider itself is not asked for again', () => {
    started()
      .given(accepted('r1t1'))
      .when(failed('r1t1', { spent: { kind: 'usage', usage: usage() } }))
      .leadsTo('turn.failed', 'turn.attempted')
      .and((s) => assert.equal('resume' in (attempted(s).at(-1)?.data ?? {}), false));
  });

  it('is given up with its run: a cancel asks for nothing again', () => {
    started()
      .given(accepted('r1t1'), { kind: 'cancel', run: 'r1' }, { restart: true })
      .when(lost('r1t1'))
      .leadsTo({ kind: 'turn.settled', data: { code: 'lost' } }, 'run.ended');
  });

  it('is asked for once more in vain where an account refuses its reservation: then it is charged', () => {
    const spec = started({ tokens: 10_000 }).given(accepted('r1t1'), { restart: true });
    spec.refusal = { account: 'agent/clerk', limit: 'tokens', needed: 5_000, free: 0 };
    spec.when(lost('r1t1')).leadsTo({ kind: 'turn.settled', data: { code: 'lost' } }, 'wait.opened');
  });
});
