import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answered, call, failed, given, lost, open, resolve, returned, send, Spec, usage } from '@perdure/testkit/spec';
import { costOf, isCapped, runAccount } from './budget.ts';
import type { Command } from './commands.ts';
import { LIMITS } from './limits.ts';
import { wakeAt } from './outstanding.ts';
import type { Budget, Caps, Limits, Price } from './values.ts';

/** A nano-USD a token, two for output. */
const PRICE: Price = { id: 'list', input: 1_000, cachedInput: 100, cacheWrite: 1_250, output: 2_000 };
/** What the first request sends, at one token a byte: the manifest, and the message with its wire overhead. */
const INPUT = 400 + 10 + LIMITS.itemOverheadBytes;
const PRICED_INPUT = Math.ceil((INPUT * PRICE.cacheWrite) / 1_000);

/** A slot of 300 bytes under the key `notes`. */
const SLOT = 300 + 3 * 5 + LIMITS.itemOverheadBytes;

const under = (limits: Partial<Limits>, price: Price | null = null) =>
  new Spec({ pin: { price } }).given(open({ limits }), send('one'));
const turn = (spec: Spec) => {
  const run = spec.state.runs.get(spec.state.active ?? 'r0');
  return { output: run?.turn?.maxOutputTokens, reserve: run?.turn?.reserve };
};
const cap = (to: Caps) => resolve('w1', { kind: 'budget', decision: 'raise', cap: to });
const refuse = resolve('w1', { kind: 'budget', decision: 'deny' });

describe('a turn reserves before it is requested', () => {
  it('one token for each byte nobody has counted, and its maximum output (B2)', () => {
    under({}).and((s) => assert.deepEqual(turn(s), { output: 1_000, reserve: { tokens: INPUT + 1_000, nanoUsd: 0 } }));
  });

  it('at list price, the dearest that its input can be billed at', () => {
    under({}, PRICE).and((s) => assert.equal(turn(s).reserve?.nanoUsd, PRICED_INPUT + 2_000));
  });

  it('at the price of a long prompt as soon as it may be one, and is billed so only when it was', () => {
    const above = { tokens: INPUT - 1, input: 2_000, cachedInput: 200, cacheWrite: 2_500, output: 3_000 };
    under({}, { ...PRICE, above }).and((s) =>
      assert.equal(turn(s).reserve?.nanoUsd, Math.ceil((2 * INPUT * PRICE.cacheWrite) / 1_000) + 3_000),
    );
    under({}, { ...PRICE, above: { ...above, tokens: INPUT } }).and((s) =>
      assert.equal(turn(s).reserve?.nanoUsd, PRICED_INPUT + 2_000),
    );
    const cap = 2 * PRICED_INPUT + 1_500;
    under({ nanoUsd: cap }, { ...PRICE, above }).and((s) => assert.equal(turn(s).output, 500));
    const long: Price = { ...PRICE, above: { ...above, tokens: 100 } };
    const cost = (input: number, cachedInput = 0) => costOf(usage({ input, cachedInput, output: 10 }), long).nanoUsd;
    assert.deepEqual([cost(100), cost(101), cost(60, 40), cost(60, 41)], [120, 232, 84, 159]);
  });

  it('no less than any bill within its bound can be, wherever the dearer price begins', () => {
    for (const tokens of [0, 50, INPUT - 1, INPUT, INPUT + 1]) {
      // A long prompt that would be cheaper in part bounds nothing by that.
      const price: Price = {
        ...PRICE,
        above: { tokens, input: 1_500, cachedInput: 50, cacheWrite: 1_000, output: 4_000 },
      };
      const { reserve } = under({}, price).state.runs.get('r1')?.turn ?? assert.fail();
      for (const input of [0, 1, 50, 51, INPUT - 1, INPUT])
        for (const cacheWrite of [0, input])
          assert.ok(
            costOf(usage({ input: input - cacheWrite, cacheWrite, output: 1_000 }), price).nanoUsd <= reserve.nanoUsd,
          );
    }
  });

  it('what the provider has counted of the prefix, and the bytes of what is new', () => {
    const counted = usage({ input: 50, cachedInput: 30, cacheWrite: 10, output: 20 });
    under({})
      .given(answered('r1t1', [call()], { usage: counted }), returned('r1t1c0'))
      .and((s) => assert.equal(turn(s).reserve?.tokens, 110 + 10 + LIMITS.itemOverheadBytes + 1_000));
  });

  it('the whole prefix again where the model changes, and a new manifest where that does', () => {
    const whole = (s: Spec) => s.state.context.totalBytes + 400 + 1_000;
    under({})
      .given(answered('r1t1', [], { usage: usage({ input: 50, output: 20 }) }), {
        kind: 'configure',
        ifRevision: 1,
        config: { model: 'demo/two' },
      })
      .given(send('two'))
      .and((s) => assert.equal(turn(s).reserve?.tokens, whole(s)));
    const spec = under({}).given(answered('r1t1', [], { usage: usage({ input: 50, output: 20 }) }));
    assert.ok(spec.pin);
    spec.pin = { ...spec.pin, hash: 'h2', manifest: 'longer', manifestBytes: 9_000 };
    spec.given(send('two')).and((s) => assert.equal(turn(s).reserve?.tokens, 70 + 26 + 9_000 + 1_000));
  });

  it('what came while the model answered, a slot or a message, though the answer was counted', () => {
    under({})
      .given({ kind: 'remember', key: 'notes', ref: { digest: 'notes', bytes: 300 } }, send('two', { mode: 'steer' }))
      .given(answered('r1t1', [], { usage: usage({ input: 50, output: 20 }) }))
      .and((s) => assert.equal(turn(s).reserve?.tokens, 70 + SLOT + 26 + 1_000));
  });

  it('the slots too where nothing was counted', () => {
    given(open(), { kind: 'remember', key: 'notes', ref: { digest: 'notes', bytes: 300 } })
      .given(send('one'))
      .and((s) => assert.equal(turn(s).reserve?.tokens, INPUT + SLOT + 1_000));
  });
});

