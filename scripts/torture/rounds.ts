// One round: a world of its own, servers that die in it one after the other, and the judgement at the end.
import type { Judged } from '../../packages/perdure/test/kill-loop/judge.ts';
import { judge, tally } from '../../packages/perdure/test/kill-loop/judge.ts';
import type { Figures, Life } from '../../packages/perdure/test/kill-loop/loop.ts';
import { drawDeath, playLoop } from '../../packages/perdure/test/kill-loop/loop.ts';
import type { World } from '../../packages/perdure/test/kill-loop/world.ts';
import { tracing } from './abilities.ts';

const KILLS = 60;
const SETTLE_MS = 180_000;

export type Round = { judged: Judged; figures: Figures; tally: { [what: string]: number } };

export async function killRound(
  world: World,
  { busy, traced, maxMs, say }: { busy: number; traced: boolean; maxMs: number; say: (line: string) => void },
): Promise<Round> {
  const draw = (of: World, readyMs: number): Life => drawLife(of, readyMs, traced);
  const { played, figures } = await playLoop(world, { kills: KILLS, maxMs, busy, settleMs: SETTLE_MS, draw });
  const judged = await judge(world, played);
  const kills = Object.entries(figures.deaths).map(([kind, count]) => `${count} ${kind}`);
  say(`seed ${world.seed}: ${played.records.length} sessions, ${judged.entries} entries; deaths: ${kills.join(', ')}`);
  return { judged, figures, tally: tally(played) };
}

function drawLife(world: World, readyMs: number, traced: boolean): Life {
  const { dice } = world;
  const drawn = dice.below(100);
  if (drawn < 10)
    return {
      death: {
        kind: 'pause',
        afterMs: dice.between(20, 400),
        pausedMs: dice.between(50, 3_000),
        thenMs: dice.below(300),
      },
    };
  if (drawn < 20 && traced) {
    // The flushes of the opening come first; from the drawn one on, one or all of them fail.
    const when = `${dice.between(1, 120)}${dice.chance(0.5) ? '+' : ''}`;
    const server = { wrap: tracing(`error=EIO:when=${when}`), isTroubled: true };
    return { death: { kind: 'fault', afterMs: Math.round(readyMs * 1.5) + dice.between(200, 3_000) }, server };
  }
  return { death: drawDeath(world, readyMs) };
}
