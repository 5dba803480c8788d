/**
 * `npm run bench -- --distributed`: rounds on a real Postgres that flushes each commit, beside the same round on DBOS and
 * by one and two workers behind a gateway; how soon another one takes over the work of a dead one; and
 * with a real Restate, beside a hand-written virtual object of the same loop. Each is a program of its own, in turns.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRestateServer } from '@perdure/drivers/restate';
import type { RestateServer } from '@perdure/drivers/restate';
import { system } from '@perdure/runtime';
import { startPostgres } from '@perdure/testkit/services';
import type { Measured, Row } from '../measure.ts';
import { middle } from '../measure.ts';
import type { Task } from './perdure.ts';
import { measured, serving } from './programs.ts';
import { takeover, throughGateway } from './workers.ts';

type Options = { origin: string; scale: number; say: (text: string) => void; report: (row: Row) => void };
type Bench = Options & { url: (database: string) => string };

const REPEATS = 3;
/** Everybody runs so long before it is measured. */
const WARM_MS = 10_000;

/** Each in its turn, so that a slow spell of the machine meets all; the medians count. */
async function inTurns<K extends string>(all: Record<K, () => Promise<Measured>>): Promise<Record<K, Measured>> {
  const found = (Object.keys(all) as K[]).map((name): [K, Measured[]] => [name, []]);
  for (let turn = 0; turn < REPEATS; turn += 1) for (const [name, each] of found) each.push(await all[name]());
  return Object.fromEntries(found.map(([name, each]) => [name, middle(each)])) as Record<K, Measured>;
}

const line = ({ say }: Options, name: string, m: Measured): void =>
  say(
    `  ${name.padEnd(34)} ${m.perSecond.toFixed(0).padStart(6)} rounds/s  ${m.cpuMsPerRound.toFixed(2).padStart(6)} ms CPU  p50 ${m.p50Ms.toFixed(2)} ms  p99 ${m.p99Ms.toFixed(2)} ms`,
  );

export async function distributed(options: Options): Promise<object> {
  const postgres = await startPostgres({ durable: true });
  const directory = mkdtempSync(join(tmpdir(), 'perdure-bench-'));
  const restate = await startRestateServer({ directory, ...system });
  try {
    const bench: Bench = { ...options, url: (database) => postgres.url(database) };
    return {
      postgres: await besideDbos(bench),
      workers: await sharedWork(bench),
      restate: await besideAnObject(bench, restate),
    };
  } finally {
    await restate.stop();
    await postgres.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function besideDbos(bench: Bench): Promise<object> {
  const { origin, scale, url, report, say } = bench;
  say('Postgres, a new session with one round');
  const warmMs = WARM_MS * scale;
  const perdure = (concurrency: number, rounds: number) => async (): Promise<Measured> =>
    perdureDoes({ url: url('postgres'), origin, role: 'all', rounds: Math.round(rounds * scale), concurrency, warmMs });
  const dbos = (concurrency: number, rounds: number) => async (): Promise<Measured> =>
    measured('dbos', url('dbos'), origin, String(Math.round(rounds * scale)), String(concurrency), String(warmMs));
  const figures = await inTurns({
    'DBOS at 32': dbos(32, 1_000),
    'perdure at 32': perdure(32, 3_000),
    'DBOS at 1': dbos(1, 100),
    'perdure at 1': perdure(1, 200),
  });
  for (const [name, each] of Object.entries(figures)) line(bench, name, each);
  report({
    name: 'Postgres at 32, rounds/s, DBOS / perdure',
    value: figures['DBOS at 32'].perSecond / figures['perdure at 32'].perSecond,
    unit: 'x',
    target: 1 / 3.5,
    aim: 1 / 5,
  });
  return figures;
}

async function sharedWork(bench: Bench): Promise<object> {
  const { origin, scale, url, report, say } = bench;
  say('A gateway, and workers that share a Postgres');
  const shared = { url: url('postgres'), origin };
  const rounds = Math.round(2_000 * scale);
  const figures = await inTurns({
    'one worker at 32': async () => throughGateway(shared, 1, rounds, WARM_MS * scale),
    'two workers at 32': async () => throughGateway(shared, 2, rounds, WARM_MS * scale),
  });
  for (const [name, each] of Object.entries(figures)) line(bench, name, each);
  return { ...figures, takeover: await takeover(shared, Math.max(2, Math.round(8 * scale)), report) };
}

const perdureDoes = async (task: Task): Promise<Measured> => measured('perdure', JSON.stringify(task));

async function besideAnObject(bench: Bench, { ingress, admin }: RestateServer): Promise<object> {
  const { origin, scale, url, report, say } = bench;
  say('Restate: a new session with one round, and one session of 1,000 rounds');
  const object = await serving('restate-object', origin);
  const response = await fetch(`${admin}/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ uri: `http://127.0.0.1:${object.first}` }),
  });
  if (!response.ok) throw new Error(`Restate says ${response.status}: ${await response.text()}`);
  const warmMs = WARM_MS * scale;
  const rounds = { many: Math.round(1_000 * scale), one: Math.round(1_000 * scale) };
  const task = { url: url('postgres'), origin, role: 'all', restate: { ingress, admin, name: 'bench' } } as const;
  const figures = await inTurns({
    'hand-written at 32': async () => measured('client', ingress, String(rounds.many), '32', String(warmMs)),
    'perdure at 32': async () => perdureDoes({ ...task, rounds: rounds.many, concurrency: 32, warmMs }),
  });
  const long = {
    'hand-written, last of one session': await measured('client', ingress, String(rounds.one), '1', '0', 'long'),
    'perdure, last of one session': await perdureDoes({ ...task, rounds: rounds.one, concurrency: 1, long: true }),
  };
  await object.stop();
  for (const [name, each] of Object.entries({ ...figures, ...long })) line(bench, name, each);
  report({
    name: 'Restate at 32, rounds/s, hand-written / perdure',
    value: figures['hand-written at 32'].perSecond / figures['perdure at 32'].perSecond,
    unit: 'x',
    target: 2.5,
  });
  report({
    name: `Restate at round ${rounds.one}, p50, perdure / hand-written`,
    value: long['perdure, last of one session'].p50Ms / long['hand-written, last of one session'].p50Ms,
    unit: 'x',
    target: 1,
  });
  return { ...figures, ...long };
}
