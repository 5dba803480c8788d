import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { answered, call, open, returned, send, Spec, usage } from '@perdure/testkit/spec';
import { LIMITS } from './limits.ts';
import { mediaTokens } from './media.ts';
import type { MediaBound, Pin } from './values.ts';

const TAKES: MediaBound = { image: 1_500, file: null, most: 100_000 };
const image = { images: 1, files: 0, bytes: 4_000, digests: ['blob-1'] };
const file = { images: 0, files: 1, bytes: 9_000, digests: ['blob-2'] };
const spec = (media: MediaBound | undefined, more: Partial<Pin> = {}) =>
  new Spec({ pin: media === undefined ? more : { media, ...more } }).given(open());
const capped = { limits: { turns: 50, calls: 200, deadlineMs: 1_000_000, tokens: 50_000 } };

describe('a message with images and files', () => {
  it('is accepted where every model of the route takes it', () => {
    spec({ image: 1_500 })
      .given({ kind: 'configure', ifRevision: 1, config: { model: ['a/one', 'b/blind'] } })
      .when(send('one', { media: image }))
      .isRefused('invalid_request')
      .and(({ last }) => assert.deepEqual(last.ok || last.rejection.details, { model: 'b/blind' }));
  });

  it('names their blobs among its refs, and how many there are, once', () => {
    spec(TAKES)
      .when(send('one', { media: image }))
      .leadsTo(
        { kind: 'run.queued', data: { media: { images: 1, files: 0, bytes: 4_000 } } },
        'run.started',
        'turn.requested',
      )
      .and((s) => {
        const [, queued] = s.log;
        assert.deepEqual(queued?.refs, ['message one', 'blob-1']);
        assert.ok(!JSON.stringify(queued?.data).includes('blob-1'));
      });
  });

  it('is refused where its model is not known to take them, also when it is steered (M1)', () => {
    spec(undefined)
      .when(send('one', { media: image }))
      .isRefused('invalid_request');
    spec({ file: 100 })
      .when(send('one', { media: image }))
      .isRefused('invalid_request');
    spec({ image: 100 })
      .when(send('one', { media: file }))
      .isRefused('invalid_request');
    spec({ image: 100 })
      .given(send('one'))
      .when(send('two', { mode: 'steer', media: file }))
      .isRefused('invalid_request')
      .when(send('two', { mode: 'steer', media: image }))
      .leadsTo({ kind: 'run.steered', data: { media: { images: 1 } } });
  });

  it('is refused where the session would hold more than a request carries, what waits counted (M1)', () => {
    const half = { images: 1, files: 0, bytes: LIMITS.sessionMediaBytes / 2, digests: ['b'] };
    spec(TAKES)
      .given(send('one', { media: half }), send('two', { media: half }))
      .when(send('three', { media: { ...image, bytes: 1 } }))
      .isRefused('too_large')
      .when(send('four'))
      .leadsTo('run.queued');
    const many = { images: LIMITS.sessionMedia, files: 0, bytes: 1, digests: ['b'] };
    spec(TAKES)
      .given(send('one'), send('two', { mode: 'steer', media: many }))
      .when(send('three', { media: image }))
      .isRefused('too_large');
  });

  it('is refused under a cap where nobody says what one counts, and goes without a cap (M2)', () => {
    spec({ image: null }, capped)
      .when(send('one', { media: image }))
      .isRefused('invalid_request');
    spec({ image: null })
      .when(send('one', { media: image }))
      .leadsTo('run.queued', 'run.started', 'turn.requested');
  });
});

describe('the bound of a request', () => {
  it('holds what the model says of each image and file, until the provider has counted them', () => {
    const plain = spec(TAKES).given(send('one'));
    const with2 = spec({ image: 1_500, file: 7_000 }).given(send('one', { media: { ...image, images: 2, files: 1 } }));
    const before = plain.state.reserved.tokens;
    assert.equal(with2.state.reserved.tokens, before + 2 * 1_500 + 7_000);
    with2.given(answered('r1t1', [call()], { usage: usage({ input: 9_000 }) }), returned('r1t1c0'));
    assert.equal(with2.state.reserved.tokens, 9_020 + 10 + LIMITS.itemOverheadBytes + 1_000);
  });

  it('holds what came while the model answered, which nobody has counted', () => {
    const s = spec({ image: 1_500 }).given(send('one'), send('two', { mode: 'steer', media: image }));
    s.given(answered('r1t1', [], { usage: usage({ input: 50, output: 20 }) }));
    assert.equal(s.state.reserved.tokens, 70 + 10 + LIMITS.itemOverheadBytes + 1_500 + 1_000);
  });

  it('holds all of them again where the model changes, or takes what it was not sent before', () => {
    const s = spec({ image: 1_500 }).given(send('one', { media: image }), answered('r1t1'));
    assert.ok(s.pin);
    s.pin = { ...s.pin, media: { image: 1_500, file: 100 } };
    const all = s.state.context.totalBytes + 10 + LIMITS.itemOverheadBytes + 400 + 1_000;
    s.given(send('two'));
    assert.equal(s.state.reserved.tokens, all + 1_500);
  });

  it('has nothing for what a model does not take: that is not sent', () => {
    assert.equal(mediaTokens({ images: 3, files: 2, bytes: 9 }, {}), 0);
    assert.equal(mediaTokens({ images: 3, files: 2, bytes: 9 }, { image: 10 }), 30);
    assert.equal(mediaTokens({ images: 3, files: 2, bytes: 9 }, { image: 10, file: null }), null);
    assert.equal(mediaTokens({ images: 3, files: 2, bytes: 9 }, { image: 10, file: 500, most: 900 }), 900);
  });

  it('ends a run whose model has become one that no cap can hold (M2)', () => {
    const s = spec({ image: 1_500 }, capped).given(send('one', { media: image }), answered('r1t1'));
    assert.ok(s.pin);
    s.pin = { ...s.pin, media: { image: null } };
    s.when(send('two')).leadsTo('run.queued', 'run.started', {
      kind: 'run.ended',
      data: { status: 'failed', reason: 'internal', detail: 'unbounded_media' },
    });
  });
});
