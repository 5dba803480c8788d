import { after, before, test } from 'node:test';
import { storeSuite } from '@perdure/testkit';
import { type PostgresService, postgresMissing, startPostgres } from '@perdure/testkit/services';
import { timers } from '../../test/support.ts';
import { openPostgresStore } from './index.ts';

const missing = postgresMissing();
let server: PostgresService;
let schemas = 0;
before(async () => {
  if (missing === null) server = await startPostgres();
});
after(async () => server?.dispose());

if (missing !== null) test('store suite: postgres', { skip: missing });
else
  storeSuite({
    name: 'postgres',
    shared: true,
    async open(clock) {
      const options = {
        url: server.url(),
        schema: `law ${(schemas += 1)}`,
        timers,
        databaseClock: clock,
        connections: 4,
      };
      let store = await openPostgresStore(options);
      return {
        store,
        async reopen() {
          await store.close();
          store = await openPostgresStore(options);
          return store;
        },
        another: async () => openPostgresStore(options),
        async dispose() {},
      };
    },
  });
