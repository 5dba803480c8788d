import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { system } from '@perdure/runtime';
import type { Store } from '@perdure/runtime/ports';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { DriverWorld } from '@perdure/testkit';
import { alone, NEVER_MS, together } from '../../test/ground.ts';
import type { RestateServer } from './index.ts';
import { restateMissing, startRestateServer } from './index.ts';

const SWEEP_MS = 300;
let server: RestateServer;
let folder = '';
const missing = restateMissing();
const law = (name: string, run: () => Promise<void>): void =>
  void test(name, missing === null ? {} : { skip: missing }, run);

before(async () => {
  if (missing !== null) return;
  folder = await mkdtemp(join(tmpdir(), 'perdure-restate-'));
  server = await startRestateServer({ directory: join(folder, 'shared'), ...system });
});

after(async () => {
  if (missing !== null) return;
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function rows(query: string, { admin } = server): Promise<{ [column: string]: unknown }[]> {
  const response = await fetch(`${admin}/query`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query }),
  });
  return ((await response.json()) as { rows: { [column: string]: unknown }[] }).rows;
}

law('nothing of a session but its id is in Restate', async () => {
  const world = new DriverWorld(await alone(server));
  const worker = await world.worker();
  const model = world.outside.close('model');
  const { session, run } = await worker.open('say canary');
  await world.until('the model is asked', () => model.came === 1);
  const journal = await rows('select * from sys_journal');
  const all = JSON.stringify([journal, await rows('select * from sys_invocation'), await rows('select * from state')]);
  assert.ok(all.includes(session.id));
  assert.ok(!all.includes('canary') && !all.includes(Buffer.from('canary').toString('hex')));
  model.open();
  await world.ended(worker, session.id, run.id);
  await world.dispose();
});

law('a process on another port is called for what one before it was called for: no call is left behind', async () => {
  const world = new DriverWorld(await alone(server));
  const model = world.outside.close('model');
  const first = await world.worker();
  const { session, run } = await first.open('put');
  await world.until('the model is asked', () => model.came === 1);
  await first.kill();
  model.open();
  const worker = await world.worker();
  assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
  const left = `select id from sys_invocation where target_service_key = '${session.id}' and status != 'completed'`;
  await world.until('every call has ended', async () => (await rows(left)).length === 0);
  await world.dispose();
});

