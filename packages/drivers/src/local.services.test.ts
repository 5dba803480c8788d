import { after, before, test } from 'node:test';
import { driverSuite } from '@perdure/testkit';
import type { PostgresService } from '@perdure/testkit/services';
import { postgresMissing, startPostgres } from '@perdure/testkit/services';
import { schemaOf } from '../test/postgres.ts';

const LEASE_MS = 900;
const missing = postgresMissing();
let server: PostgresService;

before(async () => {
  if (missing === null) server = await startPostgres();
});
after(async () => {
  if (missing === null) await server.dispose();
});

if (missing !== null) void test('driver suite: local on postgres', { skip: missing });
else
  driverSuite({
    name: 'local on postgres',
    async open() {
      const open = schemaOf(server);
      return {
        async process() {
          const store = await open();
          const close = async (): Promise<void> => store.close();
          return { store, host: { leaseMs: LEASE_MS }, kill: close, close };
        },
        dispose: async () => {},
      };
    },
  });
