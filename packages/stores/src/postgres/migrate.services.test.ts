import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { append, EMPTY_HEAD } from '@perdure/testkit/store-suite';
import { type PostgresService, postgresMissing, startPostgres } from '@perdure/testkit/services';
import { asOwner } from '../../test/postgres.ts';
import { timers } from '../../test/support.ts';
import { connectTo, type Database, loadDriver } from './database.ts';
import { inspectPostgres, migratePostgres, openPostgresStore, readPostgresSchema } from './index.ts';
import { migrateSchema, WRITE_VERSION } from './migrate.ts';
import { MIGRATIONS } from './migrations/index.ts';

const missing = postgresMissing();
let server: PostgresService;
let schemas = 0;

const newest = MIGRATIONS.at(-1)?.id ?? 0;
const fresh = () => ({ url: server.url(), schema: `m${(schemas += 1)}`, timers });
const names = (steps: readonly { id: number }[]): number[] => steps.map(({ id }) => id);

async function withDatabase<T>(
  options: ReturnType<typeof fresh>,
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const database = connectTo(await loadDriver(), { ...options, connections: 1, now: null });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

describe('migrations of postgres', { skip: missing ?? false }, () => {
  before(async () => {
    if (missing === null) server = await startPostgres();
  });
  after(async () => server?.dispose());

  test('an empty database is made when it is first opened, and then there is nothing to do', async () => {
    const options = fresh();
    assert.equal((await readPostgresSchema(options)).version, 0);
    await (await openPostgresStore(options)).close();
    assert.deepEqual(await readPostgresSchema(options), { version: newest, pending: [] });
    assert.deepEqual(await migratePostgres(options), []);
  });

  test('an older schema is refused until it is migrated, and nothing is done to it by that', async () => {
    const options = fresh();
    const old = MIGRATIONS.slice(0, -1);
    await withDatabase(options, async (database) => migrateSchema(database, old));
    await assert.rejects(openPostgresStore(options), { code: 'data_too_old', message: /run perdure migrate/ });
    assert.deepEqual(names((await readPostgresSchema(options)).pending), [newest]);
    assert.deepEqual(names(await migratePostgres(options)), [newest]);
    const store = await openPostgresStore(options);
    await append(store.tenant('default').log, 's1', EMPTY_HEAD);
    await store.close();
  });

  test('of five that start on an empty database at once one makes it and all of them work', async () => {
    const options = fresh();
    const stores = await Promise.all(Array.from({ length: 5 }, async () => openPostgresStore(options)));
    assert.equal(new Set(stores.map(({ epoch }) => epoch)).size, 5);
    await Promise.all(stores.map(async (store, at) => append(store.tenant('default').log, `s${at}`, EMPTY_HEAD)));
    await Promise.all(stores.map(async (store) => store.close()));
  });

  test('a schema of a newer build, or one in which a migration was another one, is left alone', async () => {
    const options = fresh();
    await (await openPostgresStore(options)).close();
    await asOwner(server, `INSERT INTO ${options.schema}.perdure_migrations VALUES (${newest + 1}, 'later', 'x')`);
    for (const opened of [openPostgresStore, migratePostgres, readPostgresSchema])
      await assert.rejects(opened(options), { code: 'data_too_new', message: new RegExp(`version ${newest + 1}`) });
    await asOwner(server, `DELETE FROM ${options.schema}.perdure_migrations WHERE id > ${newest}`);
    await asOwner(server, `UPDATE ${options.schema}.perdure_migrations SET checksum = 'x' WHERE id = 1`);
    await assert.rejects(openPostgresStore(options), { code: 'data_too_new', message: /migration 1/ });
  });

  test('entries that are too new are found before anything is done', async () => {
    const options = fresh();
    await (await openPostgresStore(options)).close();
    await asOwner(server, `UPDATE ${options.schema}.meta SET value = ${WRITE_VERSION + 2} WHERE name = 'writeVersion'`);
    for (const opened of [openPostgresStore, migratePostgres, readPostgresSchema])
      await assert.rejects(opened(options), { code: 'data_too_new', message: /entries have version/ });
    await assert.rejects(inspectPostgres({ ...options, clock: { now: () => Date.now(), monotonicMs: () => 0 } }), {
      code: 'data_too_new',
    });
  });

  test('a role that may not do its work is told so, and one that row policies do not hold for is found', async () => {
    const options = fresh();
    await (await openPostgresStore(options)).close();
    await asOwner(server, `CREATE ROLE plain LOGIN; GRANT USAGE ON SCHEMA ${options.schema} TO plain`);
    const url = new URL(options.url);
    url.username = 'plain';
    await assert.rejects(openPostgresStore({ ...options, url: url.href }), {
      code: 'unavailable',
      message: /permission denied.*: grant it to the role/,
    });
    const clock = { now: () => Date.now(), monotonicMs: () => 0 };
    const facts = async (as: string) => inspectPostgres({ ...options, schema: 'nowhere', url: as, clock });
    assert.equal((await facts(url.href)).bypassesPolicies, false);
    assert.equal((await facts(options.url)).bypassesPolicies, true);
  });

  test('a schema in which an earlier text of a migration was run, and made the same by a later one, is opened', async () => {
    const options = fresh();
    await (await openPostgresStore(options)).close();
    const { id, also = [] } = MIGRATIONS.find((each) => each.also !== undefined) ?? { id: 0 };
    for (const checksum of also) {
      await asOwner(
        server,
        `UPDATE ${options.schema}.perdure_migrations SET checksum = '${checksum}' WHERE id = ${id}`,
      );
      await (await openPostgresStore(options)).close();
      assert.deepEqual((await readPostgresSchema(options)).pending, []);
    }
    assert.equal(also.length, 1);
  });

  test('entries of a version that this build does not read are left alone', async () => {
    const options = fresh();
    await (await openPostgresStore(options)).close();
    await asOwner(server, `UPDATE ${options.schema}.meta SET value = 99 WHERE name = 'writeVersion'`);
    await assert.rejects(openPostgresStore(options), { code: 'data_too_new', message: /entries/ });
  });

  test('a migration that fails leaves nothing of what ran with it', async () => {
    const options = fresh();
    const broken = [...MIGRATIONS, { id: newest + 1, name: 'broken', sql: 'CREATE TABLE {s}.half (); SELECT 1 / 0' }];
    await assert.rejects(
      withDatabase(options, async (database) => migrateSchema(database, broken)),
      {
        code: 'unavailable',
        message: /cannot be migrated: division by zero/,
      },
    );
    assert.equal((await readPostgresSchema(options)).version, 0);
  });

  test('a migration over which the server dies leaves nothing behind, and is made whole when it is back', async () => {
    const options = fresh();
    await withDatabase(options, async (database) => migrateSchema(database, MIGRATIONS.slice(0, 2)));
    const slow = { id: newest + 1, name: 'slow', sql: 'CREATE TABLE {s}.half (); SELECT pg_sleep(60)' };
    const dying = withDatabase(options, async (database) => migrateSchema(database, [...MIGRATIONS, slow]));
    const refused = assert.rejects(dying, { code: 'unavailable', message: /cannot be migrated/ });
    const asleep = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%half%' AND query NOT LIKE '%activity%'`;
    while ((await asOwner(server, asleep)).length === 0) continue;
    // Whoever waits for the lock of the one that dies is told the same.
    const waiting = assert.rejects(migratePostgres(options), { code: 'unavailable' });
    const locked = `SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`;
    while ((await asOwner(server, locked)).length === 0) continue;
    await server.kill();
    await Promise.all([refused, waiting]);
    await server.start();
    assert.equal((await readPostgresSchema(options)).version, 2);
    await assert.rejects(openPostgresStore(options), { code: 'data_too_old' });
    assert.equal((await migratePostgres(options)).length, MIGRATIONS.length - 2);
    const store = await openPostgresStore(options);
    await append(store.tenant('default').log, 's1', EMPTY_HEAD);
    await store.close();
  });

  test('an operator is told the versions and how far the clocks are apart', async () => {
    const options = fresh();
    const clock = { now: () => Date.now() + 60_000, monotonicMs: () => 0 };
    const facts = await inspectPostgres({ ...options, clock });
    assert.match(facts.serverVersion, /^\d+/);
    assert.deepEqual([facts.schemaVersion, facts.pending], [0, MIGRATIONS.length]);
    assert.ok(Math.abs(facts.clockAheadMs + 60_000) < 10_000);
  });
});
