/** A Postgres for the driver suite: a schema a law, and processes that open it. */
import { system } from '@perdure/runtime';
import type { Store } from '@perdure/runtime/ports';
import { openPostgresStore } from '@perdure/stores/postgres';
import type { PostgresService } from '@perdure/testkit/services';

let schemas = 0;

export function schemaOf(server: PostgresService): () => Promise<Store> {
  const schema = `law${(schemas += 1)}`;
  return async () => openPostgresStore({ url: server.url(), schema, timers: system.timers, connections: 2 });
}
