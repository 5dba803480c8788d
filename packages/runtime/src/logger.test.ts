import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLogger } from './logger.ts';
import type { LogLevel } from './logger.ts';
import { Redactor } from './secrets/redact.ts';

const SECRET = 'hunter2-"hunter2"';

function bench(level: LogLevel = 'debug') {
  const lines: string[] = [];
  const redactor = new Redactor({ DB: SECRET });
  const logger = createLogger({ level, redactor, destination: { write: (line) => void lines.push(line) } });
  return { logger, lines, read: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('a line is one JSON object with its level, its message and the ids it was given', () => {
  const { logger, lines, read } = bench();
  logger.warn({ session: 'ses_a', run: 'r1', requestId: 'q' }, 'something');
  assert.ok(lines[0]?.endsWith('\n') && !lines[0].slice(0, -1).includes('\n'));
  assert.partialDeepStrictEqual(read()[0], {
    level: 40,
    session: 'ses_a',
    run: 'r1',
    requestId: 'q',
    msg: 'something',
  });
});

test('levels below the chosen one are silent', () => {
  const counts: [LogLevel, number][] = [
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
    ['silent', 0],
  ];
  for (const [level, count] of counts) {
    const { logger, lines } = bench(level);
    for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level]({}, 'x');
    assert.equal(lines.length, count);
  }
});

test('no secret is in a line, wherever in it and however escaped, and the line stays JSON', () => {
  const { logger, lines, read } = bench();
  const key = `-----BEGIN ${'PRIVATE KEY'}-----\nabc`;
  logger.error(
    { error: `with ${SECRET}`, deep: { [SECRET]: [SECRET, Buffer.from(SECRET).toString('base64')] }, key },
    `and ${SECRET}`,
  );
  logger.error({ error: { stack: 'x', circular: null as unknown } }, `line\nbreak ${JSON.stringify(SECRET)}`);
  for (const line of lines)
    for (const part of ['hunter2', Buffer.from(SECRET).toString('base64')]) assert.ok(!line.includes(part));
  assert.equal(read()[0]?.['key'], '[redacted]');
  assert.equal(read().length, 2);
});

test('what JSON cannot say breaks no line', () => {
  const { logger, read } = bench();
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  logger.info({ circular, big: 1n, fn: () => 1 }, 'odd');
  assert.equal(read()[0]?.['msg'], 'odd');
});