describe('under a cap of the run', () => {
  it('the output shrinks to what can be reserved', () => {
    under({ tokens: INPUT + 700 }).and((s) => assert.equal(turn(s).output, 700));
    under({ nanoUsd: PRICED_INPUT + 1_001 }, PRICE).and((s) => assert.equal(turn(s).output, 500));
  });

  it('what is too little for a turn is kept for the closing turn', () => {
    under({ tokens: INPUT + LIMITS.minOutputTokens - 1 })
      .leadsTo(
        'run.queued',
        'run.started',
        { kind: 'run.limited', data: { limit: 'tokens' } },
        {
          kind: 'turn.requested',
          data: { closing: 'tokens', maxOutputTokens: LIMITS.minOutputTokens - 1 },
        },
      )
      .when(answered('r1t1'))
      .leadsTo('turn.settled', { kind: 'run.ended', data: { status: 'limited', reason: 'tokens' } });
    under({ nanoUsd: PRICED_INPUT + 200 }, PRICE).leadsTo(
      'run.queued',
      'run.started',
      { kind: 'run.limited', data: { limit: 'money' } },
      {
        kind: 'turn.requested',
        data: { closing: 'money', maxOutputTokens: 100 },
      },
    );
  });

  it('what just suffices is taken', () => {
    under({ tokens: INPUT + LIMITS.minOutputTokens }).and((s) => assert.equal(turn(s).output, LIMITS.minOutputTokens));
    under({ tokens: INPUT + LIMITS.minClosingTokens }).and((s) =>
      assert.equal(turn(s).output, LIMITS.minClosingTokens),
    );
  });

  it('of money, an output that costs nothing is never shrunk; what the input costs is', () => {
    const free = { ...PRICE, output: 0 };
    under({ nanoUsd: PRICED_INPUT }, free).and((s) => assert.equal(turn(s).output, 1_000));
    under({ nanoUsd: PRICED_INPUT - 1 }, free).leadsTo('run.queued', 'run.started', 'run.limited', 'run.ended');
  });

  it('of both, the one that is short is named', () => {
    under({ tokens: 90_000, nanoUsd: 100 }, PRICE).leadsTo(
      'run.queued',
      'run.started',
      { kind: 'run.limited', data: { limit: 'money' } },
      'run.ended',
    );
    under({ tokens: 100, nanoUsd: 9_000_000 }, PRICE).leadsTo(
      'run.queued',
      'run.started',
      { kind: 'run.limited', data: { limit: 'tokens' } },
      'run.ended',
    );
  });

  it('what is too little even for that ends the run at once', () => {
    under({ tokens: INPUT + LIMITS.minClosingTokens - 1 }).leadsTo('run.queued', 'run.started', 'run.limited', {
      kind: 'run.ended',
      data: { status: 'limited', reason: 'tokens' },
    });
  });

  it('a lost attempt is charged, and made again only when it can be reserved again', () => {
    under({ tokens: 2 * (INPUT + 1_000) })
      .given({ restart: true })
      .when(lost('r1t1'))
      .leadsTo({ kind: 'turn.attempted', data: { n: 2 } })
      .given({ restart: true })
      .when(lost('r1t1', 2))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'failed', code: 'lost' } },
        { kind: 'run.limited', data: { limit: 'tokens' } },
        {
          kind: 'run.ended',
          data: { usage: { source: 'bound' } },
        },
      );
  });

  it('a lost attempt that cannot be as large again is followed by a smaller turn', () => {
    under({ tokens: 2 * (INPUT + 1_000) - 100 })
      .given({ restart: true })
      .when(lost('r1t1'))
      .leadsTo('turn.settled', { kind: 'turn.requested', effect: 'r1t2', data: { maxOutputTokens: 900 } });
  });

  it('a failed attempt that was billed is tried again only when it can be reserved again (B1)', () => {
    under({ tokens: 2 * (INPUT + 1_000) - 100 })
      .when(failed('r1t1', { spent: { kind: 'bound' } }))
      .leadsTo(
        { kind: 'turn.settled', data: { outcome: 'failed', code: 'unaffordable', detail: 'overloaded' } },
        {
          kind: 'turn.requested',
          data: { maxOutputTokens: 900 },
        },
      );
    under({ tokens: INPUT + 1_000 })
      .when(failed('r1t1', { spent: { kind: 'usage', usage: usage({ input: 400, output: 600 }) } }))
      .leadsTo(
        'turn.settled',
        { kind: 'run.limited', data: { limit: 'tokens' } },
        {
          kind: 'run.ended',
          data: { status: 'limited', reason: 'tokens', usage: { input: 400, output: 600 } },
        },
      );
    under({ tokens: INPUT + 1_000 })
      .when(failed('r1t1'))
      .leadsTo('turn.failed', 'turn.attempted');
  });
});