law('a call that nobody expects changes nothing', async () => {
  const world = new DriverWorld(await alone(server));
  const worker = await world.worker();
  const { session, run } = await worker.open('put');
  await world.ended(worker, session.id, run.id);
  const before = await worker.entries(session.id);
  const name = await nameOf();
  for (const key of [session.id, 'ses_aaaaaaaaaaaaaaaaaaaaaaaaaa', 'x']) {
    const response = await fetch(`${server.ingress}/${name}/${key}/drive`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    assert.equal(response.status, 200, await response.text());
  }
  assert.deepEqual(await worker.entries(session.id), before);
  assert.equal(await worker.host.parts.store.log.get('x'), null);
  await world.dispose();
});

/** The service that was registered last. */
async function nameOf(): Promise<string> {
  const { services } = (await (await fetch(`${server.admin}/services`)).json()) as { services: { name: string }[] };
  const mine = services.map(({ name }) => name).filter((name) => /^alone\d+\.a$/.test(name));
  return mine.toSorted((a, b) => Number(b.slice(5, -2)) - Number(a.slice(5, -2)))[0] ?? '';
}

/** Its invocation in Restate is gone before it is due. */
async function withoutTimer(world: DriverWorld): Promise<void> {
  const worker = await world.worker();
  const { session, run } = await worker.open('nap');
  await world.waiting(worker, session.id, 'timer');
  const pending = `select id from sys_invocation where target_service_key = '${session.id}' and status = 'scheduled'`;
  await world.until('its timer is set', async () => (await rows(pending)).length > 0);
  for (const { id } of await rows(pending))
    await fetch(`${server.admin}/invocations/${String(id)}/kill`, { method: 'PATCH' });
  assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
  await world.dispose();
}

law('a timer that Restate lost fires by the sweeper', async () =>
  withoutTimer(new DriverWorld(await alone({ ...server, overdueMs: NEVER_MS }, { sweepMs: SWEEP_MS }))),
);

law('a timer that Restate lost fires soon where the process lives that set it', async () =>
  withoutTimer(new DriverWorld(await alone({ ...server, overdueMs: 50 }))),
);

law('without a balancer the process that is left is called when the one that Restate called is gone', async () => {
  const disk = createMemoryDisk();
  const open = async (): Promise<Store> => openMemoryStore({ clock: system.clock, disk, shared: true });
  const world = new DriverWorld(await together(server, open, { leaseMs: 600, sweepMs: NEVER_MS }, false));
  const [left, called] = [await world.worker(), await world.worker()];
  const { session, run } = await left.open('put');
  assert.equal((await world.ended(left, session.id, run.id)).status, 'completed');
  await called.kill();
  const again = await session.send('put');
  assert.equal((await world.ended(left, session.id, again.id)).status, 'completed');
  assert.deepEqual(world.outside.counts('put'), [1, 1]);
  await world.dispose();
});

law('while Restate is away messages are taken, and what they ask for is done', async () => {
  const own = await startRestateServer({ directory: join(folder, 'away'), ...system });
  const world = new DriverWorld(await alone(own, { sweepMs: SWEEP_MS }));
  const worker = await world.worker();
  await own.stop();
  const { session, run } = await worker.open('put');
  assert.equal((await world.ended(worker, session.id, run.id)).status, 'completed');
  assert.deepEqual(world.outside.counts('put'), [1]);
  await world.dispose();
});

law(
  'what nobody could tell Restate of is done by a process that works, whoever took it, and its timer is set',
  async () => {
    const directory = join(folder, 'untold');
    const ports = [await freePort(), await freePort(), await freePort()] as const;
    const own = await startRestateServer({ directory, ports, ...system });
    const disk = createMemoryDisk();
    const open = async (): Promise<Store> => openMemoryStore({ clock: system.clock, disk, shared: true });
    const ground = await together({ ...own, overdueMs: 50 }, open, { leaseMs: 600, sweepMs: NEVER_MS });
    const world = new DriverWorld(ground);
    const [gateway] = [await world.worker(undefined, false), await world.worker(), await world.worker()];
    await own.stop();
    const sent = await Promise.all([gateway.open('put'), gateway.open('put'), gateway.open('put')]);
    for (const { session, run } of sent)
      assert.equal((await world.ended(gateway, session.id, run.id)).status, 'completed');
    assert.deepEqual(world.outside.counts('put'), [1, 1, 1]);
    const again = await startRestateServer({ directory, ports, ...system });
    const nap = await gateway.open('nap');
    assert.equal((await world.ended(gateway, nap.session.id, nap.run.id)).status, 'completed');
    await world.dispose();
    await again.stop();
  },
);

law('what is overdue while the storage cannot say who has it is driven when it can', async () => {
  const own = await startRestateServer({ directory: join(folder, 'overdue'), ...system });
  const disk = createMemoryDisk();
  let asked = 0;
  const open = async (): Promise<Store> => {
    const store = openMemoryStore({ clock: system.clock, disk, shared: true });
    const tenant: Store['tenant'] = (name) => {
      const parts = store.tenant(name);
      const offer: typeof parts.leases.offer = async (...given) => {
        asked += 1;
        if (asked <= AWAY) throw Object.assign(new Error('the database is away'), { code: 'unavailable' });
        return parts.leases.offer(...given);
      };
      return { ...parts, leases: { ...parts.leases, offer } };
    };
    return { ...store, tenant };
  };
  const ground = await together({ ...own, overdueMs: 50 }, open, { leaseMs: 600, sweepMs: NEVER_MS });
  const world = new DriverWorld(ground);
  const [gateway] = [await world.worker(undefined, false), await world.worker()];
  await own.stop();
  const { session, run } = await gateway.open('put');
  assert.equal((await world.ended(gateway, session.id, run.id)).status, 'completed');
  assert.ok(asked > AWAY, 'it was asked again');
  await world.dispose();
});
/** So often the storage cannot say. */
const AWAY = 3;

law('a server of our own is gone when its process is, whatever ended it', async () => {
  const program = `
    import { startRestateServer } from ${JSON.stringify(new URL('./index.ts', import.meta.url).href)};
    import { system } from '@perdure/runtime';
    const server = await startRestateServer({ directory: ${JSON.stringify(join(folder, 'leash'))}, ...system });
    process.stdout.write(server.admin + '\\n');
    setInterval(() => {}, 1_000);`;
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program],
    {
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  const admin = line.toString().trim();
  assert.ok((await fetch(`${admin}/health`)).ok);
  child.kill('SIGKILL');
  const isUp = async (): Promise<boolean> =>
    fetch(`${admin}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (await isUp()) await new Promise<void>((resolve) => void system.timers.set(20, resolve));
});
