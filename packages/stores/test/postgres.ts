/** What tests of the Postgres store do to the database beside it. */
import type { PostgresService } from '@perdure/testkit/services';
import pg from 'pg';

/** Runs statements as the superuser; gives the rows of the last one. */
export async function asOwner(server: PostgresService, sql: string): Promise<Record<string, unknown>[]> {
  return asking(server.url(), sql);
}

/** Runs statements one after another on one connection; gives the rows of the last one. */
export async function asking(url: string, ...statements: string[]): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let rows: Record<string, unknown>[] = [];
    for (const sql of statements) ({ rows } = await client.query<Record<string, unknown>>(sql));
    return rows;
  } finally {
    await client.end();
  }
}

/** What a role must be given that runs Perdure and owns nothing (docs/guides/postgres.md). */
export function grant(schema: string, role: string): string {
  const name = pg.escapeIdentifier(schema);
  return `GRANT USAGE ON SCHEMA ${name} TO ${role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${name} TO ${role};
    GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${name} TO ${role};`;
}
