import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { restateMissing } from '@perdure/drivers/restate';
import { postgresMissing } from '@perdure/testkit/services';
import { Fleet } from './kill-loop/fleet.ts';
import { judge, tally } from './kill-loop/judge.ts';
import { openSession } from './kill-loop/loop.ts';
import { Play } from './kill-loop/play.ts';
import { restateNodes } from './kill-loop/restate-nodes.ts';
import { restateEngine } from './kill-loop/restate.ts';

const SEED = Number(process.env['KILL_LOOP_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const LEASE_MS = 1_500;
const BUSY = 6;
/** Longer than the others wait for it. */
const PAUSE_MS = 6_000;
const missing = postgresMissing() ?? restateMissing();
const options = missing === null ? {} : { skip: missing };
const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
after(() => rmSync(compiled, { recursive: true, force: true }));

/** Sessions one after the other until `stop`. */
function keepBusy(fleet: Fleet): { play: Play; stop: () => void } {
  const play = new Play(fleet);
  let isOpening = true;
  const open = (): void => {
    while (isOpening && play.unended().length < BUSY) openSession(fleet, play);
  };
  play.onEntry = ({ kind }) => {
    if (kind === 'run.ended') open();
  };
  open();
  return {
    play,
    stop: () => {
      isOpening = false;
    },
  };
}

async function judged(fleet: Fleet, { played }: Play): Promise<void> {
  const found = await judge(fleet, played);
  console.log(JSON.stringify({ ...found, ...tally(played), ...(await fleet.measureStalls(played)) }));
}

test('of three Restate nodes each may stand still: runs go on, nothing is lost or doubled', options, async (t) => {
  console.log(`KILL_LOOP_SEED=${SEED}`);
  const engine = await restateNodes();
  const fleet = await Fleet.found(SEED, compiled, { leaseMs: LEASE_MS, engine });
  t.after(() => fleet.close());
  await fleet.assemble();
  const { play, stop } = keepBusy(fleet);
  for (let node = 0; node < engine.count; node += 1) {
    await delay(1_000);
    fleet.outages.begin('engine', engine);
    engine.pause(node);
    const ended = play.played.records.filter(({ isOver }) => isOver).length;
    await delay(PAUSE_MS);
    assert.ok(await fleet.until(() => play.played.records.filter(({ isOver }) => isOver).length > ended));
    engine.resume(node);
    fleet.outages.back(engine);
  }
  stop();
  await play.settle(60_000);
  await judged(fleet, play);
});

test('what Restate keeps may be gone: sessions go on, and it is told again who works', options, async (t) => {
  console.log(`KILL_LOOP_SEED=${SEED}`);
  const engine = await restateEngine({ isBalanced: true });
  const fleet = await Fleet.found(SEED, compiled, { leaseMs: LEASE_MS, engine });
  t.after(() => fleet.close());
  await fleet.assemble();
  const { play, stop } = keepBusy(fleet);
  const services = async (): Promise<unknown[]> => {
    const response = await fetch(`${engine.admin}/services`);
    return ((await response.json()) as { services: unknown[] }).services;
  };
  assert.equal((await services()).length, 1);
  await delay(1_000);
  fleet.outages.begin('engine', engine);
  await engine.kill();
  engine.wipe();
  await engine.start();
  assert.ok(await fleet.until(async () => (await services()).length === 1));
  stop();
  await play.settle(90_000);
  fleet.outages.back(engine);
  await judged(fleet, play);
});
