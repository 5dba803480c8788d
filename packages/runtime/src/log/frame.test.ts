import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Entry } from '@perdure/engine';
import { Spec, answered, call, open, send } from '@perdure/testkit/spec';
import { chainHash } from './digest.ts';
import type { Upcasters } from './frame.ts';
import { decodeFrame, encodeFrame, FrameTooLarge, UnknownEntry } from './frame.ts';

const entriesOf = (): Entry[] => [...new Spec().given(open(), send('one'), answered('r1t1', [call('unsafe')])).log];

const frames = (entries: readonly Entry[]): Entry[][] => {
  const byInput: Entry[][] = [];
  for (const entry of entries) {
    if (byInput.at(-1)?.[0]?.input === entry.input) byInput.at(-1)?.push(entry);
    else byInput.push([entry]);
  }
  return byInput;
};

const stored = (body: object): { bytes: Uint8Array } => ({ bytes: Buffer.from(JSON.stringify(body)) });
const note = { seq: 1, at: 5, input: 'i', by: { kind: 'user', id: 'u' } };

test('a frame gives back the entries it was made of', () => {
  for (const entries of frames(entriesOf())) {
    const frame = encodeFrame(entries, '');
    const read = decodeFrame(frame);
    assert.deepEqual(
      read.map(({ refs: _refs, ...entry }) => entry),
      entries.map(({ refs: _refs, ...entry }) => entry),
    );
    for (const [index, { refs }] of entries.entries())
      if (refs !== undefined) assert.deepEqual(read[index]?.refs, refs);
    assert.deepEqual([frame.first, frame.count], [entries[0]?.seq, entries.length]);
  }
});

test('the same entries are the same bytes, and what is read back is written as the same bytes', () => {
  for (const entries of frames(entriesOf())) {
    const { bytes } = encodeFrame(entries, '');
    assert.deepEqual(encodeFrame(structuredClone(entries), '').bytes, bytes);
    assert.deepEqual(encodeFrame(decodeFrame({ bytes }), '').bytes, bytes);
  }
});

test('each hash covers the bytes and the hash before', () => {
  const [first = [], second = []] = frames(entriesOf());
  const one = encodeFrame(first, '');
  const two = encodeFrame(second, one.hash);
  assert.equal(one.hash, createHash('sha256').update(one.bytes).digest('hex'));
  const chained = createHash('sha256').update(Buffer.from(one.hash, 'hex')).update(two.bytes).digest('hex');
  assert.equal(two.hash, chained);
  assert.notEqual(chainHash('', two.bytes), two.hash);
});

test('a frame is read out of a part of a larger buffer', () => {
  const { bytes } = encodeFrame(entriesOf().slice(0, 1), '');
  const padded = Buffer.concat([Buffer.from('xxx'), bytes, Buffer.from('yyy')]);
  assert.equal(decodeFrame({ bytes: padded.subarray(3, 3 + bytes.length) })[0]?.kind, 'session.opened');
});

test('entries of earlier versions are brought up step by step', () => {
  const upcasters: Upcasters = {
    'run.held@1': (entry) => ({ ...entry, v: 2, data: { steps: ['1'] } }),
    'run.held@2': (entry) => ({ ...entry, kind: 'run.released', v: 1, data: {} }),
  };
  const frame = stored({ ...note, entries: [{ kind: 'run.held', run: 'r1', data: {} }] });
  assert.deepEqual(decodeFrame(frame, upcasters), [{ ...note, kind: 'run.released', v: 1, run: 'r1', data: {} }]);
});

test('an entry one version ahead is read, further ones and unknown kinds are refused by name', () => {
  const ahead = (kind: string, v: number): { bytes: Uint8Array } =>
    stored({ ...note, entries: [{ kind, v, data: {} }] });
  assert.equal(decodeFrame(ahead('run.held', 2))[0]?.v, 2);
  assert.throws(
    () => decodeFrame(ahead('run.held', 3)),
    (error) => error instanceof UnknownEntry && /run\.held/.test(error.message),
  );
  for (const kind of ['run.folded', '__proto__', 'constructor', 'toString'])
    assert.throws(() => decodeFrame(ahead(kind, 1)), { code: 'unknown_entry' });
});

test('entries that do not fit are refused before anything is written', () => {
  const [entry] = entriesOf();
  assert.ok(entry);
  const large = { ...entry, data: { ...entry.data, agent: 'a'.repeat(256 * 1024) } } as Entry;
  assert.throws(() => encodeFrame([large], ''), FrameTooLarge);
  assert.throws(() => encodeFrame([], ''), RangeError);
});

test('a submission that is the input of its frame is written once, another one stays', () => {
  for (const [submission, times] of [
    ['the input', 1],
    ['another', 2],
  ] as const) {
    const entries = entriesOf()
      .filter((entry) => entry.kind === 'run.queued')
      .map((entry) => ({ ...entry, input: 'the input', data: { ...entry.data, submission } }));
    const frame = encodeFrame(entries, '');
    assert.equal(
      Buffer.from(frame.bytes)
        .toString()
        .split(/the input|another/).length - 1,
      times,
    );
    assert.deepEqual(decodeFrame(frame)[0]?.data, entries[0]?.data);
    assert.deepEqual(Object.keys(decodeFrame(frame)[0]?.data ?? {}), Object.keys(entries[0]?.data ?? {}));
  }
});
