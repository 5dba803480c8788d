import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  answered,
  call,
  compact,
  failed,
  given,
  lost,
  open,
  parks,
  resolve,
  returned,
  send,
  Spec,
  summed,
  unsummed,
  usage,
} from '@perdure/testkit/spec';
import type { Command } from './commands.ts';
import { LIMITS } from './limits.ts';
import { outstanding, statusOf } from './outstanding.ts';
import type { Price } from './values.ts';

const read = (spec: Spec): string[] =>
  spec.state.context.items.map((item) =>
    item.kind === 'result' ? `${item.call} ${item.outcome}` : `${item.kind} ${item.body.digest}`,
  );
const large = (submission: string, bytes: number, over = {}): Command =>
  send(submission, { message: { digest: `message ${submission}`, bytes }, ...over });
/** A session of two runs that have ended. */
const talked = () => given(open(), send('one'), answered('r1t1'), send('two'), answered('r2t1'));
const WINDOW = 32_000;
/** The model reads 32,000 tokens at once, and the last turn used most of them. */
const full = (pin = {}) =>
  new Spec({ pin: { windowTokens: WINDOW, maxOutputTokens: 1_000, ...pin } })
    .given(open(), large('one', 9_000), answered('r1t1'), send('two'))
    .given(answered('r2t1', [call()], { usage: usage({ input: 26_700, output: 100 }) }));
const PRICE: Price = { id: 'list', input: 1_000, cachedInput: 100, cacheWrite: 1_250, output: 2_000 };

describe('a compaction that somebody asks for', () => {
  it('between two runs begins at once, and its summary stands for all that was said (M1)', () => {
    talked()
      .when(compact)
      .leadsTo('compaction.asked', { kind: 'compaction.requested', effect: 'k1', data: { cause: 'asked', upTo: 10 } })
      .and((s) =>
        assert.deepEqual(
          outstanding(s.state).map(({ type, id, run }) => [type, id, run]),
          [['compact', 'k1', null]],
        ),
      )
      .when(summed('k1'))
      .leadsTo(
        { kind: 'compaction.settled', data: { outcome: 'done', attempt: 1 } },
        { kind: 'context.compacted', effect: 'k1', data: { upTo: 10, after: 28 } },
      )
      .and((s) => assert.deepEqual(read(s), ['summary summary k1']))
      .when(send('three'))
      .leadsTo('run.queued', 'run.started', 'turn.requested')
      .and((s) => assert.deepEqual(read(s), ['summary summary k1', 'message message three']));
  });

  it('while a turn is under way waits for the boundary, where what the turn led to is part of it', () => {
    talked()
      .given(send('three'), answered('r3t1', [call()]))
      .when(compact)
      .leadsTo('compaction.asked')
      .when(returned('r3t1c0'))
      .leadsTo('call.settled', { kind: 'compaction.requested', run: 'r3', data: { cause: 'asked' } })
      .and((s) => assert.equal(s.state.runs.get('r3')?.turn, null))
      .when(summed('k1'))
      .leadsTo('compaction.settled', 'context.compacted', { kind: 'turn.requested', effect: 'r3t2' })
      .and((s) => assert.deepEqual(read(s), ['summary summary k1', 'message message three']));
  });

  it('is the session’s where the run ends at that boundary', () => {
    talked()
      .given(send('three'), compact)
      .when(answered('r3t1'))
      .leadsTo('turn.settled', 'run.ended', { kind: 'compaction.requested', effect: 'k1' })
      .and((s) => assert.equal(s.state.compaction?.run, null));
  });

  it('waits while a call waits for a person (M1)', () => {
    talked()
      .given(send('three'), answered('r3t1', [call('pure')]), parks('r3t1c0', { kind: 'callback' }), compact)
      .and((s) => assert.equal(s.state.compaction, null))
      .when(resolve('w1', { kind: 'callback', ref: { digest: 'it came', bytes: 7 } }))
      .leadsTo('wait.resolved', 'call.settled', 'compaction.requested');
  });

  it('a second time is the same one', () => {
    talked().given(compact).when(compact).changesNothing();
    talked().given(send('three'), compact).when(compact).changesNothing();
  });

  it('is refused where there is nothing to compact, and in a closed session', () => {
    given(open()).when(compact).isRefused('invalid_state');
    talked().given(compact, summed('k1')).when(compact).isRefused('invalid_state');
    talked().given({ kind: 'close' }).when(compact).isRefused('session_closed');
  });

  it('lets a message in meanwhile: its run starts, and its turn waits (M1)', () => {
    talked()
      .given(compact)
      .when(send('three'))
      .leadsTo('run.queued', 'run.started')
      .and((s) => {
        const run = s.state.runs.get('r3') ?? assert.fail();
        assert.equal(statusOf(s.state, run), 'running');
      })
      .when(summed('k1'))
      .leadsTo('compaction.settled', 'context.compacted', 'turn.requested')
      .and((s) => assert.deepEqual(read(s), ['summary summary k1', 'message message three']));
  });
});

