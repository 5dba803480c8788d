import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { after, test } from 'node:test';
import { restateMissing } from '@perdure/drivers/restate';
import { postgresMissing } from '@perdure/testkit/services';
import { dice } from './kill-loop/dice.ts';
import type { FleetEngine } from './kill-loop/fleet.ts';
import { Fleet } from './kill-loop/fleet.ts';
import { playFleet } from './kill-loop/fleet-loop.ts';
import { judge, tally } from './kill-loop/judge.ts';
import { restateEngine } from './kill-loop/restate.ts';

/** Made up anew each time; `KILL_LOOP_SEED` plays one again. */
const SEED = Number(process.env['KILL_LOOP_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const KILLS = Number(process.env['KILL_LOOP_KILLS'] ?? 50);
const missing = postgresMissing();

const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
after(() => rmSync(compiled, { recursive: true, force: true }));

async function play(t: TestContext, engine: { engine?: FleetEngine }): Promise<void> {
  console.log(`KILL_LOOP_SEED=${SEED}`);
  const fleet = await Fleet.found(SEED, compiled, { leaseMs: 1_500, ...engine });
  t.after(() => fleet.close());
  // As many as fit: a slow machine has fewer, and `npm run torture -- --distributed` has them all.
  const loop = { kills: KILLS, maxMs: 90_000, busy: 6, settleMs: 60_000, say: console.log };
  const { played, figures } = await playFleet(fleet, loop);
  const judged = await judge(fleet, played);
  const { told: _told, ...stalls } = await fleet.measureStalls(played);
  console.log(JSON.stringify({ ...judged, ...tally(played), ...figures, ...stalls }));
}

test(
  'over kills of workers, gateways and Postgres no run, receipt, entry or effect is lost, repeated or left hanging',
  missing === null ? {} : { skip: missing },
  async (t) => play(t, {}),
);

const missingToo = missing ?? restateMissing();
test(
  'over kills of workers, gateways, Postgres and the Restate that drives them the same holds',
  missingToo === null ? {} : { skip: missingToo },
  async (t) => {
    const isBalanced = dice(SEED).chance(0.5);
    console.log(isBalanced ? 'the workers are called at one address' : 'one worker is called at a time');
    await play(t, { engine: await restateEngine({ isBalanced }) });
  },
);
