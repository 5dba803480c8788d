/** W3: many sessions of one round each, left alone: what they hold in memory and on the disk. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LIMITS, system } from '@perdure/runtime';
import { bytesOf } from './disk.ts';
import type { Row } from './measure.ts';
import { measure } from './measure.ts';
import { openSubject, roundOf } from './subject.ts';

type Options = {
  origin: string;
  directory: string;
  sessions: number;
  say: (text: string) => void;
  report: (row: Row) => void;
};

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What is live in the heap of this process, its buffers included. */
async function liveBytes(): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < 4; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    collect();
    const { heapUsed, external } = process.memoryUsage();
    least = Math.min(least, heapUsed + external);
  }
  return least;
}

export async function idle({ origin, directory, sessions, say, report }: Options): Promise<object> {
  say(`W3: ${sessions} sessions of one round each, idle`);
  // What an hour does to sessions that nobody needs is not waited for: the clock is set ahead.
  let aheadMs = 0;
  const clock = { now: () => system.clock.now(), monotonicMs: () => system.clock.monotonicMs() + aheadMs };
  await (await openSubject(origin, directory)).close();
  const emptyBytes = bytesOf(directory);
  const subject = await openSubject(origin, directory, { ...system, clock });
  const { sessions: hot } = subject.host.parts;
  const leave = async (): Promise<void> => {
    aheadMs += 2 * LIMITS.hotIdleMs;
    await hot.evict(() => false);
  };
  const round = roundOf(subject);
  const warmed = Math.ceil(sessions / 5);
  await measure(warmed, 32, round);
  await leave();
  const before = await liveBytes();
  await measure(sessions, 32, round);
  await leave();
  const after = await liveBytes();
  const inMemory = hot.size;
  await subject.close();
  const live = (after - before) / sessions;
  const disk = (bytesOf(directory) - emptyBytes) / (sessions + warmed);
  report({ name: 'W3 live heap of an idle session', value: Math.max(0, live), unit: 'B', target: 200, aim: 0 });
  report({ name: 'W3 disk of an idle session', value: disk / 1024, unit: 'KB', target: 6, aim: 3 });
  say(`  ${inMemory} of them folded in memory; the heap holds ${(after / 1024 / 1024).toFixed(1)} MB`);
  return { sessions, liveBytes: live, diskBytes: disk };
}