describe('a bill above what was reserved', () => {
  it('is an entry, and closes the account: no closing turn either (B3)', () => {
    under({ tokens: 100_000 })
      .when(answered('r1t1', [call()], { usage: usage({ input: 2_000, output: 1_000 }) }))
      .leadsTo(
        'turn.settled',
        {
          kind: 'budget.overrun',
          data: { limit: 'tokens', account: 'ses_1/r1', over: { tokens: 3_000 - INPUT - 1_000 } },
        },
        'call.requested',
      )
      .when(returned('r1t1c0'))
      .leadsTo(
        'call.settled',
        { kind: 'run.limited', data: { limit: 'tokens' } },
        { kind: 'run.ended', data: { status: 'limited', reason: 'tokens' } },
      );
  });

  it('in what no cap counts is none', () => {
    under({})
      .when(answered('r1t1', [], { usage: usage({ output: 9_000 }) }))
      .leadsTo('turn.settled', 'run.ended');
    under({ nanoUsd: 1_000_000 }, { ...PRICE, output: 0 })
      .when(answered('r1t1', [], { usage: usage({ output: 9_000 }) }))
      .leadsTo('turn.settled', 'run.ended');
  });

  it('of money is said to be one of money, also for an attempt that failed', () => {
    under({ nanoUsd: 1_000_000 }, PRICE)
      .when(failed('r1t1', { spent: { kind: 'usage', usage: usage({ output: 9_000 }) } }))
      .leadsTo(
        { kind: 'turn.settled', data: { code: 'unaffordable' } },
        { kind: 'budget.overrun', data: { limit: 'money' } },
        { kind: 'run.limited', data: { limit: 'money' } },
        'run.ended',
      );
  });
});

