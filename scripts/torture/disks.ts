// Disks that are full or slow under a server at work.
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { judge } from '../../packages/perdure/test/kill-loop/judge.ts';
import { Play } from '../../packages/perdure/test/kill-loop/play.ts';
import { single } from '../../packages/perdure/test/kill-loop/tasks.ts';
import type { Server } from '../../packages/perdure/test/kill-loop/server.ts';
import type { World } from '../../packages/perdure/test/kill-loop/world.ts';
import { mountSized, tracing, unmount } from './abilities.ts';

/** Under way at a time: many where they fill a disk, few where it is measured how fast the server answers. */
const SESSIONS = { full: 24, slow: 6 };
const SETTLE_MS = 120_000;

/** Fills up, still answers and cancels, and goes on when there is room again. */
export async function fullDisk(world: World): Promise<{ [figure: string]: number }> {
  assert.ok(mountSized(world.data, '4m'), 'a small disk is mounted');
  try {
    const play = new Play(world);
    await world.start({ isTroubled: true }).ready;
    play.peopleGo();
    const asking = play.open([single('asking', 'ask')]);
    assert.ok(await world.until(() => asking.entries.some(({ kind }) => kind === 'wait.opened')));
    for (let n = 0; world.refusals.storage_full === 0 && n < 2_000; n++) {
      play.open([single(`f${n}`, 'charge')]);
      await world.until(() => play.unended().length < SESSIONS.full || world.refusals.storage_full > 0);
    }
    assert.ok(world.refusals.storage_full > 0, 'the disk is full, and says so');
    const one = play.played.records.find(({ id, entries }) => id !== null && entries.length > 0);
    const session = one?.id ?? '';
    const { events } = await world.client.call('events.list', { session });
    assert.ok(events.length > 0, 'a full disk is read');
    const { status } = await world.client.call('runs.cancel', { session: asking.id ?? '', run: 'r1' });
    assert.equal(status, 'cancelled', 'on a full disk a run is cancelled');
    asking.cancelled.set('r1', world.life);
    const fullAt = performance.now();
    assert.ok(mountSized(world.data, '64m', true), 'the disk grows');
    await play.settle(SETTLE_MS);
    const healMs = Math.round(performance.now() - fullAt);
    const { receipts } = await judge(world, play.played);
    return { refused: world.refusals.storage_full, 'ms until all had ended': healMs, receipts };
  } finally {
    await world.server?.kill();
    unmount(world.data);
  }
}

/** Each flush takes 200 ms: the rest of the server does not wait for it. */
export async function slowDisk(world: World): Promise<{ [figure: string]: number }> {
  const play = new Play(world);
  await world.start({ wrap: tracing('delay_enter=200000') }).ready;
  for (let n = 0; n < SESSIONS.slow; n++) play.open([single(`g${n}`, 'charge')]);
  const latencies: number[] = [];
  while (play.unended().length > 0 && world.violations.length === 0) {
    const startedAt = performance.now();
    assert.ok((await fetch(`${world.url}/health/live`)).ok);
    latencies.push(performance.now() - startedAt);
    await delay(20);
  }
  await play.settle(SETTLE_MS);
  const { receipts } = await judge(world, play.played);
  latencies.sort((a, b) => a - b);
  const at = (part: number): number => Math.round(latencies[Math.floor(latencies.length * part)] ?? 0);
  return { 'answers while it waits': latencies.length, 'p50 ms': at(0.5), 'p99 ms': at(0.99), receipts };
}

/** A flush fails now and then: the server opens its data anew by itself, and nothing that it had said is lost. */
export async function failingDisk(world: World): Promise<{ [figure: string]: number }> {
  const play = new Play(world);
  const server = world.start({ wrap: tracing('error=EIO:when=100+150'), isTroubled: true });
  await server.ready;
  for (let n = 0; reopenings(server) < 2 && n < 500; n++) {
    play.open([single(`e${n}`, n % 2 === 0 ? 'charge' : 'lookup')]);
    await world.until(() => play.unended().length < SESSIONS.slow);
  }
  await play.settle(SETTLE_MS);
  const reopened = reopenings(server);
  assert.ok(reopened > 0 && server.isUp(), 'it opened its data anew, and is there');
  const { receipts } = await judge(world, play.played);
  return { reopened, receipts };
}

const reopenings = (server: Server): number => server.log().split('opened anew').length - 1;