describe('a context that fills its model’s window', () => {
  it('is compacted before the next turn, and what the user asked of this run stays word for word (M3)', () => {
    full()
      .when(returned('r2t1c0'))
      .leadsTo('call.settled', { kind: 'compaction.requested', run: 'r2', data: { cause: 'window' } });
    full()
      .given(send('more', { mode: 'steer' }), returned('r2t1c0'), summed('k1'))
      .and((s) =>
        assert.deepEqual(read(s), [
          'summary summary k1',
          'turn answer r1t1',
          'message message two',
          'turn answer r2t1',
          'r2t1c0 done',
          'message message more',
        ]),
      );
  });

  it('is left alone where the window is not known, or the agent wants to be asked', () => {
    new Spec()
      .given(open(), large('one', 9_000), answered('r1t1'), send('two'))
      .given(answered('r2t1', [call()], { usage: usage({ input: 900_000 }) }))
      .when(returned('r2t1c0'))
      .leadsTo('call.settled', 'turn.requested');
    full({ compaction: 'asked' }).when(returned('r2t1c0')).leadsTo('call.settled', 'turn.requested');
  });

  it('keeps its end as it is, and never parts a turn from its results (C4)', () => {
    const spec = new Spec({ pin: { windowTokens: WINDOW, maxOutputTokens: 1_000 } }).given(open(), large('one', 400));
    for (let n = 1; n <= 12; n += 1) {
      const counted = usage({ input: n === 12 ? 26_800 : 100 });
      spec.given(
        answered(`r1t${n}`, [call(), call()], { usage: counted }),
        returned(`r1t${n}c0`),
        returned(`r1t${n}c1`),
      );
    }
    spec.given(summed('k1')).and((s) => {
      assert.deepEqual(read(s), [
        'summary summary k1',
        'message message one',
        'turn answer r1t12',
        'r1t12c0 done',
        'r1t12c1 done',
      ]);
    });
  });

  it('is not compacted again before so many new tokens have come, done or not (M4)', () => {
    full()
      .given(returned('r2t1c0'), summed('k1'))
      .given(answered('r2t2', [call()], { usage: usage({ input: 26_900 }) }))
      .when(returned('r2t2c0'))
      .leadsTo('call.settled', { kind: 'turn.requested', effect: 'r2t3' })
      .given(answered('r2t3'), large('three', 9 * LIMITS.compactionMinTokens), answered('r3t1'), send('four'))
      .given(answered('r4t1', [call()], { usage: usage({ input: 26_900 }) }))
      .when(returned('r4t1c0'))
      .leadsTo('call.settled', { kind: 'compaction.requested', effect: 'k2' });
    full()
      .given(returned('r2t1c0'))
      .when(unsummed('k1', { retry: 'no' }))
      .leadsTo({ kind: 'compaction.settled', data: { outcome: 'failed', code: 'overloaded' } }, 'turn.requested')
      .given(answered('r2t2', [call()], { usage: usage({ input: 26_900 }) }))
      .when(returned('r2t2c0'))
      .leadsTo('call.settled', 'turn.requested');
  });

  it('that a summary does not make smaller stays as it is, under a name of its own (M4)', () => {
    full()
      .given(returned('r2t1c0'))
      .when(summed('k1', { bytes: 9_000 }))
      .leadsTo({ kind: 'compaction.settled', data: { outcome: 'failed', code: 'no_gain' } }, 'turn.requested')
      .and((s) => assert.equal(s.state.context.items[0]?.kind, 'message'));
  });

  it('is sent to its own model as it stands, to another one as a text of so many bytes', () => {
    full()
      .given(returned('r2t1c0'))
      .and((s) => assert.equal(s.state.compaction?.inputBytes, null));
    const summarizer = { model: 'demo/small', maxOutputTokens: 500, price: null, windowTokens: 4_000 };
    full({ summarizer })
      .given(returned('r2t1c0'))
      .and((s) => {
        const { inputBytes, maxOutputTokens } = s.state.compaction ?? assert.fail();
        assert.equal(maxOutputTokens, 500);
        assert.equal(inputBytes, 3_500 * LIMITS.bytesPerToken - LIMITS.compactionPromptBytes);
      });
  });
});

