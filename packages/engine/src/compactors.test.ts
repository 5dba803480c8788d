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
  returned,
  send,
  Spec,
  summed,
  unsummed,
  usage,
} from '@perdure/testkit/spec';
import type { Command } from './commands.ts';
import { compactorsOf } from './compactors.ts';
import { LIMITS } from './limits.ts';
import type { CompactsBound, Limits, Pin, Price } from './values.ts';

const OWN: Price = { id: 'own', input: 1_000, cachedInput: 100, cacheWrite: 1_250, output: 8_000 };
const CHEAP: Price = { id: 'cheap', input: 100, cachedInput: 100, cacheWrite: 100, output: 400 };
const cheap: NonNullable<Pin['summarizer']> = { model: 'demo/cheap', maxOutputTokens: 900, price: CHEAP, cheap: true };
const opaque: CompactsBound = { maxOutputTokens: 20_000, opaque: true };
const readable: CompactsBound = { maxOutputTokens: 2_000 };
const limits = (over: Partial<Limits>): Limits => ({ turns: 9, calls: 9, deadlineMs: 9e9, ...over });

const read = ({ state }: Spec): string[] =>
  state.context.items.map((item) =>
    item.kind === 'result' ? `${item.call} ${item.outcome}` : `${item.kind} ${item.body.digest}`,
  );
const large = (submission: string, bytes: number): Command =>
  send(submission, { message: { digest: `message ${submission}`, bytes } });
/** A session whose two runs have ended, and that is to be compacted. */
const asked = (pin: Partial<Pin> = {}) =>
  new Spec({ pin: { price: OWN, ...pin } })
    .given(open(), large('one', 9_000), answered('r1t1'), send('two'), answered('r2t1'))
    .given(compact);
/** The same within one run, whose model's window is nearly full. */
const full = (pin: Partial<Pin> = {}) =>
  new Spec({ pin: { price: OWN, windowTokens: 32_000, maxOutputTokens: 1_000, ...pin } })
    .given(open(), large('one', 9_000), answered('r1t1'), send('two'))
    .given(answered('r2t1', [call()], { usage: usage({ input: 26_700, output: 100 }) }), returned('r2t1c0'));
const begun = ({ state }: Spec) => {
  const { by, model, inputBytes, maxOutputTokens } = state.compaction ?? assert.fail('no compaction is under way');
  return [by, model.model, inputBytes !== null, maxOutputTokens];
};

