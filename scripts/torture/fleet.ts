// Many processes on one Postgres, each of which is killed again and again.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { restateMissing } from '../../packages/drivers/src/restate/index.ts';
import { Fleet } from '../../packages/perdure/test/kill-loop/fleet.ts';
import { playFleet } from '../../packages/perdure/test/kill-loop/fleet-loop.ts';
import { judge, tally } from '../../packages/perdure/test/kill-loop/judge.ts';
import { restateEngine } from '../../packages/perdure/test/kill-loop/restate.ts';
import { postgresMissing } from '../../packages/testkit/src/services/index.ts';

const LEASE_MS = 1_500;
const SETTLE_MS = 120_000;

/** `restate`: who is called by it: all workers at one address, or one at a time at its own. Null: the local driver. */
type Options = {
  seed: number;
  busy: number;
  kills: number;
  restate: 'shared' | 'own' | null;
  say: (line: string) => void;
};

/** Plays the loop and says its figures; the exit code. */
export async function fleetRound({ seed, busy, kills, restate, say }: Options): Promise<number> {
  const missing = postgresMissing() ?? (restate === null ? null : restateMissing());
  if (missing !== null) {
    say(`SKIPPED: ${missing}`);
    return 0;
  }
  const what = `gateways, workers${restate === null ? '' : `, Restate (address: ${restate})`} and Postgres`;
  say(`${kills} kills of ${what}, --seed ${seed}`);
  const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
  const engine = restate === null ? {} : { engine: await restateEngine({ isBalanced: restate === 'shared' }) };
  const fleet = await Fleet.found(seed, compiled, { leaseMs: LEASE_MS, ...engine });
  try {
    const { played, figures } = await playFleet(fleet, { kills, busy, settleMs: SETTLE_MS, say });
    const judged = await judge(fleet, played);
    const { told, ...stalls } = await fleet.measureStalls(played);
    say(JSON.stringify({ ...judged, ...tally(played), ...figures, ...stalls }));
    for (const line of told) say(line);
    return stalls.stuck.length === 0 ? 0 : 1;
  } catch (error) {
    say(`FAILED (--seed ${seed}): ${inspect(error)}\n${fleet.violations.join('\n')}`);
    return 1;
  } finally {
    await fleet.close();
    rmSync(compiled, { recursive: true, force: true });
  }
}
