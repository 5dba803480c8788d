// Agents with hands over many kills of their server: files of a workspace, commands, jobs, approvals for always.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { dice } from '../../packages/perdure/test/kill-loop/dice.ts';
import { HandsPlay } from '../../packages/perdure/test/kill-loop/hands.ts';
import { judgeHands } from '../../packages/perdure/test/kill-loop/hands-judge.ts';
import { HandsModel } from '../../packages/perdure/test/kill-loop/hands-tasks.ts';
import { World } from '../../packages/perdure/test/kill-loop/world.ts';

const SETTLE_MS = 180_000;
const SESSIONS = 5;

type Options = { seed: number; kills: number; say: (line: string) => void };

/** Returns the exit code. */
export async function handsRound({ seed, kills, say }: Options): Promise<number> {
  const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
  const model = new HandsModel(dice(seed + 1));
  const world = await World.create(seed, compiled, {
    config: 'hands.config.ts',
    model: (seen) => model.answer(seen),
  });
  say(`hands over ${kills} kills, --seed ${seed}`);
  try {
    const play = new HandsPlay(world, model);
    await play.play({ kills, sessions: SESSIONS, settleMs: SETTLE_MS, say });
    say(JSON.stringify({ ...(await judgeHands(world, play)), given: play.hands.granted }));
    return 0;
  } catch (error) {
    say([inspect(error), ...world.violations, world.server?.log().slice(-2_000) ?? ''].join('\n'));
    return 1;
  } finally {
    await world.close();
    rmSync(compiled, { recursive: true, force: true });
  }
}