describe('who compacts a conversation', () => {
  it('is the provider of its model, then a cheap model of that one, then the model itself (K1)', () => {
    asked({ compacts: opaque, summarizer: cheap }).and((s) =>
      assert.deepEqual(begun(s), ['native', 'demo/one', false, 20_000]),
    );
    asked({ summarizer: cheap }).and((s) => assert.deepEqual(begun(s), ['cheap', 'demo/cheap', true, 900]));
    asked().and((s) => assert.deepEqual(begun(s), [null, 'demo/one', false, 1_000]));
  });

  it('is whoever was named, before any cheap one', () => {
    const { cheap: _none, ...named } = cheap;
    asked({ summarizer: named }).and((s) => assert.deepEqual(begun(s), [null, 'demo/cheap', true, 900]));
  });

  it('is said in the log where it is not the usual one', () => {
    asked({ compacts: readable }).leadsTo('compaction.asked', {
      kind: 'compaction.requested',
      data: { by: 'native', maxOutputTokens: 2_000 },
    });
    asked({ summarizer: cheap }).leadsTo('compaction.asked', {
      kind: 'compaction.requested',
      data: { by: 'cheap', model: 'demo/cheap' },
    });
    asked().and(({ log }) => {
      const data = log.find(({ kind }) => kind === 'compaction.requested')?.data ?? assert.fail();
      assert.deepEqual(['by' in data, 'model' in data], [false, false]);
    });
  });

  it('reserves and pays at its own price', () => {
    asked({ summarizer: cheap })
      .given(summed('k1', { usage: usage({ input: 10_000, output: 100 }) }))
      .and((s) => {
        const cost = s.log.flatMap((entry) => (entry.kind === 'compaction.settled' ? [entry.data.cost] : []));
        assert.deepEqual(cost, [{ nanoUsd: 1_040, price: 'cheap' }]);
      });
  });

  it('is not a cheap model that would not read the whole, nor one of a provider that its run has left (K3)', () => {
    asked({ summarizer: { ...cheap, windowTokens: 4_000 } }).and((s) => assert.equal(begun(s)[0], null));
    new Spec({ pin: { summarizer: cheap } })
      .given(open({ model: ['a/one', 'b/two'] }), large('one', 9_000), answered('r1t1'), send('two'))
      .given(failed('r2t1', { code: 'auth', retry: 'no' }), answered('r2t2', [call()]), compact)
      .when(returned('r2t2c0'))
      .leadsTo('call.settled', { kind: 'compaction.requested', data: { model: 'b/two' } })
      .and((s) => assert.deepEqual(begun(s).slice(0, 2), [null, 'b/two']));
  });

  it('is not its provider where that has just said that the context is too long', () => {
    new Spec({ pin: { compacts: opaque } })
      .given(open(), large('one', 9_000), answered('r1t1'), send('two'))
      .when(failed('r2t1', { code: 'context_length', retry: 'no' }))
      .leadsTo('turn.settled', { kind: 'compaction.requested', data: { cause: 'overflow' } })
      .and((s) => assert.deepEqual(begun(s).slice(0, 3), [null, 'demo/one', true]));
  });

  it('makes no opaque item of images and files, which would travel with it', () => {
    const media = { images: 1, files: 0, bytes: 90, digests: ['image'] };
    const shown = (compacts: CompactsBound) =>
      new Spec({ pin: { compacts, media: { image: 900 } } })
        .given(open(), send('one', { message: { digest: 'look', bytes: 900 }, media }), answered('r1t1'), compact)
        .and((s) => assert.equal(begun(s)[0], 'opaque' in compacts ? null : 'native'));
    shown(opaque);
    shown(readable);
  });

  it('is not its provider where no cap has room for the most that it may write', () => {
    const tight = { limits: limits({ session: { tokens: 50_000 } }) };
    asked({ compacts: { maxOutputTokens: 50_000 }, summarizer: cheap, ...tight }).and((s) =>
      assert.deepEqual(begun(s).slice(0, 2), ['cheap', 'demo/cheap']),
    );
    asked({ compacts: { maxOutputTokens: 30_000 }, summarizer: cheap, ...tight }).and((s) =>
      assert.deepEqual(begun(s).slice(0, 2), ['native', 'demo/one']),
    );
  });
});

