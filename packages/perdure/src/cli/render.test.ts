import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { Delta, Entry } from '@perdure/contract';
import { TextRenderer } from './render.ts';

const delta = (offset: number, text: string, attempt = 1): Delta => ({
  run: 'r1',
  effect: 'r1t1',
  attempt,
  offset,
  part: 'text',
  text,
});
const settled = (text: string, effect = 'r1t1'): Entry =>
  ({
    kind: 'turn.settled',
    run: 'r1',
    effect,
    data: { outcome: 'done', body: { digest: 'd', bytes: 1, body: { text, calls: [] } } },
  }) as unknown as Entry;

function shown(work: (renderer: TextRenderer) => void): string {
  let text = '';
  const write = mock.method(process.stdout, 'write', (more: string) => {
    text += more;
    return true;
  });
  try {
    work(new TextRenderer({ messages: () => false }));
  } finally {
    write.mock.restore();
  }
  return text;
}

test('an answer is shown once, however its pieces overlap, and ends its line', () => {
  const text = shown((renderer) => {
    for (const piece of [delta(0, 'Hel'), delta(0, 'Hello'), delta(3, 'lo, you')]) renderer.delta(piece);
    renderer.entry(settled('Hello, you.'));
  });
  assert.equal(text, 'Hello, you.\n');
});

test('what was not streamed comes with the entry: a late joiner, a gap, no stream at all', () => {
  assert.equal(
    shown((renderer) => renderer.entry(settled('all of it'))),
    'all of it\n',
  );
  const gap = shown((renderer) => {
    renderer.delta(delta(0, 'one '));
    renderer.delta(delta(8, 'three'));
    renderer.entry(settled('one two three'));
  });
  assert.equal(gap, 'one two three\n');
});

test('what an attempt said that was given up is not taken for the answer', () => {
  const text = shown((renderer) => {
    renderer.delta(delta(0, 'wrong'));
    renderer.delta(delta(0, 'right', 2));
    renderer.delta(delta(5, ' late', 1));
    renderer.entry(settled('right'));
  });
  assert.equal(text, 'wrong\nright\n');
});

test('what would steer the terminal is left out; an answer that the stream does not carry is named', () => {
  const said: string[] = [];
  const write = (text: string): void => void said.push(text);
  const renderer = new TextRenderer({ messages: () => false, paper: { print: write, tell: write } });
  renderer.delta(delta(0, 'a\u001b[2J\u009b1mb\tc\r\n'));
  renderer.entry(settled('a\u001b[2J\u009b1mb\tc\r\n'));
  assert.equal(said.splice(0).join(''), 'a[2J1mb\tc\n');
  const data = { outcome: 'done', body: { digest: 'd', bytes: 100_000 } };
  renderer.entry({ kind: 'turn.settled', run: 'r1', effect: 'r1t2', data } as unknown as Entry);
  assert.match(said.join(''), /too long for the stream/);
});

test('a run that goes on with another model says which and why, once', () => {
  const said: string[] = [];
  const write = (text: string): void => void said.push(text);
  const renderer = new TextRenderer({ messages: () => false, paper: { print: write, tell: write } });
  const entry = (kind: string, data: object): Entry => ({ kind, run: 'r1', effect: 'r1t1', data }) as unknown as Entry;
  renderer.entry(entry('run.started', { hash: 'h', pin: { model: 'a/one', fallbacks: [{ model: 'b/two' }] } }));
  renderer.entry(entry('turn.requested', {}));
  for (let n = 0; n < 2; n += 1) renderer.entry(entry('turn.requested', { model: 'b/two', passed: ['overloaded'] }));
  renderer.entry(entry('turn.attempted', { n: 2, reason: 'lost', resume: 'resp' }));
  assert.equal(said.join('').split('goes on with b/two because a/one is overloaded').length, 2);
  assert.match(said.join(''), /the model's answer is asked for again \(lost\)/);
});
