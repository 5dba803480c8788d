/**
 * `npm run bench`: rounds of Perdure beside a floor that is part of the bench, in one run on this machine. Prints ratios,
 * writes them as JSON, and says how noisy the machine was. `--distributed` for what many processes share, `--sandbox`
 * for the start of a command; `--quick` for fewer rounds, `--out FILE` for the JSON.
 */
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { distributed } from './distributed/main.ts';
import { createFloor } from './floor.ts';
import type { Floor } from './floor.ts';
import { huge } from './huge.ts';
import { idle } from './idle.ts';
import { long } from './long.ts';
import type { Measured, Row } from './measure.ts';
import { measure, middle, noise, warm } from './measure.ts';
import { overHttp } from './http.ts';
import { relay } from './relay.ts';
import { sandbox } from './sandbox.ts';
import { openSubject, roundOf } from './subject.ts';

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    distributed: { type: 'boolean', default: false },
    sandbox: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const part = values.distributed ? '-distributed' : values.sandbox ? '-sandbox' : '';
const out = values.out ?? `bench/results${part}.json`;
const scale = values.quick ? 0.2 : 1;
const NODE = [process.execPath, ['--disable-warning=ExperimentalWarning']] as const;

async function startProvider(): Promise<{ origin: string; stop: () => void }> {
  const child = spawn(NODE[0], [...NODE[1], join(import.meta.dirname, 'provider.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const port = await new Promise<string>((resolve) =>
    child.stdout.once('data', (data) => resolve(String(data).trim())),
  );
  return { origin: `http://127.0.0.1:${port}`, stop: () => child.stdin.end() };
}

const rows: Row[] = [];
const report = (row: Row): void => {
  rows.push(row);
  const verdict = row.value <= row.target ? 'within' : 'OVER';
  const aim = row.aim === undefined ? '' : `, aim ${row.aim}`;
  process.stdout.write(
    `${verdict.padEnd(7)} ${row.name.padEnd(48)} ${row.value.toFixed(2).padStart(9)} ${row.unit}  (to reach ${Number(row.target.toFixed(3))}${aim})\n`,
  );
};
const say = (text: string): void => void process.stderr.write(`${text}\n`);

/** Floor and subject in turns, so that a slow spell of the machine meets both; the medians count. */
async function inTurns(
  repeats: number,
  floor: () => Promise<Measured>,
  subject: () => Promise<Measured>,
): Promise<[Measured, Measured]> {
  const pairs: [Measured, Measured][] = [];
  for (let i = 0; i < repeats; i += 1) pairs.push([await floor(), await subject()]);
  return [middle(pairs.map(([one]) => one)), middle(pairs.map(([, two]) => two))];
}

const line = (name: string, m: Measured): void =>
  say(
    `  ${name.padEnd(24)} ${m.perSecond.toFixed(0).padStart(6)} rounds/s  ${m.cpuMsPerRound.toFixed(3)} ms CPU  p50 ${m.p50Ms.toFixed(2)} ms  p99 ${m.p99Ms.toFixed(2)} ms`,
  );

async function w1(origin: string, directory: string, floor: Floor): Promise<object> {
  const subject = await openSubject(origin, join(directory, 'w1'));
  const round = roundOf(subject);
  say('W1: a new session with one round');
  await warm(20_000 * scale, 32, async () => floor.round(''));
  await warm(20_000 * scale, 32, round);
  const [f32, p32] = await inTurns(
    5,
    async () => measure(4_000 * scale, 32, async () => floor.round('')),
    async () => measure(2_000 * scale, 32, round),
  );
  line('floor at 32', f32);
  line('perdure at 32', p32);
  const [f1, p1] = await inTurns(
    5,
    async () => measure(300 * scale, 1, async () => floor.round('')),
    async () => measure(300 * scale, 1, round),
  );
  line('floor at 1', f1);
  line('perdure at 1', p1);
  report({
    name: 'W1 at 32, rounds/s, floor / perdure',
    value: f32.perSecond / p32.perSecond,
    unit: 'x',
    target: 4,
    aim: 2,
  });
  // 0.35 ms, and 0.2, on a machine whose floor takes 0.1.
  report({
    name: 'W1 at 32, CPU a round, perdure / floor',
    value: p32.cpuMsPerRound / f32.cpuMsPerRound,
    unit: 'x',
    target: 3.5,
    aim: 2,
  });
  report({ name: 'W1 at 1, p50, perdure / floor', value: p1.p50Ms / f1.p50Ms, unit: 'x', target: 1.8 });
  const client = async (rounds: number, concurrency: number, url: string): Promise<Measured> => {
    const { stdout } = await promisify(execFile)(NODE[0], [
      ...NODE[1],
      join(import.meta.dirname, 'client.ts'),
      url,
      String(rounds),
      String(concurrency),
    ]);
    return JSON.parse(stdout) as Measured;
  };
  const http = await overHttp(subject.host, async (url) => [
    await client(2_000 * scale, 32, url),
    await client(300 * scale, 1, url),
  ]);
  for (const [index, measured] of http.entries()) line(`over HTTP with SSE at ${index === 0 ? 32 : 1}`, measured);
  await subject.close();
  return { floor: { at32: f32, at1: f1 }, perdure: { at32: p32, at1: p1 }, http: { at32: http[0], at1: http[1] } };
}

async function onOneMachine(origin: string): Promise<object> {
  const directory = mkdtempSync(join(tmpdir(), 'perdure-bench-'));
  const floor = createFloor(origin, join(directory, 'floor.db'));
  const short = await w1(origin, directory, floor);
  const rounds = Math.round(1_000 * scale);
  const session = await long({ origin, directory: join(directory, 'w2'), floor, rounds, say, report });
  const large = await huge({
    origin,
    directory: join(directory, 'huge'),
    floor,
    entries: 100_000 * scale,
    say,
    report,
  });
  await floor.close();
  const parked = await idle({ origin, directory: join(directory, 'w3'), sessions: 10_000 * scale, say, report });
  const live = await relay({ origin, directory: join(directory, 'w4'), say, report });
  rmSync(directory, { recursive: true, force: true });
  return { short, session, huge: large, idle: parked, relay: live };
}

async function ofCommands(): Promise<object> {
  const directory = mkdtempSync(join(tmpdir(), 'perdure-bench-'));
  chmodSync(directory, 0o755);
  const measured = await sandbox({ directory: join(directory, 'workspace'), starts: 300 * scale, say, report });
  rmSync(directory, { recursive: true, force: true });
  return measured;
}

const before = noise();
const provider = await startProvider();
const { origin } = provider;
const figures = values.distributed
  ? await distributed({ origin, scale, say, report })
  : values.sandbox
    ? await ofCommands()
    : await onOneMachine(origin);
provider.stop();
const after = noise();
const spread = Math.max(before.spread, after.spread);
process.stdout.write(
  `noise of the machine: a fixed piece of work spread by ${(spread * 100).toFixed(0)} % (${after.medianMs.toFixed(1)} ms)\n`,
);
writeFileSync(out, `${JSON.stringify({ rows, ...figures, noise: { before, after } }, null, 2)}\n`);
say(`written to ${out}`);