describe('where one fails', () => {
  const cannot = (k: 'k1' | 'k2', code = 'unsupported') => unsummed(k, { code, retry: 'no' });

  it('the next one tries it in the same append, and the last one is the last word (M6, K2)', () => {
    asked({ compacts: opaque, summarizer: cheap })
      .when(cannot('k1'))
      .leadsTo(
        { kind: 'compaction.settled', effect: 'k1', data: { code: 'unsupported', again: true } },
        { kind: 'compaction.requested', effect: 'k2', data: { cause: 'asked', by: 'cheap' } },
      )
      .when(cannot('k2', 'model_not_found'))
      .leadsTo(
        { kind: 'compaction.settled', data: { again: true } },
        { kind: 'compaction.requested', effect: 'k3', data: { cause: 'asked' } },
      )
      .and((s) => assert.equal(begun(s)[0], null))
      .when(unsummed('k3', { code: 'empty', retry: 'no' }))
      .leadsTo('compaction.settled')
      .and(({ last, state }) => {
        assert.ok(last.ok && !JSON.stringify(last.entries).includes('again'));
        assert.deepEqual(state.compactorsTried, []);
      });
  });

  it('a run waits for the next one, and goes on behind what that one wrote', () => {
    full({ compacts: opaque })
      .when(cannot('k1', 'length'))
      .leadsTo('compaction.settled', { kind: 'compaction.requested', run: 'r2', data: { cause: 'window' } })
      .when(summed('k2'))
      .leadsTo('compaction.settled', 'context.compacted', { kind: 'turn.requested', effect: 'r2t2' });
  });

  it('what made nothing smaller is paid, and tried by the next one', () => {
    full({ compacts: readable })
      .when(summed('k1', { bytes: 9_000, usage: usage({ input: 9_000 }) }))
      .leadsTo({ kind: 'compaction.settled', data: { code: 'no_gain', again: true } }, 'compaction.requested')
      .and(({ state }) => assert.equal(state.spent.tokens, 120 + 26_800 + 9_020));
  });

  it('a context that was refused as too long is tried by the next one before its turn is made again (M5)', () => {
    new Spec({ pin: { summarizer: cheap } })
      .given(open(), large('one', 9_000), answered('r1t1'), send('two'))
      .given(failed('r2t1', { code: 'context_length', retry: 'no' }))
      .and((s) => assert.equal(begun(s)[0], 'cheap'))
      .when(cannot('k1', 'auth'))
      .leadsTo('compaction.settled', { kind: 'compaction.requested', data: { cause: 'overflow' } })
      .when(unsummed('k2', { code: 'auth', retry: 'no' }))
      .leadsTo('compaction.settled', { kind: 'run.ended', data: { reason: 'context', detail: 'auth' } });
  });

  it('what nobody else would do better is not tried again', () => {
    for (const code of ['blocked', 'aborted', 'blob_missing'])
      full({ compacts: opaque }).when(cannot('k1', code)).leadsTo('compaction.settled', 'turn.requested');
  });

  it('a lost attempt is charged, and asked of the same one again (M2)', () => {
    asked({ compacts: opaque, price: OWN })
      .given({ restart: true })
      .when(lost('k1'))
      .leadsTo({ kind: 'compaction.attempted', data: { n: 2, reason: 'lost' } })
      .and((s) => {
        assert.equal(begun(s)[0], 'native');
        assert.equal(s.state.cost.nanoUsd > 160_000, true);
      });
  });
});

