import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createModelSource } from '@perdure/models';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import type { MemoryDisk } from '@perdure/stores/memory';
import { agent, createHost, findSession, openSession, Redactor, silentLogger, system, tool, wait } from './index.ts';
import type { Host } from './index.ts';
import type { Store } from './ports.ts';

const nap = tool({
  name: 'nap',
  description: 'Parks the call for a moment.',
  input: { type: 'object' },
  effect: 'pure',
  run: () => wait({ kind: 'timer', afterMs: 300 }),
});

async function hostOn(disk: MemoryDisk, names = ['assistant'], more: Partial<Store> = {}): Promise<Host> {
  const host = await createHost({
    store: { ...openMemoryStore({ clock: system.clock, disk }), ...more },
    agents: names.map((name) => agent({ name, model: 'demo', tools: [nap] })),
    models: createModelSource({ env: {}, system }),
    system,
    logger: silentLogger,
    redactor: new Redactor(),
    engineHash: 'test',
  });
  await host.start();
  return host;
}

test('a timer that comes due after a restart fires in time, long before the next sweep', async (t) => {
  const disk = createMemoryDisk();
  const first = await hostOn(disk);
  const session = openSession(first, 'assistant');
  const run = await session.send('call nap {}');
  for await (const entry of run.events()) if (entry.kind === 'wait.opened') break;
  // The first process is gone without a word: its host is simply not used any more.
  const second = await hostOn(disk);
  t.after(async () => Promise.all([first.stop(), second.stop()]));
  const again = await (await findSession(second, session.id)).run(run.id);
  const end = await again.result({ timeoutMs: 10_000 });
  assert.equal(end.status, 'completed');
});

test('a run that was queued when its agent went away starts when a process has the agent again', async (t) => {
  const disk = createMemoryDisk();
  const first = await hostOn(disk);
  const session = openSession(first, 'assistant');
  const running = await session.send('call nap {}');
  const queued = await session.send('say later');
  for await (const entry of running.events()) if (entry.kind === 'wait.opened') break;
  const without = await hostOn(disk, ['other']);
  t.after(async () => Promise.all([first.stop(), without.stop()]));
  const gone = await findSession(without, session.id);
  // What had started goes on: it is pinned, and needs no definition. What had not, waits.
  assert.equal((await (await gone.run(running.id)).result({ timeoutMs: 5_000 })).status, 'completed');
  assert.equal((await gone.run(queued.id)).id, queued.id);
  const second = await hostOn(disk);
  t.after(async () => second.stop());
  const again = await (await findSession(second, session.id)).run(queued.id);
  const end = await again.result({ timeoutMs: 10_000 });
  assert.deepEqual([end.status, end.text], ['completed', 'later']);
});

test('a host is not ready while its store is away, does not say where that is, and is ready again when it answers', async (t) => {
  let away: string | null = null;
  const host = await hostOn(createMemoryDisk(), ['assistant'], { away: () => away });
  t.after(() => host.stop());
  assert.deepEqual(host.ready(), { ready: true });
  away = 'no connection to db.example:5432';
  assert.deepEqual(host.ready(), { ready: false, reason: 'the storage does not answer' });
  away = null;
  assert.deepEqual(host.ready(), { ready: true });
});

test('a host whose store stopped says that it is not ready', async (t) => {
  const disk = createMemoryDisk();
  const first = await hostOn(disk);
  assert.deepEqual(first.ready(), { ready: true });
  const second = await hostOn(disk);
  t.after(async () => Promise.all([first.stop(), second.stop()]));
  assert.equal(first.ready().ready, false);
  assert.match(first.ready().reason ?? '', /opened by another store/);
});
