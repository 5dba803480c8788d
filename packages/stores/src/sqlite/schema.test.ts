import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { append, EMPTY_HEAD } from '@perdure/testkit/store-suite';
import { timers } from '../../test/support.ts';
import { openSqliteStore, readSqliteStore } from './index.ts';
import { DATABASE, SCHEMA } from './schema.ts';

const clock = { now: () => 5, monotonicMs: () => 5 };

/** What version 1 had in this place. */
const LEASES_1 = `
CREATE TABLE leases (
  tid INTEGER NOT NULL, name TEXT NOT NULL, holder TEXT, epoch INTEGER NOT NULL, expiresAt INTEGER NOT NULL,
  PRIMARY KEY (tid, name)
) STRICT, WITHOUT ROWID`;

test('data of version 1 is read as it is, and brought up by the first opening with all that it holds', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'perdure-schema-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const before = await openSqliteStore({ directory, clock, timers });
  const head = await append(before.tenant('default').log, 's1', EMPTY_HEAD, { index: { outstanding: 1 } });
  await before.close();
  const db = new DatabaseSync(join(directory, DATABASE));
  db.exec(`DROP TABLE leases; ${LEASES_1}; UPDATE meta SET value = 1 WHERE name = 'schema'`);
  db.exec("INSERT INTO leases SELECT tid, 'job', 'a', 7, 1000 FROM tenants");
  db.close();
  const reading = readSqliteStore(directory);
  const due = { now: 0, after: null, limit: 10 };
  assert.deepEqual((await reading.tenant('default').log.due(due)).sessions, ['s1']);
  reading.close();

  const store = await openSqliteStore({ directory, clock, timers });
  const { leases, log } = store.tenant('default');
  assert.deepEqual(await leases.list(''), [{ name: 'job', holder: 'a', epoch: 7, address: null }]);
  assert.deepEqual(await leases.claim('job', 'b', 1_000), { ok: false, holder: 'a' });
  assert.deepEqual((await log.due({ ...due, holder: 'b' })).sessions, ['s1']);
  await append(log, 's1', head);
  await store.close();
  const after = new DatabaseSync(join(directory, DATABASE));
  assert.equal(after.prepare("SELECT value FROM meta WHERE name = 'schema'").get()?.['value'], SCHEMA);
  after.close();
  await (await openSqliteStore({ directory, clock, timers })).close();
});

test('data of every earlier version has the newest one after an opening, and an earlier build knows that', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'perdure-schema-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  await (await openSqliteStore({ directory, clock, timers })).close();
  const versionOf = (work: (db: DatabaseSync) => void = () => {}): unknown => {
    const db = new DatabaseSync(join(directory, DATABASE));
    work(db);
    const row = db.prepare("SELECT value FROM meta WHERE name = 'schema'").get();
    db.close();
    return row?.['value'];
  };
  for (let version = 1; version < SCHEMA; version += 1) {
    versionOf((db) => {
      if (version < 2) db.exec(`DROP TABLE leases; ${LEASES_1};`);
      db.exec(`UPDATE meta SET value = ${version} WHERE name = 'schema'`);
    });
    await (await openSqliteStore({ directory, clock, timers })).close();
    assert.equal(versionOf(), SCHEMA);
  }
});
