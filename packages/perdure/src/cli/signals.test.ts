import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { LIMITS } from '../limits.ts';
import { EXIT } from './exit.ts';

const PROGRAM = `
import { untilStopped } from ${JSON.stringify(join(import.meta.dirname, 'signals.ts'))};
setInterval(() => {}, 1_000);
const stopped = untilStopped(['SIGINT', 'SIGTERM']);
// Another comes with the first: from outside it could come late on a slow machine.
process.once('SIGINT', () => process.emit('SIGTERM', 'SIGTERM'));
console.log('ready');
console.log(await stopped);
`;

test('what was interrupted and does not end lets go at the next signal of those that end it', async (t) => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  const said = async (): Promise<string> => String((await once(child.stdout, 'data'))[0]).trim();
  assert.equal(await said(), 'ready');
  child.kill('SIGINT');
  assert.equal(await said(), 'SIGINT');
  await pause(LIMITS.interruptMs * 2);
  assert.equal(child.exitCode, null, 'one that comes with the first is the same');
  child.kill('SIGHUP');
  await pause(50);
  assert.equal(child.exitCode, null);
  child.kill('SIGTERM');
  assert.deepEqual(await once(child, 'exit'), [EXIT.interrupted, null]);
});
