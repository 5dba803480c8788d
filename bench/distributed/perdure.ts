/**
 * Perdure on Postgres, as its own program. Reads its task as JSON from its first argument. One that measures prints what
 * it measured as JSON; a worker prints a line when it is ready, and ends with its standard input.
 */
import { openSession, system } from '@perdure/runtime';
import type { HostOptions } from '@perdure/runtime';
import { createRestateDriver } from '@perdure/drivers/restate';
import { openPostgresStore } from '@perdure/stores/postgres';
import { ask } from '../long.ts';
import { measure, warm } from '../measure.ts';
import { openSubjectOn, roundOf } from '../subject.ts';

export type Task = {
  url: string;
  origin: string;
  /** `all`: one process does everything; `gateway`: it asks, and others work. */
  role: 'all' | 'gateway' | 'worker';
  restate?: { ingress: string; admin: string; name: string };
  leaseMs?: number;
  rounds: number;
  concurrency: number;
  warmMs?: number;
  /** All rounds in one session, the last 50 measured. */
  long?: boolean;
};

const LAST = 50;
const task = JSON.parse(process.argv[2] ?? '{}') as Task;
const store = await openPostgresStore({ url: task.url, timers: system.timers });
const more: Partial<HostOptions> = {};
if (task.role === 'gateway') more.work = false;
if (task.leaseMs !== undefined) more.leaseMs = task.leaseMs;
if (task.restate !== undefined) more.driver = await createRestateDriver(task.restate);
const subject = await openSubjectOn(task.origin, store, more);

if (task.role === 'worker') {
  process.stdout.write('ready\n');
  await new Promise<void>((resolve) => process.stdin.resume().on('end', () => resolve()));
} else {
  const { rounds, concurrency, warmMs = 0, long = false } = task;
  const session = openSession(subject.host, 'bench');
  const round = long ? async (): Promise<void> => ask(session) : roundOf(subject);
  if (long) await measure(rounds - LAST, concurrency, round);
  else await warm(warmMs, concurrency, round);
  process.stdout.write(`${JSON.stringify(await measure(long ? LAST : rounds, concurrency, round))}\n`);
}
await subject.close();
