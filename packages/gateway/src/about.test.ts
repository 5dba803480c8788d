import assert from 'node:assert/strict';
import { test } from 'node:test';
import { aboutOf, naming } from './about.ts';

test('a request is about the session and the run that it names, or that it has made', () => {
  assert.deepEqual(aboutOf({ session: 's1', run: 'r1', input: 'x' }), { session: 's1', run: 'r1' });
  assert.deepEqual(aboutOf({ input: 'x' }, { session: { id: 's2' }, run: { id: 'r2' }, seq: 4 }), {
    session: 's2',
    run: 'r2',
  });
  assert.deepEqual(aboutOf({ session: 7 }, [1]), {});
});

test('what a line says itself goes before what its request is about', () => {
  const lines: object[] = [];
  const log = (fields: object): void => void lines.push(fields);
  const logger = naming({ debug: log, info: log, warn: log, error: log }, { session: 's1', run: 'r1' });
  logger.debug({ requestId: 'q' }, '');
  logger.info({}, '');
  logger.warn({ session: 's2' }, '');
  logger.error({ run: 'r2' }, '');
  assert.deepEqual(lines, [
    { session: 's1', run: 'r1', requestId: 'q' },
    { session: 's1', run: 'r1' },
    { session: 's2', run: 'r1' },
    { session: 's1', run: 'r2' },
  ]);
});
