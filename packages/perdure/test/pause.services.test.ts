import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { TestContext } from 'node:test';
import { after, test } from 'node:test';
import { postgresMissing } from '@perdure/testkit/services';
import { Fleet } from './kill-loop/fleet.ts';
import { judge, tally } from './kill-loop/judge.ts';
import { Play } from './kill-loop/play.ts';
import type { SessionRecord } from './kill-loop/record.ts';
import { single } from './kill-loop/tasks.ts';

const SEED = Number(process.env['KILL_LOOP_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const LEASE_MS = 1_500;
const missing = postgresMissing();
const options = missing === null ? {} : { skip: missing };
const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
after(() => rmSync(compiled, { recursive: true, force: true }));

/** A gateway and two workers, and sessions whose keyed call takes its time outside. */
async function atWork(t: TestContext, afterMs: number) {
  console.log(`KILL_LOOP_SEED=${SEED}`);
  const fleet = await Fleet.found(SEED, compiled, { leaseMs: LEASE_MS, gateways: 1 });
  t.after(() => fleet.close());
  await fleet.assemble();
  const play = new Play(fleet);
  const records = Array.from({ length: 8 }, (_, n) => play.open([single(`s${n}`, 'charge', { afterMs })]));
  const came = (record: SessionRecord) => fleet.outside.of(record.id ?? '', 'r1t1c0');
  assert.ok(await fleet.until(() => records.every((record) => came(record).length > 0)));
  const busiest = fleet.seats
    .filter(({ role }) => role === 'worker')
    .map((seat) => ({ seat, own: records.filter((record) => came(record)[0]?.life === seat.life) }))
    .toSorted((a, b) => b.own.length - a.own.length)[0];
  assert.ok(busiest !== undefined && busiest.own.length > 0);
  return { fleet, play, came, ...busiest };
}

/** No entry that names an attempt goes back behind the epoch of one before it. */
function judgeEpochs({ entries, name }: SessionRecord): void {
  const epochs = entries.flatMap(({ data }) => ('epoch' in data && data.epoch !== undefined ? [data.epoch] : []));
  assert.deepEqual(
    epochs,
    epochs.toSorted((a, b) => a - b),
    `${name} names attempts under its newest epoch`,
  );
}

test(
  'what a worker had under way when it was killed goes on with another one, under the same keys',
  options,
  async (t) => {
    const { fleet, play, seat, own, came } = await atWork(t, 12_000);
    fleet.outside.hurry();
    const stalls = monitorEventLoopDelay({ resolution: 10 });
    stalls.enable();
    fleet.deaths.set(seat.life, Date.now());
    await seat.server?.kill();
    assert.ok(await fleet.until(() => own.every((record) => came(record).length === 2)));
    stalls.disable();
    // What this machine keeps its own processes waiting for is not the runtime's.
    const stalledMs = Math.round(stalls.max / 1e6);
    await play.settle(60_000);
    // From the death to the next one's claim, as Postgres wrote both down.
    const { free, told } = await fleet.measureStalls(play.played);
    console.log(
      `all taken over after ${free.longestMs} ms, with leases of ${LEASE_MS} ms and a machine that stalls ${stalledMs} ms`,
    );
    assert.ok(free.count >= own.length, 'each was free for a time');
    assert.ok(
      free.longestMs <= LEASE_MS + 1_000 + 5 * stalledMs,
      `nobody is stuck for longer than the lease and a second: ${told.join('\n')}`,
    );
    for (const record of own) {
      assert.deepEqual(
        came(record).map(({ attempt }) => attempt),
        [1, 2],
      );
      judgeEpochs(record);
    }
    await judge(fleet, play.played);
  },
);

test(
  'a worker that is stopped past its lease and continued names nothing, and what it paid for is not lost',
  options,
  async (t) => {
    const { fleet, play, seat, own, came } = await atWork(t, 5_000);
    seat.server?.signal('SIGSTOP');
    assert.ok(await fleet.until(() => own.every((record) => came(record).length >= 2)));
    // What the stopped one was waiting for is on its socket by now, or soon; what was sent after it takes its time.
    const before = fleet.outside.dispatches.length;
    seat.server?.signal('SIGCONT');
    await play.settle(60_000);
    const late = fleet.outside.dispatches.slice(before).filter(({ life, session }) => {
      return life === seat.life && own.some(({ id }) => id === session);
    });
    for (const record of own) judgeEpochs(record);
    const judged = await judge(fleet, play.played);
    const first = own.filter(({ entries }) =>
      entries.some(({ kind, data }) => kind === 'call.settled' && data.attempt === 1),
    );
    console.log(
      JSON.stringify({
        ...judged,
        ...tally(play.played),
        held: own.length,
        paidFirst: first.length,
        late: late.length,
      }),
    );
  },
);
