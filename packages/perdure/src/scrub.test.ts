import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DamageReport, Logger, Timers } from '@perdure/runtime/ports';
import { startScrub } from './scrub.ts';

const DAMAGE: DamageReport = { session: 's1', code: 'hash', seq: 7, detail: 'flipped' };

test('the data is verified again and again, damage is told once, and a failed pass is not the last', async () => {
  const due: { afterMs: number; run: () => void }[] = [];
  const timers: Timers = { set: (afterMs, run) => (due.push({ afterMs, run }), { cancel: () => due.splice(0) }) };
  const lines: string[] = [];
  const say = (_fields: object, message: string): void => void lines.push(message);
  const logger: Logger = { debug: say, info: say, warn: say, error: say };
  const answers = [async () => [DAMAGE], async () => Promise.reject(new Error('busy')), async () => [DAMAGE]];
  let passes = 0;
  const verify = async (): Promise<DamageReport[]> => (await answers[passes++]?.()) ?? [];
  const scrub = startScrub({ verify }, { timers, logger, firstMs: 10, everyMs: 100 });
  for (const afterMs of [10, 100, 100]) {
    const next = due.shift();
    assert.equal(next?.afterMs, afterMs);
    next.run();
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(passes, 3);
  assert.deepEqual(lines, [
    'a session is damaged; the others go on',
    'the data could not be verified; it is tried again later',
  ]);
  scrub.stop();
  assert.equal(due.length, 0, 'nothing comes after the end');
});
