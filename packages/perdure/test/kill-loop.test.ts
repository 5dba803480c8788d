import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { agent, createRuntime, DataInUseError } from '../src/index.ts';
import { judge, tally } from './kill-loop/judge.ts';
import { playLoop } from './kill-loop/loop.ts';
import { cancel } from './kill-loop/people.ts';
import { Play } from './kill-loop/play.ts';
import { freePort, startServer } from './kill-loop/server.ts';
import { single } from './kill-loop/tasks.ts';
import { World } from './kill-loop/world.ts';

/** Made up anew each time; `KILL_LOOP_SEED` plays one again. */
const SEED = Number(process.env['KILL_LOOP_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
console.log(`KILL_LOOP_SEED=${SEED}`);

const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
after(() => rmSync(compiled, { recursive: true, force: true }));

async function worldFor(t: TestContext): Promise<World> {
  const world = await World.create(SEED, compiled);
  t.after(() => world.close());
  return world;
}

test('over thirty kills no run, receipt, entry or effect is lost, repeated or left hanging', async (t) => {
  const world = await worldFor(t);
  const { played, figures } = await playLoop(world, { kills: 30, busy: 8, settleMs: 60_000, say: console.log });
  const judged = await judge(world, played);
  console.log(JSON.stringify({ ...judged, ...tally(played), ...figures }));
});

test('a server that is asked to stop lets an unsafe call end, sends its streams away with a hint, and exits with 0', async (t) => {
  const world = await worldFor(t);
  const play = new Play(world);
  const first = world.start();
  await first.ready;
  const unsafe = play.open([single('unsafe', 'ship', { afterMs: 400 })]);
  play.open([single('keyed', 'charge', { afterMs: 20_000 })]);
  assert.ok(await world.until(() => world.outside.dispatches.length === 2));

  first.signal('SIGTERM');
  assert.deepEqual(await first.exited, { code: 0, signal: null });
  assert.equal(world.outside.dispatches.length, 2);

  world.outside.hurry();
  await world.start().ready;
  await play.settle(30_000);
  const settled = unsafe.entries.find(({ kind }) => kind === 'call.settled');
  assert.deepEqual(settled?.data, { ...settled?.data, attempt: 1, outcome: 'done' });
  assert.deepEqual(tally(play.played)['call in doubt'], undefined);
  const drained = play.played.followed.filter(({ ends }) => ends.some(({ reason }) => reason === 'drain'));
  assert.ok(drained.length > 0 && drained.every(({ ends }) => ends.every(({ hasRetry }) => hasRetry)));
  await judge(world, play.played);
});

test('a second interrupt ends the server at once; a person is then asked about the call that it left', async (t) => {
  const world = await worldFor(t);
  const play = new Play(world);
  const server = world.start();
  await server.ready;
  const record = play.open([single('left', 'ship', { afterMs: 3_600_000 })]);
  assert.ok(await world.until(() => world.outside.dispatches.length === 1));

  server.signal('SIGINT');
  assert.ok(await world.until(async () => !(await answers(`${world.url}/v1/agents`))));
  // Interrupts closer together than this count as one.
  await delay(600);
  server.signal('SIGINT');
  assert.deepEqual(await server.exited, { code: 130, signal: null });

  await world.start().ready;
  await play.settle(30_000);
  assert.equal(tally(play.played)['wait outcome'], 1);
  assert.equal(record.resolved.length, 1);
  await judge(world, play.played);
});

const answers = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(url)).ok;
  } catch {
    return false;
  }
};

test('two servers never share their data: the second one says where the first is, and a kill frees it', async (t) => {
  const world = await worldFor(t);
  const first = world.start();
  await first.ready;
  const second = startServer(world.options({ port: await freePort() }));
  assert.deepEqual(await second.exited, { code: 1, signal: null });
  assert.match(second.log(), new RegExp(`already runs at ${first.url}`));

  const options = { data: world.data, agents: [agent({ name: 'clerk', model: 'demo' })] };
  await assert.rejects(createRuntime(options), (error: unknown) => {
    assert.ok(error instanceof DataInUseError);
    assert.equal(error.code, 'data_in_use');
    assert.equal(error.server?.url, first.url);
    return true;
  });
  await first.kill();
  const runtime = await createRuntime(options);
  await runtime.close();
});

test('waits, a sleep and a cancel survive kills and a wall clock that jumps', async (t) => {
  const world = await worldFor(t);
  const hourMs = 3_600_000;
  const clock = new URL('kill-loop/clock.ts', import.meta.url).href;
  const start = (...offsetsMs: number[]) =>
    world.start({ nodeArgs: ['--import', clock], env: { CLOCK_OFFSETS_MS: offsetsMs.join() } });
  const play = new Play(world);
  play.peopleGo();

  const first = start(0, hourMs, -hourMs, 1, -1, hourMs, 0);
  await first.ready;
  const parked = [single('approved', 'refund'), single('asked', 'ask'), single('slept', 'sleep', { seconds: 1_200 })];
  const records = parked.map((task) => play.open([task]));
  const cancelled = play.open([single('cancelled', 'ship', { afterMs: hourMs })]);
  play.open([single('paid', 'charge', { beforeMs: 300, afterMs: 300 })]);
  const waits = (): number => records.filter(({ entries }) => entries.some((one) => one.kind === 'wait.opened')).length;
  assert.ok(await world.until(() => waits() === 3 && world.outside.of(cancelled.id ?? '', 'r1t1c0').length === 1));
  await cancel(world, cancelled, 'r1');
  await first.kill();

  const second = start(-hourMs, hourMs, -hourMs);
  await second.ready;
  assert.ok(await world.until(() => cancelled.isOver));
  await second.kill();
  assert.equal(waits(), 3);
  assert.deepEqual(cancelled.ended.get('r1')?.data.status, 'cancelled');

  play.peopleComeBack();
  await start(2 * hourMs).ready;
  await play.settle(30_000);
  for (const { entries } of records) assert.equal(entries.filter(({ kind }) => kind === 'wait.opened').length, 1);
  await judge(world, play.played);
});