describe('what only one model can read', () => {
  const TAIL = ['turn answer r1t1', 'message message two', 'turn answer r2t1'];
  const other = (spec: Spec, over: Partial<Pin> = {}): void => {
    spec.pin = { ...(spec.pin ?? assert.fail()), hash: 'another', model: 'other/two', ...over };
  };
  const sealed = (pin: Partial<Pin> = {}) => asked({ compacts: opaque, ...pin }).given(summed('k1', { opaque: true }));

  it('is read by that model in place of what came before it', () => {
    sealed()
      .leadsTo('compaction.settled', { kind: 'context.compacted', data: { model: 'demo/one' } })
      .when(send('three'))
      .leadsTo('run.queued', 'run.started', 'turn.requested')
      .and((s) => assert.deepEqual(read(s), ['summary summary k1', ...TAIL, 'message message three']));
  });

  it('is undone for another model, which reads what was said, and may have that compacted at once (M7, C5)', () => {
    const spec = sealed();
    other(spec);
    spec
      .when(send('three'))
      .leadsTo(
        'run.queued',
        'run.started',
        { kind: 'context.restored', run: 'r3', data: { model: 'other/two' } },
        'turn.requested',
      )
      .and((s) => assert.deepEqual(read(s), ['message message one', ...TAIL, 'message message three']))
      .given(answered('r3t1', [call()]), compact)
      .when(returned('r3t1c0'))
      .leadsTo('call.settled', 'compaction.requested');
  });

  it('is undone before the model that a run falls back to', () => {
    const route = { fallbacks: [{ model: 'other/two', maxOutputTokens: 1_000, price: OWN }] };
    sealed(route)
      .given(send('three'))
      .when(failed('r3t1', { code: 'auth', retry: 'no' }))
      .leadsTo('turn.settled', 'context.restored', { kind: 'turn.requested', data: { model: 'other/two' } });
  });

  it('is undone, and compacted for the other one, where that one’s window would be full of it', () => {
    const spec = sealed();
    other(spec, { windowTokens: 3_300, maxOutputTokens: 300 });
    spec
      .when(send('three'))
      .leadsTo('run.queued', 'run.started', 'context.restored', {
        kind: 'compaction.requested',
        data: { cause: 'window' },
      })
      .given(unsummed('k2', { code: 'auth', retry: 'no' }), summed('k3'))
      .and((s) => assert.deepEqual(read(s), ['summary summary k3', ...TAIL, 'message message three']));
  });

  it('keeps what the user asked of the active run, once, whoever reads it (M3)', () => {
    const pin = { windowTokens: 32_000, maxOutputTokens: 1_000, compacts: opaque };
    const spec = new Spec({ pin }).given(open(), large('one', 400));
    for (let n = 1; n <= 12; n += 1) {
      const counted = usage({ input: n === 12 ? 26_800 : 100 });
      spec.given(answered(`r1t${n}`, [call()], { usage: counted }), returned(`r1t${n}c0`));
    }
    const last = ['turn answer r1t11', 'r1t11c0 done', 'turn answer r1t12', 'r1t12c0 done'];
    spec
      .given(summed('k1', { opaque: true }))
      .and((s) => assert.deepEqual(read(s), ['summary summary k1', 'message message one', ...last]))
      .given(answered('r1t13'));
    other(spec, { windowTokens: 900_000 });
    spec.given(send('two')).and((s) => {
      assert.deepEqual(read(s).slice(0, 3), ['message message one', 'turn answer r1t1', 'r1t1c0 done']);
      assert.deepEqual(read(s).slice(-6), [...last, 'turn answer r1t13', 'message message two']);
      assert.equal(read(s).length, 1 + 24 + 2);
    });
  });

  it('stands, compacted a second time, for all that both stood for', () => {
    const spec = sealed().given(large('three', 9_000), answered('r3t1'), compact, summed('k2', { opaque: true }));
    spec.and((s) => assert.deepEqual(read(s), ['summary summary k2', 'turn answer r3t1']));
    other(spec);
    spec.given(send('four')).and((s) => assert.equal(read(s).length, 7));
  });

  it('is summarised by who can read it, as a text of what it stands for', () => {
    const spec = sealed({ summarizer: cheap });
    const { compacts: _none, ...pin } = spec.pin ?? assert.fail();
    spec.pin = pin;
    spec.given(large('three', 9_000), answered('r3t1'), compact).and((s) => {
      assert.equal(s.state.compaction?.by, 'cheap');
      assert.ok((s.state.compaction?.inputBytes ?? 0) > 18_000);
    });
    spec.given(summed('k2')).and((s) => assert.deepEqual(read(s), ['summary summary k2', 'turn answer r3t1']));
  });

  it('is not made where it would hold more items than may be kept', () => {
    const { state, pin } = sealed();
    const [summary] = state.context.items;
    assert.ok(summary?.kind === 'summary' && summary.held !== undefined && pin !== null);
    const held = (items: number): unknown => {
      const one = summary.held?.items[0] ?? assert.fail();
      const full = { ...summary, held: { model: pin.model, items: Array.from({ length: items }, () => one) } };
      state.context.items = [full];
      return compactorsOf(state, null, pin, 'asked', { pin: () => pin })[0]?.by;
    };
    assert.deepEqual([held(LIMITS.heldItems), held(LIMITS.heldItems + 1)], ['native', null]);
  });

  it('is opaque only where its provider made it: a summary that says so is read by anybody', () => {
    given(open(), large('one', 9_000), answered('r1t1'), compact, summed('k1', { opaque: true })).and(({ log }) => {
      const data = log.find(({ kind }) => kind === 'context.compacted')?.data ?? assert.fail();
      assert.equal('model' in data, false);
    });
  });
});
