// `npm run torture`: the kill loop for as long as you like, with faults that need more time or more rights than a test has.
//   npm run torture                          five minutes
//   npm run torture -- --minutes 60          an hour
//   npm run torture -- --seed 7              the same choices again
//   npm run torture -- --sessions 24         so many sessions under way at a time
//   npm run torture -- --distributed         two gateways and two workers on a Postgres: 50 kills of all of them (--kills N)
//   npm run torture -- --distributed --engine restate    the same, driven by Restate, which is killed as well:
//     --address shared (all workers behind one address), own (each at its own, one is called); without it the seed says which
//   npm run torture -- --secrets             100,000 secrets, planted in twelve encodings wherever a session takes something in
//   npm run torture -- --hands               files, commands in the sandbox, jobs and grants over 50 kills (--kills N)
//   npm run torture -- --symlinks            a minute of links swapped under reading and writing tools, pushes and pulls
// What this machine cannot inject (no strace, no right to mount) is skipped aloud. Ends with figures; exit code 1 when
// anything was lost, repeated or left hanging.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { dice } from '../packages/perdure/test/kill-loop/dice.ts';
import { World } from '../packages/perdure/test/kill-loop/world.ts';
import { plant } from '../packages/runtime/test/planted.ts';
import { hammer } from '../packages/tools/test/paths/hammer.ts';
import { canMount, canTrace } from './torture/abilities.ts';
import { fleetRound } from './torture/fleet.ts';
import { failingDisk, fullDisk, slowDisk } from './torture/disks.ts';
import { handsRound } from './torture/hands.ts';
import { hammerFiles } from './torture/hammer.ts';
import { Report } from './torture/report.ts';
import { killRound } from './torture/rounds.ts';

const HAMMER_MS = 60_000;
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    sessions: { type: 'string', default: '16' },
    distributed: { type: 'boolean', default: false },
    kills: { type: 'string', default: '50' },
    secrets: { type: 'boolean', default: false },
    hands: { type: 'boolean', default: false },
    symlinks: { type: 'boolean', default: false },
    engine: { type: 'string', default: 'local' },
    address: { type: 'string' },
  },
});
const [minutes, seed, busy] = [Number(values.minutes), Number(values.seed), Number(values.sessions)];
const kills = Number(values.kills);
const refuse = (problem: string): never => {
  process.stderr.write(`${problem}\n`);
  process.exit(2);
};
if (!(minutes > 0) || !Number.isSafeInteger(seed) || !(busy >= 1) || !(kills >= 1))
  refuse('--minutes is a number above 0, --seed a whole number, --sessions and --kills at least 1');
const isRestate = values.engine === 'restate';
if (isRestate ? !values.distributed : values.engine !== 'local')
  refuse('--engine is local, or restate with --distributed');
const { address = dice(seed).chance(0.5) ? 'shared' : 'own' } = values;
if (address !== 'shared' && address !== 'own') refuse('--address is shared or own');
const restate = isRestate ? (address as 'shared' | 'own') : null;
const say = (line: string): void => void process.stdout.write(`${line}\n`);
if (values.distributed) process.exit(await fleetRound({ seed, busy, kills, restate, say }));
if (values.secrets) {
  say(`100,000 secrets, --seed ${seed}`);
  say(JSON.stringify(await plant(100_000, 1_000, seed)));
  process.exit(0);
}
if (values.hands) process.exit(await handsRound({ seed, kills, say }));
if (values.symlinks) {
  const end = performance.now() + HAMMER_MS;
  say(`reading: ${JSON.stringify(await hammerFiles(HAMMER_MS / 4))}`);
  say(`reading and writing: ${JSON.stringify(await hammer(() => performance.now() > end))}`);
  process.exit(0);
}
const until = performance.now() + minutes * 60_000;
const skip = (what: string, why: string): void => say(`SKIPPED: ${what}: ${why}`);
const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
const report = new Report();
say(`torture for ${minutes} minutes, --seed ${seed}`);

async function inWorld(what: string, n: number, work: (world: World) => Promise<void>): Promise<void> {
  const world = await World.create(seed + n, compiled);
  try {
    await work(world);
  } catch (error) {
    report.fail(`${what} (seed ${seed + n})`, error, world);
  } finally {
    // The provider's complaints count too.
    await world.close().catch((error: unknown) => report.fail(`${what}: the provider`, error, world));
  }
}

const traced = canTrace();
if (!traced) skip('failing and slow flushes', 'strace is not here, or may not trace');
if (!canMount()) skip('the full disk', 'it takes the right to mount a tmpfs');
else await inWorld('the full disk', 1, async (world) => report.add('full disk', await fullDisk(world)));
if (traced) {
  await inWorld('the slow disk', 2, async (world) => report.add('slow disk', await slowDisk(world)));
  await inWorld('the failing disk', 3, async (world) => report.add('failing disk', await failingDisk(world)));
}
if (process.platform !== 'linux') skip('the race for links', 'it is about how Linux opens files');
else report.add('files', await hammerFiles(Math.min(HAMMER_MS, (minutes * 60_000) / 4)));
for (let round = 0; performance.now() < until && !report.hasFailed; round++) {
  const leftMs = until - performance.now();
  await inWorld(`round ${round}`, 100 + round, async (world) => {
    report.addRound(await killRound(world, { busy, traced, maxMs: leftMs, say }));
  });
}
rmSync(compiled, { recursive: true, force: true });
say(report.text());
process.exitCode = report.hasFailed ? 1 : 0;
