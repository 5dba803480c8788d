import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createModelSource } from '@perdure/models';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import type { MemoryDisk } from '@perdure/stores/memory';
import { agent, createHost, findSession, openSession, Redactor, silentLogger, system, tool, wait } from './index.ts';
import type { Host } from './index.ts';

const nap = tool({
  name: 'nap',
  description: 'Parks the call for a moment.',
  input: { type: 'object' },
  effect: 'pure',
  run: () => wait({ kind: 'timer', afterMs: 300 }),
});

async function hostOn(disk: MemoryDisk): Promise<Host> {
  const host = await createHost({
    store: openMemoryStore({ clock: system.clock, disk }),
    agents: [agent({ name: 'assistant', model: 'demo', tools: [nap] })],
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
