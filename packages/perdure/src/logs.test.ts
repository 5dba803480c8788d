import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compact, logSink } from './logs.ts';

const line = `${JSON.stringify({ level: 40, time: '2030-01-31T12:00:01.000Z', session: 'ses_1', why: 'no way', n: 3, msg: 'it failed' })}\n`;
const through = async (
  format: 'json' | 'compact' | 'pretty',
  isTTY: boolean,
  env: { [name: string]: string } = {},
): Promise<string> => {
  let text = '';
  (await logSink(format, { isTTY, write: (more) => (text += more) }, env)).write(line);
  return text;
};

test('json lines stay as they are', async () => {
  assert.equal(await through('json', true), line);
});

test('a compact line has the time, the level, the message and the fields, quoted where they need it', async () => {
  assert.equal(await through('compact', true), '12:00:01 warn  it failed session=ses_1 why="no way" n=3\n');
  assert.equal(compact('no JSON\n'), 'no JSON\n');
});

test('a pretty line has colours on a terminal only, and never with NO_COLOR', async () => {
  assert.ok((await through('pretty', true)).includes('\u001B['));
  for (const plain of [await through('pretty', false), await through('pretty', true, { NO_COLOR: '1' })]) {
    assert.ok(!plain.includes('\u001B['));
    assert.match(plain, /WARN.*it failed.*ses_1/);
  }
});
