import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { LIMITS } from '../../limits.ts';
import { Terminal } from './terminal.ts';

function seat(history: string[] = []) {
  const input = new PassThrough();
  const output = new PassThrough();
  const lines: string[] = [];
  let kept: string[] = [];
  let interrupts = 0;
  let hasLeft = false;
  const terminal = new Terminal({ input, output }, history, {
    line: (text) => void lines.push(text),
    interrupt: () => void (interrupts += 1),
    left: () => void (hasLeft = true),
    typed: (all) => void (kept = [...all]),
  });
  let text = '';
  output.on('data', (piece: Buffer) => (text += piece.toString()));
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 5; round += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    terminal,
    lines,
    kept: () => kept,
    interrupts: () => interrupts,
    hasLeft: () => hasLeft,
    keys: async (given: string) => {
      input.write(given);
      await settle();
    },
    /** Without what steers the terminal. */
    // oxlint-disable-next-line no-control-regex -- that is what it is made of
    shown: () => text.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replaceAll('\r', ''),
  };
}

test('what is written stands above the prompt, and the prompt below it', () => {
  const { terminal, shown } = seat();
  terminal.prompt('> ');
  terminal.write('news\n');
  terminal.prompt('> ');
  assert.equal(shown(), '> news\n> ');
});

test('output waits for as long as a line is begun, and none of it is lost', async () => {
  const { terminal, keys, shown, lines } = seat();
  terminal.write('the answer ');
  await keys('hi');
  assert.equal(shown(), 'the answer \n+ hi');
  terminal.write('goes ');
  terminal.write('on\n');
  assert.ok(!shown().includes('goes'));
  await keys('\r');
  assert.equal(shown(), 'the answer \n+ hi\ngoes on\n');
  assert.deepEqual(lines, ['hi']);
});

test('more output than is held back is written above the line, which stays as it was typed', async () => {
  const { terminal, keys, shown, lines } = seat();
  await keys('half');
  terminal.write('x'.repeat(LIMITS.heldChars));
  assert.ok(!shown().includes('x'));
  terminal.write('y');
  assert.match(shown(), /xy\n\+ half$/);
  await keys(' whole\r');
  assert.deepEqual(lines, ['half whole']);
});

test('lines that go on are one message, and an interrupt drops all of them', async () => {
  const { terminal, keys, lines, interrupts } = seat();
  terminal.prompt('> ');
  await keys('one\\\r');
  await keys('two\\\r');
  await keys('\x03');
  assert.equal(interrupts(), 0, 'it dropped the lines, and that was all');
  terminal.prompt('> ');
  await keys('three\r');
  assert.deepEqual(lines, ['three']);
  await keys('\x03');
  assert.equal(interrupts(), 1);
});

test('a paste is one message, whatever its line ends, and is sent only by Enter', async () => {
  const { terminal, keys, lines } = seat();
  terminal.prompt('> ');
  await keys('see: \x1b[200~a\rb\\\n\nc\x1b[201~');
  assert.deepEqual(lines, []);
  await keys('!\r');
  assert.deepEqual(lines, ['see: a\nb\\\n\nc!']);
});

test('what is typed is remembered, newest first and once; what is not to be remembered is not', async () => {
  const { terminal, keys, kept, lines } = seat(['before']);
  terminal.prompt('> ');
  await keys('first\r');
  terminal.prompt('> ');
  await keys('before\r');
  assert.deepEqual(kept(), ['before', 'first']);
  terminal.prompt('secret? ', { remember: false });
  await keys('hush\r');
  assert.deepEqual(kept(), ['before', 'first']);
  terminal.prompt('> ');
  await keys('\x1b[A\x1b[A\r');
  assert.deepEqual(lines, ['first', 'before', 'hush', 'first']);
});

test('nothing is written while another program has the terminal, and all of it after', async () => {
  const { terminal, shown } = seat();
  terminal.prompt('> ');
  let during = '';
  await terminal.lend(async () => {
    terminal.write('meanwhile\n');
    during = shown();
  });
  assert.ok(!during.includes('meanwhile'));
  assert.match(shown(), /meanwhile\n/);
});

test('Ctrl-D leaves; what was held back is shown, and what comes later is not', async () => {
  const { terminal, keys, shown, hasLeft } = seat();
  terminal.prompt('> ');
  await keys('\x04');
  assert.ok(hasLeft());
  const other = seat();
  await other.keys('typed');
  other.terminal.write('held');
  other.terminal.close();
  other.terminal.close();
  other.terminal.write('late');
  other.terminal.prompt('> ');
  assert.ok(other.shown().includes('held'));
  assert.ok(!other.shown().includes('late'));
  terminal.close();
  assert.ok(shown().startsWith('> '));
});
