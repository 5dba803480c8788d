import { after, before, describe, test } from 'node:test';
import type { Clock } from '@perdure/runtime/ports';
import { storeSuite } from '@perdure/testkit';
import {
  type Pooler,
  type PostgresService,
  postgresMissing,
  startPooler,
  startPostgres,
} from '@perdure/testkit/services';
import { timers } from '../../test/support.ts';
import { migratePostgres, openPostgresStore, type PostgresStoreOptions } from './index.ts';
import { asOwner, grant } from '../../test/postgres.ts';

const missing = postgresMissing();
let schemas = 0;

async function opened(options: PostgresStoreOptions) {
  let store = await openPostgresStore(options);
  return {
    store,
    async reopen() {
      await store.close();
      store = await openPostgresStore(options);
      return store;
    },
    another: async () => openPostgresStore(options),
    dispose: async () => {},
  };
}

if (missing !== null) test('store suite: postgres', { skip: missing });
else
  void describe('postgres', () => {
    let server: PostgresService;
    let pooler: Pooler;
    before(async () => {
      server = await startPostgres();
      await asOwner(server, 'CREATE ROLE app LOGIN');
      pooler = await startPooler({ port: server.port, user: 'app', database: 'postgres', connections: 3 });
    });
    after(async () => {
      await pooler.close();
      await server.dispose();
    });
    const options = (clock: Clock) => ({
      schema: `law ${(schemas += 1)}`,
      timers,
      databaseClock: clock,
      connections: 4,
    });

    storeSuite({
      name: 'postgres',
      shared: true,
      open: async (clock) => opened({ ...options(clock), url: server.url() }),
    });

    storeSuite({
      name: 'postgres behind a transaction pooler, as a role that owns nothing',
      shared: true,
      async open(clock) {
        const behind = { ...options(clock), url: `postgres://app@127.0.0.1:${pooler.port}/postgres` };
        await migratePostgres({ ...behind, url: server.url() });
        await asOwner(server, grant(behind.schema, 'app'));
        return opened(behind);
      },
    });
  });
