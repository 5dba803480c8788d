import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Entry } from '@perdure/contract';
import type { RestateServer } from '@perdure/drivers/restate';
import { restateMissing, startRestateServer } from '@perdure/drivers/restate';
import { system } from '@perdure/runtime';
import { openPostgresStore } from '@perdure/stores/postgres';
import type { PostgresService } from '@perdure/testkit/services';
import { postgresMissing, startPostgres } from '@perdure/testkit/services';
import type { Runtime, RuntimeOptions } from '../src/index.ts';
import { agent, createRuntime, tool } from '../src/index.ts';

const missing = restateMissing() ?? postgresMissing();
const skip = missing === null ? {} : { skip: missing };

type Ground = { postgres: PostgresService; restate: RestateServer };

/** Every store with every driver, on data of its own. */
const PLACES = ['sqlite', 'postgres', 'sqlite with restate', 'postgres with restate'] as const;
type Place = (typeof PLACES)[number];

async function runtimeAt(place: Place, { postgres, restate }: Ground, data: string, paid: string[]): Promise<Runtime> {
  const pay = tool({
    name: 'pay',
    description: 'Pays.',
    input: { type: 'object' },
    effect: 'unsafe',
    approval: 'always',
    run: (_given, { key }) => {
      paid.push(`${place} ${key}`);
      return 'paid';
    },
  });
  const name = place.replaceAll(' ', '_');
  const { ingress, admin } = restate;
  const kept: Pick<RuntimeOptions, 'store' | 'data'> = place.startsWith('sqlite')
    ? { data: join(data, name) }
    : { store: await openPostgresStore({ url: postgres.url(), schema: name, timers: system.timers }) };
  return createRuntime({
    ...kept,
    agents: [agent({ name: 'payer', model: 'demo', tools: [pay] })],
    engine: place.endsWith('restate') ? { restate: { ingress, admin, name } } : 'local',
    log: { level: 'silent' },
  });
}

async function ground(t: TestContext): Promise<Ground & { data: string }> {
  const data = mkdtempSync(join(tmpdir(), 'perdure-move-'));
  const postgres = await startPostgres();
  const restate = await startRestateServer({ directory: join(data, 'restate'), ...system });
  t.after(async () => {
    await restate.stop();
    await postgres.dispose();
    rmSync(data, { recursive: true, force: true });
  });
  return { data, postgres, restate };
}

async function entriesOf({ host }: Runtime, session: string): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of host.parts.reads.entries(session)) entries.push(entry);
  return entries;
}

async function file(from: AsyncIterable<Uint8Array>): Promise<() => AsyncIterable<Uint8Array>> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of from) chunks.push(chunk);
  return async function* () {
    yield* chunks;
  };
}

test(
  'a session that is parked on an approval moves between the stores and the drivers: its log is the same, and it goes on there',
  skip,
  async (t) => {
    const { data, ...services } = await ground(t);
    const paid: string[] = [];
    let runtime = await runtimeAt('sqlite', services, data, paid);
    const session = await runtime.open('payer');
    const run = await session.send('call pay {}');
    const parked = await run.result();
    assert.equal(parked.status, 'waiting');
    let before = await entriesOf(runtime, session.id);
    for (const place of PLACES.slice(1)) {
      const moved = await file(runtime.exportSession(session.id, { moveTo: place }));
      const sealed = await entriesOf(runtime, session.id);
      await assert.rejects(session.resolve(parked.waits?.[0]?.id ?? '', { decision: 'deny' }));
      await runtime.close();
      runtime = await runtimeAt(place, services, data, paid);
      const there = await runtime.importSession(moved);
      assert.equal(there.id, session.id);
      const after = await entriesOf(runtime, session.id);
      assert.deepEqual(after.slice(0, sealed.length), sealed, `${place} has the log as it was, hash by hash`);
      assert.deepEqual(sealed.slice(0, before.length), before);
      assert.equal((await there.view()).status, 'waiting');
      before = after;
    }
    const last = await runtime.session(session.id);
    const [wait] = (await last.view()).waits;
    await last.resolve(wait?.id ?? '', { decision: 'approve', digest: parked.waits?.[0]?.digest ?? '' });
    const ended = await (await last.run(run.id)).result();
    assert.deepEqual([ended.status, paid.length], ['completed', 1]);
    assert.match(paid[0] ?? '', /^postgres with restate /);
    await runtime.close();
  },
);
