import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { system } from '@perdure/runtime';
import { openSqliteStore } from '@perdure/stores/sqlite';
import { driverSuite, TWO_WORKERS } from '@perdure/testkit';
import type { Listening, RestateServer } from './index.ts';
import { createRestateDriver, listenOn, restateMissing, startRestateServer } from './index.ts';

/** What Restate is trusted with, the sweeper must not do. */
const NEVER_MS = 24 * 60 * 60_000;

let server: RestateServer;
let folder = '';
let names = 0;

const missing = restateMissing();
before(async () => {
  if (missing !== null) return;
  folder = await mkdtemp(join(tmpdir(), 'perdure-restate-'));
  server = await startRestateServer({ directory: folder, ...system });
});

after(async () => {
  if (missing !== null) return;
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

if (missing !== null) void test('driver suite: restate', { skip: missing });
else
  driverSuite({
    name: 'restate on sqlite',
    skip: [{ reason: 'one process owns this data', tests: TWO_WORKERS }],
    async open() {
      const directory = await mkdtemp(join(tmpdir(), 'perdure-drivers-'));
      const { ingress, admin } = server;
      names += 1;
      const name = `suite${names}`;
      return {
        async process() {
          const store = await openSqliteStore({ directory, clock: system.clock, timers: system.timers });
          let listening: Listening | undefined;
          const driver = await createRestateDriver({ ingress, admin, name }, async (handler) => {
            listening = await listenOn('127.0.0.1', 0)(handler);
            return listening;
          });
          const kill = async (): Promise<void> => {
            await listening?.close();
            await store.close();
          };
          return { store, host: { driver, sweepMs: NEVER_MS }, kill, close: async () => store.close() };
        },
        dispose: async () => rm(directory, { recursive: true, force: true }),
      };
    },
  });
