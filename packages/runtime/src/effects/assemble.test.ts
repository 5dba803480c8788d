import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Item, State } from '@perdure/engine';
import { freshState } from '@perdure/engine';
import fc from 'fast-check';
import { contentText, emptyPrefix, extendPrefix, fingerprintOf, neutral, sealOf } from './assemble.ts';
import type { ModelAdapter } from '../ports.ts';

const adapter: Pick<ModelAdapter, 'render'> = {
  render: (item) => (item.kind === 'message' && item.parts.length === 0 ? '' : JSON.stringify(item)),
};
const bodies = new Map<string, string>();
const keep = (value: unknown): { digest: string; bytes: number; seq: number } => {
  const text = JSON.stringify(value);
  const digest = `d${bodies.size}`;
  bodies.set(digest, text);
  return { digest, bytes: text.length, seq: 1 };
};
const contents = {
  body: async ({ digest }: { digest: string }): Promise<string> => bodies.get(digest) ?? assert.fail(digest),
  blob: async (digest: string): Promise<Uint8Array> => Buffer.from(`bytes of ${digest}`),
  takes: { image: 1, file: 1 },
};
const render = async (from: Parameters<typeof extendPrefix>[0], items: readonly Item[]) =>
  extendPrefix(from, items, adapter as ModelAdapter, contents);

const itemArb: fc.Arbitrary<Item> = fc.oneof(
  fc.array(fc.string(), { maxLength: 2 }).map((texts): Item => ({
    kind: 'message',
    seq: 1,
    run: 'r1',
    trusted: true,
    body: keep({ parts: texts.map((text) => ({ type: 'text', text })) }),
  })),
  fc.string().map((text): Item => ({
    kind: 'turn',
    seq: 1,
    model: 'm',
    body: keep({ model: 'm', text, calls: [], native: { text } }),
  })),
  fc.string().map((content): Item => ({
    kind: 'result',
    seq: 1,
    call: 'r1t1c0',
    providerId: content,
    name: 'pay',
    outcome: 'done',
    code: null,
    body: keep({ content }),
  })),
);
const stateOf = (items: Item[]): State => {
  const state = freshState();
  state.context.items = items;
  return state;
};

test('a prefix extended piece by piece is the one assembled from scratch', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(itemArb, { maxLength: 12 }),
      fc.array(fc.nat(12), { maxLength: 4 }),
      async (items, cuts) => {
        const whole = await render(emptyPrefix('m'), items);
        let grown = emptyPrefix('m');
        for (const cut of [...cuts.toSorted((a, b) => a - b), items.length]) {
          assert.equal(fingerprintOf(stateOf(items).context, [], grown), whole.fingerprint);
          grown = await render(grown, items.slice(0, Math.max(grown.items, Math.min(cut, items.length))));
        }
        assert.deepEqual(grown, whole);
        assert.equal(JSON.parse(`[${whole.rendered}]`).length, items.filter((item) => adapterSays(item)).length);
      },
    ),
    { numRuns: 200 },
  );
});

const adapterSays = (item: Item): boolean =>
  item.kind !== 'message' ||
  (JSON.parse(bodies.get(item.body.digest) ?? '{}') as { parts: unknown[] }).parts.length > 0;

test('a fingerprint changes with every item, its order, its outcome and the slots', async () => {
  const message: Item = { kind: 'message', seq: 1, run: 'r1', trusted: true, body: keep({ parts: [] }) };
  const other: Item = { kind: 'message', seq: 1, run: 'r1', trusted: true, body: keep({ parts: [] }) };
  const result = (outcome: 'done' | 'failed', code: string | null): Item => ({
    kind: 'result',
    seq: 1,
    call: 'r1t1c0',
    providerId: 'p',
    name: 'pay',
    outcome,
    code,
    body: null,
  });
  const states = [
    stateOf([]),
    stateOf([message]),
    stateOf([message, other]),
    stateOf([other, message]),
    stateOf([message, result('done', null)]),
    stateOf([message, result('failed', null)]),
    stateOf([message, result('failed', 'x')]),
  ];
  const slotted = stateOf([message]);
  const slot = { ...keep('one'), key: 'todo', revision: 1, at: 0, by: { kind: 'user', id: 'u1' } } as const;
  slotted.context.slots = [slot];
  const renamed = stateOf([message]);
  renamed.context.slots = [{ ...slot, key: 'notes' }];
  const seals = [...states, slotted, renamed].map((state) =>
    fingerprintOf(state.context, state.context.slots, emptyPrefix('m')),
  );
  assert.equal(new Set(seals).size, seals.length);
});

test('a seal covers the context, the pin, the bound and the place on the route', () => {
  const seals = [sealOf('a', 'b', 1), sealOf('x', 'b', 1), sealOf('a', 'x', 1), sealOf('a', 'b', 2)];
  assert.equal(new Set([...seals, sealOf('a', 'b', 1, 1)]).size, 5);
});

test('an answer without a body of its own has words for what happened', async () => {
  const said = async (outcome: 'done' | 'failed' | 'denied' | 'cancelled' | 'unknown', code: string | null) => {
    const item = await neutral(
      { kind: 'result', seq: 1, call: 'r1t1c0', providerId: 'p', name: 'pay', outcome, code, body: null },
      contents,
      'm',
    );
    return item.kind === 'result' ? item.content : '';
  };
  assert.match(await said('done', 'timer'), /time has passed/);
  assert.match(await said('denied', 'denied'), /person denied/);
  assert.match(await said('denied', 'policy'), /policy denies/);
  assert.match(await said('unknown', 'requested'), /not known whether/);
  assert.match(await said('cancelled', 'requested'), /Cancelled/);
  assert.match(await said('done', 'by_person'), /did? ?take effect|took effect/);
  assert.match(await said('failed', 'by_person'), /did not take effect/);
  assert.match(await said('failed', 'tool_gone'), /does not exist/);
});

test('content reads as text, or as JSON', () => {
  assert.equal(contentText('a'), 'a');
  assert.equal(contentText({ a: [1] }), '{"a":[1]}');
});

test('what is not text is rendered with its content', async () => {
  const image = { type: 'image' as const, digest: 'D', mediaType: 'image/png' };
  const item = await neutral(
    { kind: 'message', seq: 1, run: 'r1', trusted: true, body: keep({ parts: [image] }) },
    contents,
    'm',
  );
  const base64 = Buffer.from('bytes of D').toString('base64');
  assert.deepEqual(item, { kind: 'message', parts: [{ ...image, base64 }] });
});