describe('a context that its provider refuses as too long', () => {
  const tooLong = { code: 'context_length', retry: 'no' } as const;

  it('is compacted once, and the turn made once more (M5)', () => {
    given(open(), send('one'), answered('r1t1'), large('two', 100), answered('r2t1', [call()]), returned('r2t1c0'))
      .when(failed('r2t2', tooLong))
      .leadsTo('turn.settled', { kind: 'compaction.requested', run: 'r2', data: { cause: 'overflow' } })
      .and((s) => assert.equal(s.state.compaction?.inputBytes, LIMITS.minCompactionBytes))
      .when(summed('k1'))
      .leadsTo('compaction.settled', 'context.compacted', { kind: 'turn.requested', effect: 'r2t3' })
      .when(failed('r2t3', tooLong))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'failed', reason: 'context' } });
  });

  it('ends its run where the user’s own question is what is too long', () => {
    given(open(), large('one', 9_000), answered('r1t1', [call()]), returned('r1t1c0'))
      .when(failed('r1t2', tooLong))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'failed', reason: 'context' } });
  });

  it('ends its run where it cannot be compacted, with the reason', () => {
    given(open(), send('one'), answered('r1t1'), send('two'), failed('r2t1', { code: 'context_length', retry: 'no' }))
      .when(unsummed('k1', { retry: 'no', code: 'auth' }))
      .leadsTo('compaction.settled', {
        kind: 'run.ended',
        data: { status: 'failed', reason: 'context', detail: 'auth' },
      });
  });

  it('is tried with half of it where the model that summarises cannot read it either', () => {
    given(open(), large('one', 40_000), answered('r1t1'), send('two'))
      .given(failed('r2t1', { code: 'context_length', retry: 'no' }))
      .and((s) => assert.equal(s.state.compaction?.inputBytes, 20_049))
      .when(unsummed('k1', { code: 'context_length', retry: 'no' }))
      .leadsTo('compaction.failed', { kind: 'compaction.attempted', data: { n: 2, inputBytes: 10_024 } })
      .given(summed('k1', { attempt: 2 }))
      .and((s) => assert.deepEqual(read(s), ['summary summary k1', 'turn answer r1t1', 'message message two']));
  });
});

