import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { system } from '@perdure/runtime';
import type { Store } from '@perdure/runtime/ports';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { driverSuite, TWO_WORKERS } from '@perdure/testkit';
import type { PostgresService } from '@perdure/testkit/services';
import { postgresMissing, startPostgres } from '@perdure/testkit/services';
import { alone, NEVER_MS, together } from '../../test/ground.ts';
import { schemaOf } from '../../test/postgres.ts';
import type { RestateServer } from './index.ts';
import { restateMissing, startRestateServer } from './index.ts';

const LEASE_MS = 900;

let server: RestateServer;
let folder = '';
const missing = restateMissing();
const noPostgres = postgresMissing();
let postgres: PostgresService;

before(async () => {
  if (missing !== null) return;
  if (noPostgres === null) postgres = await startPostgres();
  folder = await mkdtemp(join(tmpdir(), 'perdure-restate-'));
  server = await startRestateServer({
    directory: folder,
    ...system,
    // A connection for each call: the balancer before the workers sees connections alone.
    settings: { RESTATE_WORKER__INVOKER__HTTP2_STREAMS_PER_CONNECTION_LIMIT: '1' },
  });
});

after(async () => {
  if (missing !== null) return;
  await server.stop();
  if (noPostgres === null) await postgres.dispose();
  await rm(folder, { recursive: true, force: true });
});

if (missing !== null) void test('driver suite: restate', { skip: missing });
else {
  driverSuite({
    name: 'restate on memory that workers share',
    async open() {
      const disk = createMemoryDisk();
      const open = async (): Promise<Store> => openMemoryStore({ clock: system.clock, disk, shared: true });
      return together(server, open, { leaseMs: LEASE_MS, sweepMs: NEVER_MS });
    },
  });
  driverSuite({
    name: 'restate on sqlite',
    skip: [{ reason: 'one process owns this data', tests: TWO_WORKERS }],
    open: async () => alone(server),
  });
  if (noPostgres !== null) void test('driver suite: restate on postgres', { skip: noPostgres });
  else
    driverSuite({
      name: 'restate on postgres',
      open: async () => together(server, schemaOf(postgres), { leaseMs: LEASE_MS, sweepMs: NEVER_MS }),
    });
}
