// Many processes on one Postgres, each of which is killed again and again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Fleet } from '../../packages/perdure/test/kill-loop/fleet.ts';
import { playFleet } from '../../packages/perdure/test/kill-loop/fleet-loop.ts';
import { judge, tally } from '../../packages/perdure/test/kill-loop/judge.ts';
import { postgresMissing } from '../../packages/testkit/src/services/index.ts';

const LEASE_MS = 1_500;
const SETTLE_MS = 120_000;

type Options = { seed: number; busy: number; kills: number; say: (line: string) => void };

/** Plays the loop and says its figures; the exit code. */
export async function fleetRound({ seed, busy, kills, say }: Options): Promise<number> {
  const missing = postgresMissing();
  if (missing !== null) {
    say(`SKIPPED: ${missing}`);
    return 0;
  }
  say(`${kills} kills of gateways, workers and Postgres, --seed ${seed}`);
  const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
  const fleet = await Fleet.found(seed, compiled, { leaseMs: LEASE_MS });
  try {
    const { played, figures } = await playFleet(fleet, { kills, busy, settleMs: SETTLE_MS, say });
    const judged = await judge(fleet, played);
    say(JSON.stringify({ ...judged, ...tally(played), ...figures }));
    return 0;
  } catch (error) {
    say(`FAILED (--seed ${seed}): ${inspect(error)}\n${fleet.violations.join('\n')}`);
    return 1;
  } finally {
    await fleet.close();
    rmSync(compiled, { recursive: true, force: true });
  }
}
