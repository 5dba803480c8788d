/** Kills one server after the other while agents work, and lets everything come to its end afterwards. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Played } from './play.ts';
import { Play } from './play.ts';
import type { Server, ServerOptions } from './server.ts';
import { plan } from './tasks.ts';
import type { World } from './world.ts';

/** How a server's life ends. `afterMs` counts from its start (`startup`) or from when it was ready. */
export type Death =
  | { kind: 'startup'; afterMs: number }
  /** The same, under a fault that the options of its server inject. */
  | { kind: 'fault'; afterMs: number }
  | { kind: 'load'; afterMs: number }
  /** SIGTERM, and SIGKILL `thenMs` later. */
  | { kind: 'drain'; afterMs: number; thenMs: number }
  /** SIGTERM alone: it ends by itself. */
  | { kind: 'term'; afterMs: number }
  /** SIGSTOP, SIGCONT `pausedMs` later, and SIGKILL at the end. */
  | { kind: 'pause'; afterMs: number; pausedMs: number; thenMs: number };

export type Life = { death: Death; server?: Partial<ServerOptions> };

export type LoopOptions = {
  kills: number;
  /** No further life begins after so long. */
  maxMs?: number;
  /** Sessions that are under way at a time. */
  busy: number;
  /** How long everything may take to come to its end when nobody kills any more. */
  settleMs: number;
  draw?: (world: World, readyMs: number) => Life;
  say?: (line: string) => void;
};

export type Figures = {
  deaths: { [kind in Death['kind']]?: number };
  readyMs: number[];
  /** From ready until anybody was shown the first new entry. */
  resumeMs: number[];
  drainMs: number[];
};

/**
 * `readyMs`: how long the last server took to start; a death at startup finds the next one before, in or after its
 * recovery.
 */
export function drawDeath({ dice }: World, readyMs: number): Death {
  const drawn = dice.below(100);
  if (drawn < 35) return { kind: 'startup', afterMs: Math.round((readyMs * dice.between(30, 110)) / 100) };
  if (drawn < 85) return { kind: 'load', afterMs: dice.between(50, 500) };
  if (drawn < 95) return { kind: 'drain', afterMs: dice.between(50, 300), thenMs: dice.below(60) };
  return { kind: 'term', afterMs: dice.between(50, 300) };
}

const drawLife = (world: World, readyMs: number): Life => ({ death: drawDeath(world, readyMs) });

/**
 * Plays the loop; what went wrong on the way stands in the world's violations. The last server stays up. The first life
 * only fills the cache of compiled code, which is written at an orderly end.
 */
export async function playLoop(world: World, options: LoopOptions): Promise<{ played: Played; figures: Figures }> {
  const { kills, maxMs = Infinity, busy, settleMs, say, draw = drawLife } = options;
  const figures: Figures = { deaths: {}, readyMs: [], resumeMs: [], drainMs: [] };
  const play = new Play(world);
  const startedAt = performance.now();
  await live(world, { kind: 'term', afterMs: 0 }, {}, figures);
  let isOpening = true;
  const keepBusy = (): void => {
    while (isOpening && play.unended().length < busy) openSession(world, play);
  };
  keepBusy();
  play.onEntry = ({ kind }) => {
    heard(figures);
    if (kind === 'run.ended') keepBusy();
  };
  for (let killed = 0; killed < kills && performance.now() - startedAt < maxMs && world.violations.length === 0;) {
    const { death, server = {} } = draw(world, figures.readyMs.at(-1) ?? 0);
    await live(world, death, server, figures);
    if (death.kind !== 'term') killed += 1;
    say?.(`life ${world.life}: ${JSON.stringify(death)}, ${play.played.records.length} sessions so far`);
  }
  isOpening = false;
  figures.readyMs.push(await world.start().ready);
  await play.settle(settleMs);
  return { played: play.played, figures };
}

export function openSession(world: World, play: Play): void {
  const { dice } = world;
  const name = `t${play.played.records.length}`;
  const tasks = Array.from({ length: dice.chance(0.3) ? 2 : 1 }, (_, n) => plan(`${name}-${n}`, dice));
  play.open(tasks, dice.chance(0.12) ? { cancelAfterMs: dice.below(800) } : {});
}

/** When the server of this life was ready, until somebody is shown that it goes on with something. */
const waking = new WeakMap<Figures, number>();

function heard(figures: Figures): void {
  const readyAt = waking.get(figures);
  if (readyAt === undefined) return;
  waking.delete(figures);
  figures.resumeMs.push(performance.now() - readyAt);
}

async function live(world: World, death: Death, options: Partial<ServerOptions>, figures: Figures): Promise<void> {
  const server = world.start(options);
  figures.deaths[death.kind] = (figures.deaths[death.kind] ?? 0) + 1;
  if (death.kind === 'startup' || death.kind === 'fault') {
    await delay(death.afterMs);
    await server.kill();
    return;
  }
  figures.readyMs.push(await server.ready);
  waking.set(figures, performance.now());
  await delay(death.afterMs);
  await end(world, server, death, figures);
  waking.delete(figures);
}

async function end(
  world: World,
  server: Server,
  death: Exclude<Death, { kind: 'startup' | 'fault' }>,
  figures: Figures,
): Promise<void> {
  const startedAt = performance.now();
  switch (death.kind) {
    case 'load':
      await server.kill();
      return;
    case 'drain':
      server.signal('SIGTERM');
      await delay(death.thenMs);
      await server.kill();
      return;
    case 'pause':
      server.signal('SIGSTOP');
      await delay(death.pausedMs);
      server.signal('SIGCONT');
      await delay(death.thenMs);
      await server.kill();
      return;
    case 'term': {
      server.signal('SIGTERM');
      const { code, signal } = await server.exited;
      figures.drainMs.push(performance.now() - startedAt);
      if (code !== 0) world.violate(`a server that was asked to stop ended with ${code ?? signal}`);
    }
  }
}