describe('an attempt at a compaction', () => {
  it('is named before it is made again, with its backoff (M2)', () => {
    talked()
      .given(compact)
      .when(unsummed('k1'))
      .leadsTo('compaction.failed', { kind: 'compaction.attempted', effect: 'k1', data: { n: 2 } })
      .when(summed('k1'))
      .changesNothing()
      .when(summed('k1', { attempt: 2 }))
      .leadsTo('compaction.settled', 'context.compacted');
  });

  it('that was lost with its process is charged at its reserve, and heard as evidence (M2, P4)', () => {
    talked()
      .given(compact, { restart: true })
      .when(lost('k1'))
      .leadsTo({ kind: 'compaction.attempted', data: { n: 2, reason: 'lost' } })
      .and((s) => assert.deepEqual(s.state.spent.tokens, 240 + s.state.reserved.tokens))
      .when(summed('k1'))
      .leadsTo({ kind: 'effect.late', effect: 'k1' });
  });

  it('reserves within the caps of the session, and is given up where they do not allow it', () => {
    const capped = (tokens: number) => given(open({ limits: { session: { tokens } } }), send('one'), answered('r1t1'));
    capped(10_000).when(compact).leadsTo('compaction.asked', 'compaction.requested');
    capped(3_000)
      .when(compact)
      .leadsTo('compaction.asked', { kind: 'compaction.settled', data: { attempt: 0, code: 'budget' } });
  });

  it('whose bill passes its reservation closes the account of its session (B3)', () => {
    new Spec({ pin: { price: PRICE, limits: { turns: 9, calls: 9, deadlineMs: 9e9, session: { nanoUsd: 900_000 } } } })
      .given(open(), send('one'), answered('r1t1'), compact)
      .when(summed('k1', { usage: usage({ output: 90_000 }) }))
      .leadsTo('compaction.settled', { kind: 'budget.overrun', data: { account: 'ses_1' } }, 'context.compacted')
      .when(send('two'))
      .leadsTo('run.queued', 'run.started', { kind: 'wait.opened', data: { kind: 'budget' } });
  });

  it('by a model without a price does not run under a money cap', () => {
    const summarizer = { model: 'demo/unpriced', maxOutputTokens: 500, price: null };
    new Spec({ pin: { price: PRICE, summarizer } })
      .given(open({ limits: { nanoUsd: 10_000 } }))
      .when(send('one'))
      .isRefused('invalid_request');
  });
});

describe('a compaction stops', () => {
  it('with its run: a cancel aborts it, and the run ends after it (P10)', () => {
    full()
      .given(returned('r2t1c0'))
      .when({ kind: 'cancel', run: 'r2' })
      .leadsTo('run.cancelling')
      .and((s) =>
        assert.deepEqual(
          outstanding(s.state).map(({ type, id }) => [type, id]),
          [['abort', 'k1']],
        ),
      )
      .when(unsummed('k1', { code: 'aborted', spent: { kind: 'bound' } }))
      .leadsTo(
        { kind: 'compaction.settled', data: { outcome: 'cancelled' } },
        { kind: 'run.ended', data: { status: 'cancelled' } },
      );
  });

  it('with its session', () => {
    talked()
      .given(compact)
      .when({ kind: 'close' })
      .leadsTo('session.closing')
      .when(unsummed('k1', { code: 'aborted' }))
      .leadsTo({ kind: 'compaction.settled', data: { outcome: 'cancelled' } }, 'session.closed');
  });

  it('at the deadline of its run, which closes without it', () => {
    full({ limits: { turns: 9, calls: 9, deadlineMs: 1_000 } })
      .given(returned('r2t1c0'))
      .given({ pass: 2_000 })
      .when({ kind: 'settle', effect: 'wake' })
      .leadsTo('run.limited')
      .when(unsummed('k1', { code: 'aborted' }))
      .leadsTo('compaction.settled', { kind: 'turn.requested', data: { closing: 'deadline' } });
  });
});

it('a compacted context is counted afresh: what was there before bounds nothing any more', () => {
  full()
    .given(returned('r2t1c0'), summed('k1'))
    .and(({ state }) => {
      const { items, counted, newBytes, totalBytes, compactedAt } = state.context;
      assert.deepEqual([items.length, counted, newBytes, totalBytes], [5, null, 192, 192]);
      assert.equal(compactedAt, state.head - 1);
    });
});