describe('under a cap of the session', () => {
  const short = (tokens: number) => under({ session: { tokens } });

  it('a run that meets it waits for somebody to raise or deny it', () => {
    short(500)
      .leadsTo('run.queued', 'run.started', {
        kind: 'wait.opened',
        data: { kind: 'budget', account: 'ses_1', limit: 'tokens', needed: INPUT + LIMITS.minOutputTokens, free: 500 },
      })
      .when(cap({ tokens: 5_000 }))
      .leadsTo(
        'wait.resolved',
        { kind: 'budget.raised', data: { account: 'ses_1', cap: { tokens: 5_000 } } },
        'turn.requested',
      )
      .when(cap({ tokens: 5_000 }))
      .changesNothing()
      .when(cap({ tokens: 6_000 }))
      .isRefused('wait_resolved');
  });

  it('a raise that does not suffice leads to the next question', () => {
    short(500)
      .when(cap({ tokens: 501 }))
      .leadsTo('wait.resolved', 'budget.raised', { kind: 'wait.opened', data: { wait: 'w2', free: 501 } });
  });

  it('a denial ends the run as limited, with a closing turn when there is something left', () => {
    short(100)
      .when(refuse)
      .leadsTo(
        'wait.resolved',
        { kind: 'run.limited', data: { limit: 'tokens' } },
        { kind: 'run.ended', data: { status: 'limited' } },
      );
    short(INPUT + 100)
      .when(refuse)
      .leadsTo('wait.resolved', 'run.limited', {
        kind: 'turn.requested',
        data: { closing: 'tokens', maxOutputTokens: 100 },
      });
  });

  it('what earlier runs spent counts, and a raise holds for later ones', () => {
    short(INPUT + 1_000)
      .given(answered('r1t1', [], { usage: usage({ input: 300, output: 100 }) }), send('two'))
      .and((s) => assert.equal(turn(s).output, INPUT + 1_000 - 400 - 400 - 26))
      .given(answered('r2t1', [], { usage: usage({ input: 400, output: 500 }) }))
      .when(send('three'))
      .leadsTo('run.queued', 'run.started', { kind: 'wait.opened', data: { free: 126 } })
      .given(cap({ tokens: 10_000 }), answered('r3t1'))
      .when(send('four'))
      .leadsTo('run.queued', 'run.started', 'turn.requested');
  });

  it('an answer that names no fitting cap is refused', () => {
    const spec = short(500);
    for (const caps of [{}, { nanoUsd: 5_000 }, { tokens: -1 }, { tokens: 0.5 }, { tokens: Number.POSITIVE_INFINITY }])
      spec.when(cap(caps)).isRefused('invalid_request');
    spec.when(cap({ tokens: 9_000, nanoUsd: 5_000 })).isRefused('invalid_request');
  });

  it('the wait ends with its run', () => {
    short(500)
      .when({ kind: 'cancel', run: 'r1' })
      .leadsTo('run.cancelling', { kind: 'wait.resolved', data: { how: 'cancelled' } }, 'run.ended');
  });
});

describe('a refusal of the ledger is a fact of the same input', () => {
  const refused = (account: string, free: number) => {
    const spec = new Spec().given(open());
    spec.refusal = { account, limit: 'tokens', needed: 2_000, free };
    return spec.when(send('one'));
  };

  it('that shrinks the output', () => {
    refused('agent/clerk', INPUT + 300).leadsTo('run.queued', 'run.started', {
      kind: 'turn.requested',
      data: { maxOutputTokens: 300 },
    });
  });

  it('that parks the run where the account is another one, which no answer of this session raises', () => {
    refused('agent/clerk', 100)
      .leadsTo('run.queued', 'run.started', {
        kind: 'wait.opened',
        data: { kind: 'budget', account: 'agent/clerk', free: 100 },
      })
      .when(cap({ tokens: 9_000 }))
      .isRefused('invalid_request')
      .when(refuse)
      .leadsTo('wait.resolved', { kind: 'run.limited', data: { limit: 'tokens' } }, 'turn.requested');
  });

  it('that limits the run where the account is its own', () => {
    refused('ses_1/r1', 100).leadsTo(
      'run.queued',
      'run.started',
      { kind: 'run.limited', data: { limit: 'tokens' } },
      'run.ended',
    );
  });

  it('that lets a lost attempt not be made again as it was', () => {
    const spec = under({ tokens: 100_000 }).given({ restart: true });
    spec.refusal = { account: 'ses_1', limit: 'tokens', needed: 2_000, free: INPUT + 300 };
    spec.when(lost('r1t1')).leadsTo('turn.settled', { kind: 'turn.requested', data: { maxOutputTokens: 300 } });
  });
});

