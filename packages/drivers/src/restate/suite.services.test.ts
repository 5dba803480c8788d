import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { system } from '@perdure/runtime';
import { driverSuite, TWO_WORKERS } from '@perdure/testkit';
import { alone } from '../../test/ground.ts';
import type { RestateServer } from './index.ts';
import { restateMissing, startRestateServer } from './index.ts';

let server: RestateServer;
let folder = '';
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
    open: async () => alone(server),
  });
