import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Delta } from '../ports.ts';
import { Redactor } from '../secrets/redact.ts';
import { createLive } from './speech.ts';

const heard = (): { out: Delta[]; live: ReturnType<typeof createLive> } => {
  const out: Delta[] = [];
  return { out, live: createLive(new Redactor(), (delta) => out.push(delta)) };
};

test('what a model says at once goes out at once, each part by itself and in its order', async () => {
  const { out, live } = heard();
  for (const word of ['The ', 'sum ', 'is ']) live.push({ part: 'text', text: word });
  live.push({ part: 'arguments', call: 0, name: 'add', text: '{"a":' });
  live.push({ part: 'arguments', call: 0, name: 'add', text: '2}' });
  live.push({ part: 'arguments', call: 1, name: 'add', text: '{}' });
  live.push({ part: 'text', text: 'five. ' });
  await Promise.resolve();
  live.end();
  assert.deepEqual(
    out.map(({ part, text }) => [part, text]),
    [
      ['text', 'The sum is '],
      ['arguments', '{"a":2}'],
      ['arguments', '{}'],
      ['text', 'five. '],
    ],
  );
});

test('what it says is not held back until it says more', async () => {
  const { out, live } = heard();
  live.push({ part: 'text', text: 'The ' });
  await Promise.resolve();
  assert.deepEqual(out, [{ part: 'text', text: 'The ' }]);
  live.push({ part: 'text', text: 'end ' });
  live.end();
  live.push({ part: 'text', text: 'of nothing' });
  await Promise.resolve();
  assert.deepEqual(
    out.map(({ text }) => text),
    ['The ', 'end '],
  );
});
