import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { after, test } from 'node:test';
import { postgresMissing } from '@perdure/testkit/services';
import type { Seat } from './kill-loop/fleet.ts';
import { Fleet } from './kill-loop/fleet.ts';
import { judge } from './kill-loop/judge.ts';
import { createNetns, netnsMissing } from './kill-loop/netns.ts';
import { Play } from './kill-loop/play.ts';
import { messageOf, single } from './kill-loop/tasks.ts';

const SEED = Number(process.env['KILL_LOOP_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const missing = postgresMissing() ?? netnsMissing();
const options = missing === null ? {} : { skip: missing };
const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
after(() => rmSync(compiled, { recursive: true, force: true }));

/** A gateway, `workers` beside it, and one more worker behind two lines. */
async function divided(t: TestContext, workers: number) {
  console.log(`KILL_LOOP_SEED=${SEED}`);
  const fleet = await Fleet.found(SEED, compiled, { leaseMs: 1_500, gateways: 1, workers });
  t.after(() => fleet.close());
  const net = createNetns();
  t.after(() => net.remove());
  const { storage, internal } = net;
  const over = (url: string): string => url.replace('127.0.0.1', storage.here);
  for (const url of [fleet.postgres.url(), fleet.provider.url, fleet.outside.url])
    await net.offer(Number(new URL(url).port));
  const env = {
    PERDURE_STORE: over(fleet.postgres.url()),
    OPENAI_BASE_URL: over(fleet.provider.url),
    OUTSIDE_URL: over(fleet.outside.url),
    PERDURE_INTERNAL_HOST: internal.there,
  };
  const behind: Seat = { role: 'worker', port: 0, server: null, life: 0, more: { env, wrap: net.wrap } };
  fleet.seats.push(behind);
  await fleet.assemble();
  return { fleet, net, behind };
}

test(
  'a worker that is cut off from Postgres loses its sessions to another one, and works again when it is back',
  options,
  async (t) => {
    const { fleet, net, behind } = await divided(t, 0);
    const play = new Play(fleet);
    const records = Array.from({ length: 10 }, (_, n) => play.open([single(`s${n}`, 'charge', { afterMs: 12_000 })]));
    const came = (id: string | null) => fleet.outside.of(id ?? '', 'r1t1c0');
    assert.ok(await fleet.until(() => records.every(({ id }) => came(id).length > 0)));
    // The other one comes when all of them are taken.
    fleet.seats.push({ role: 'worker', port: 0, server: null, life: 0 });
    await fleet.assemble();
    assert.ok(records.every(({ id }) => came(id)[0]?.life === behind.life));
    fleet.outside.hurry();
    net.storage.cut();
    assert.ok(await fleet.until(() => records.every(({ id }) => came(id).length === 2)));
    await fleet.until(() => records.every((record) => record.isOver));
    net.storage.heal();
    await play.settle(60_000);
    for (const { entries } of records) {
      const epochs = entries.flatMap(({ data }) => ('epoch' in data && data.epoch !== undefined ? [data.epoch] : []));
      assert.deepEqual(
        epochs,
        epochs.toSorted((a, b) => a - b),
      );
    }
    // It lives again, under another name.
    const isBack = async (): Promise<boolean> => {
      const { nodes } = await fleet.client.call('nodes.list', {});
      return nodes.filter(({ role }) => role === 'worker').length === 2;
    };
    assert.ok(await fleet.until(isBack, 60_000));
    await judge(fleet, play.played);
  },
);

test(
  'a gateway that does not reach a worker shows every entry all the same, and live text again when it does',
  options,
  async (t) => {
    const { fleet, net } = await divided(t, 0);
    const { client } = fleet;
    const { session } = await client.call('sessions.create', { agent: 'clerk' });
    let deltas = 0;
    const ended: string[] = [];
    const reading = async (): Promise<void> => {
      for await (const event of client.events(session.id, { signal: fleet.over.signal })) {
        if (event.type === 'delta') deltas += 1;
        if (event.type === 'entry' && event.entry.kind === 'run.ended') ended.push(event.entry.data.status);
      }
    };
    fleet.background('a reader', reading());
    const run = async (n: number): Promise<void> => {
      await client.call('runs.start', { session: session.id, input: messageOf(single(`t${n}`, 'lookup')) });
      assert.ok(await fleet.until(() => ended.length === n + 1));
    };
    let runs = 0;
    while (deltas === 0) await run(runs++);
    net.internal.cut();
    const before = deltas;
    await run(runs++);
    assert.equal(deltas, before);
    net.internal.heal();
    while (deltas === before) await run(runs++);
    assert.ok(ended.every((status) => status === 'completed'));
  },
);