describe('a budget above the session', () => {
  const DAY = 'tenant@2026-11-21';
  const ENDS = 5_000_000;
  const tenant = (caps: Caps, endsAt: number | null = ENDS): Budget => ({
    account: DAY,
    accounts: [
      { id: DAY, caps, endsAt },
      { id: 'tenant@total', caps: {}, endsAt: null },
    ],
  });
  const wake: Command = { kind: 'settle', effect: 'wake' };
  const within = (caps: Caps, price: Price | null = null, endsAt: number | null = ENDS) => {
    const spec = new Spec({ pin: { price } });
    spec.budgets = [tenant(caps, endsAt)];
    return spec.given(open());
  };
  const parked = (endsAt: number | null = ENDS) => {
    const spec = within({ tokens: 9_000 }, null, endsAt);
    spec.refusal = { account: DAY, limit: 'tokens', needed: 2_000, free: 10 };
    return spec.given(send('one'));
  };

  it('is named with each request that draws on it, and with each attempt (B4)', () => {
    const spec = within({ tokens: 9_000 });
    spec
      .when(send('one'))
      .leadsTo('run.queued', 'run.started', { kind: 'turn.requested', data: { draws: [DAY] } })
      .and((s) => assert.deepEqual(s.state.runs.get('r1')?.turn?.draws, [DAY]));
    spec.budgets = [{ ...tenant({}), account: 'tenant@2026-11-22' }];
    spec
      .when(failed('r1t1'))
      .leadsTo('turn.failed', { kind: 'turn.attempted', data: { draws: ['tenant@2026-11-22'] } })
      .and((s) => assert.deepEqual(s.state.runs.get('r1')?.turn?.draws, ['tenant@2026-11-22']));
    spec.budgets = [];
    spec
      .given({ restart: true })
      .when(lost('r1t1', 2))
      .leadsTo({ kind: 'turn.attempted', data: { n: 3 } })
      .and((s) => assert.deepEqual(s.state.runs.get('r1')?.turn?.draws, []));
  });

  it('parks a run until its period is over: then it asks again', () => {
    const spec = parked();
    spec.and((s) => {
      assert.equal(s.state.waits.get('w1')?.expiresAt, ENDS);
      assert.equal(wakeAt(s.state), ENDS);
    });
    spec.at = ENDS;
    spec.when(wake).leadsTo({ kind: 'wait.resolved', data: { how: 'expired' } }, 'turn.requested');
  });

  it('whose next period is short, too, parks it again until that is over', () => {
    const spec = parked();
    spec.at = ENDS;
    spec.budgets = [tenant({ tokens: 5 }, 2 * ENDS)];
    spec.refusal = { account: DAY, limit: 'tokens', needed: 2_000, free: 5 };
    spec
      .when(wake)
      .leadsTo(
        { kind: 'wait.resolved', data: { how: 'expired' } },
        { kind: 'wait.opened', data: { expiresAt: 2 * ENDS } },
      );
  });

  it('without an end is waited for until somebody raises it', () => {
    parked(null).and((s) => assert.equal(wakeAt(s.state), 86_400_000 + (s.state.runs.get('r1')?.startedAt ?? 0)));
  });

  it('that has room again lets the run go on; one that has none leaves the log as it was', () => {
    const spec = parked();
    spec.refusal = { account: DAY, limit: 'tokens', needed: 2_000, free: 10 };
    spec.when(wake).leadsTo();
    spec.when(wake).leadsTo({ kind: 'wait.resolved', data: { how: 'freed' } }, 'turn.requested');
  });

  it('that has a little room again shrinks the output to it', () => {
    const spec = parked();
    spec.refusal = { account: DAY, limit: 'tokens', needed: 2_000, free: INPUT + 300 };
    spec
      .when(wake)
      .leadsTo(
        { kind: 'wait.resolved', data: { how: 'freed' } },
        { kind: 'turn.requested', data: { maxOutputTokens: 300 } },
      );
  });

  it('that has room again is not what is waited for any more where another one is short', () => {
    const spec = parked();
    const month = { account: 'tenant@2026-11', limit: 'tokens', needed: 2_000, free: 0 } as const;
    spec.refusal = month;
    spec
      .when(wake)
      .leadsTo(
        { kind: 'wait.resolved', data: { how: 'freed' } },
        { kind: 'wait.opened', data: { kind: 'budget', account: month.account } },
      );
    spec.refusal = month;
    spec.when(wake).leadsTo();
  });

  it('is asked again by no run that is held', () => {
    parked().given({ kind: 'hold', run: 'r1' }).when(wake).leadsTo();
  });

  it('of money takes no model without a price: not at the door, and not in the middle of a run', () => {
    within({ nanoUsd: 5 }).when(send('one')).isRefused('invalid_request');
    const spec = new Spec().given(open(), send('one'));
    spec.budgets = [tenant({ nanoUsd: 5 })];
    spec
      .when(answered('r1t1', [call()]))
      .leadsTo('turn.settled', 'call.requested')
      .when(returned('r1t1c0'))
      .leadsTo('call.settled', { kind: 'run.ended', data: { status: 'failed', detail: 'unpriced_model' } });
  });

  it('closes a run whose bill passed what was reserved (B3)', () => {
    within({ tokens: 90_000 })
      .given(send('one'))
      .when(answered('r1t1', [call()], { usage: usage({ input: 5_000, output: 1_000 }) }))
      .leadsTo('turn.settled', { kind: 'budget.overrun', data: { limit: 'tokens' } }, 'call.requested')
      .and((s) => assert.equal(s.state.runs.get('r1')?.overrun, 'tokens'));
  });

  it('is drawn on by a compaction as by a turn', () => {
    const spec = within({ tokens: 90_000 }).given(send('one'), answered('r1t1'));
    spec
      .when({ kind: 'compact' })
      .leadsTo('compaction.asked', { kind: 'compaction.requested', data: { draws: [DAY] } })
      .and((s) => assert.deepEqual(s.state.compaction?.draws, [DAY]));
  });
});

