/** Work that several processes share: how much one and two of them do for one gateway, and how soon the work of a dead one goes on. */
import { openSession, system } from '@perdure/runtime';
import { openPostgresStore } from '@perdure/stores/postgres';
import type { Measured, Row } from '../measure.ts';
import type { Subject } from '../subject.ts';
import { openSubjectOn } from '../subject.ts';
import type { Task } from './perdure.ts';
import { measured, type Program, serving } from './programs.ts';

const LEASE_MS = 2_000;
/** A session whose model talks for two seconds is under way when its worker is killed. */
const SESSIONS = 24;

type Shared = { url: string; origin: string };

const worker = async (task: Shared): Promise<Program> =>
  serving(
    'perdure',
    JSON.stringify({ ...task, role: 'worker', leaseMs: LEASE_MS, rounds: 0, concurrency: 0 } satisfies Task),
  );

/** A gateway in a program of its own asks for rounds, and so many workers do them. */
export async function throughGateway(
  shared: Shared,
  workers: number,
  rounds: number,
  warmMs: number,
): Promise<Measured> {
  const all = await Promise.all(Array.from({ length: workers }, async () => worker(shared)));
  const task: Task = { ...shared, role: 'gateway', leaseMs: LEASE_MS, rounds, concurrency: 32, warmMs };
  try {
    return await measured('perdure', JSON.stringify(task));
  } finally {
    await Promise.all(all.map(async (each) => each.stop()));
  }
}

/** Kills one of two workers while both have work: how long until each session of the dead one goes on, in ms. */
async function killed(gateway: Subject, shared: Shared): Promise<number[]> {
  const [dying, other] = await Promise.all([worker(shared), worker(shared)]);
  const sessions = await Promise.all(
    Array.from({ length: SESSIONS }, async () => {
      const session = openSession(gateway.host, 'timed');
      return { id: session.id, run: await session.send('Count.') };
    }),
  );
  // All are dispatched by then, and none has ended.
  await new Promise<void>((resolve) => system.timers.set(LEASE_MS / 4, resolve));
  const at = system.clock.now();
  await dying.kill();
  await Promise.all(sessions.map(async ({ run }) => run.result()));
  const goneOn: number[] = [];
  for (const { id } of sessions)
    for await (const entry of gateway.host.parts.reads.entries(id))
      if (entry.kind === 'turn.attempted' && entry.at >= at) goneOn.push(entry.at - at);
  await other.stop();
  return goneOn;
}

export async function takeover(shared: Shared, repeats: number, report: (row: Row) => void): Promise<object> {
  const store = await openPostgresStore({ url: shared.url, timers: system.timers });
  const gateway = await openSubjectOn(shared.origin, store, { work: false, leaseMs: LEASE_MS });
  const times: number[] = [];
  for (let i = 0; i < repeats; i += 1) times.push(...(await killed(gateway, shared)));
  await gateway.close();
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  const found = {
    leaseMs: LEASE_MS,
    sessions: times.length,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: times.at(-1) ?? 0,
  };
  report({
    name: `takeover of a dead worker's sessions, p99 (lease ${LEASE_MS} ms)`,
    value: found.p99Ms,
    unit: 'ms',
    target: LEASE_MS + 1_000,
  });
  return found;
}
