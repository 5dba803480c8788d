/** Kills gateways, workers, Postgres and what drives, one after the other or together, while agents work. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Fleet, Seat } from './fleet.ts';
import { openSession } from './loop.ts';
import type { Played } from './play.ts';
import type { Who } from './outages.ts';
import { Play } from './play.ts';

export type FleetFigures = {
  kills: { [of: string]: number };
};

export type FleetLoop = {
  kills: number;
  /** No further kill after so long. */
  maxMs?: number;
  busy: number;
  settleMs: number;
  say?: (line: string) => void;
};

/** Everybody is up at its end. What went wrong on the way stands in the world's violations. */
export async function playFleet(
  fleet: Fleet,
  { kills, maxMs = Infinity, busy, settleMs, say }: FleetLoop,
): Promise<{ played: Played; figures: FleetFigures }> {
  const figures: FleetFigures = { kills: {} };
  await fleet.assemble();
  const play = new Play(fleet);
  let isOpening = true;
  const keepBusy = (): void => {
    while (isOpening && play.unended().length < busy) openSession(fleet, play);
  };
  play.onEntry = ({ kind }) => {
    if (kind === 'run.ended') keepBusy();
  };
  keepBusy();
  const startedAt = performance.now();
  for (let killed = 0; killed < kills && performance.now() - startedAt < maxMs && fleet.violations.length === 0;) {
    await delay(fleet.dice.between(100, 700));
    const target = draw(fleet);
    figures.kills[target] = (figures.kills[target] ?? 0) + 1;
    killed += 1;
    await strike(fleet, target);
    say?.(`kill ${killed}: ${target}, ${play.played.records.length} sessions so far`);
  }
  isOpening = false;
  await fleet.assemble();
  const isSound = fleet.violations.length === 0;
  await play.settle(settleMs);
  for (const { id, head } of isSound ? play.unended() : []) await tellStanding(fleet, id ?? '', head);
  return { played: play.played, figures };
}

/** Of a session that never came to its end: how the servers say it stands, and whether more is there than was shown. */
async function tellStanding(fleet: Fleet, session: string, shown: number): Promise<void> {
  const view = await fleet.client.call('sessions.get', { session });
  const { nodes } = await fleet.client.call('nodes.list', {});
  fleet.violate(`it stands so: ${JSON.stringify({ session, shown, head: view.head, status: view.status, nodes })}`);
  const logs = fleet.seats.map(({ role, server }) => `${role}: ${server?.log().slice(-1_500) ?? 'gone'}`);
  fleet.violate(logs.join('\n'));
}

function draw({ dice, engine }: Fleet): Who {
  const drawn = dice.below(100);
  if (engine !== null && drawn < 20) return 'engine';
  if (drawn < 60) return 'worker';
  return drawn < 80 ? 'gateway' : 'postgres';
}

async function strike(fleet: Fleet, target: Who): Promise<void> {
  const { dice } = fleet;
  if (target === 'postgres') {
    const again = dice.chance(0.3) ? dice.below(200) : null;
    return fleet.strikePostgres(dice.chance(0.5) ? 'stop' : 'kill', again);
  }
  if (target === 'engine') return fleet.strikeEngine(dice.below(300));
  const seats = fleet.seats.filter(({ role }) => role === target);
  const seat = seats[dice.below(seats.length)] as Seat;
  const { ready } = await fleet.strikeSeat(seat, dice.below(300));
  // Sometimes the next kill comes while this one still starts.
  if (dice.chance(0.7)) await ready.catch(() => undefined);
}