describe('a model without a known price', () => {
  it('cannot run under a money cap, of the run or of the session', () => {
    const spec = new Spec().given(open());
    spec.when(send('one', { config: { limits: { nanoUsd: 5 } } })).isRefused('invalid_request');
    spec.when(send('one', { config: { limits: { session: { nanoUsd: 5 } } } })).isRefused('invalid_request');
  });

  it('ends a run that was accepted before its price was gone', () => {
    const spec = new Spec({ pin: { price: PRICE } }).given(
      open({ limits: { nanoUsd: 1_000_000 } }),
      send('one'),
      send('two'),
    );
    assert.ok(spec.pin);
    spec.pin = { ...spec.pin, price: null };
    spec.when(answered('r1t1')).leadsTo('turn.settled', 'run.ended', {
      kind: 'run.ended',
      run: 'r2',
      data: { status: 'failed', reason: 'internal', detail: 'unpriced_model' },
    });
  });
});

it('a cost is what each kind of token costs, rounded up', () => {
  const billed = usage({ input: 10, cachedInput: 15, cacheWrite: 2, output: 1 });
  assert.deepEqual(costOf(billed, PRICE), { nanoUsd: 10 + 2 + 2 + 2 + 0, price: 'list' });
  assert.deepEqual(costOf(billed, null), { nanoUsd: 0, price: null });
});

it('only a run with a cap has accounts', () => {
  const of = (limits: Partial<Limits>) => {
    const { state } = under(limits, PRICE);
    const run = state.runs.get('r1');
    assert.ok(run);
    assert.equal(runAccount(state, run), 'ses_1/r1');
    return isCapped(state, run.pin);
  };
  assert.deepEqual([of({}), of({ tokens: 9_000 }), of({ session: { nanoUsd: 9_000 } })], [false, true, true]);
});
