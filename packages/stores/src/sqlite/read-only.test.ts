import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { append, appendAfter, bodyOf, EMPTY_HEAD } from '@perdure/testkit/store-suite';
import { directoryFor, openFor } from '../../test/support.ts';
import { DATABASE, readSqliteStore } from './index.ts';

const ids = async (log: {
  list: (query: { limit: number }) => Promise<{ items: { id: string }[] }>;
}): Promise<string[]> => (await log.list({ limit: 10 })).items.map(({ id }) => id);

test('data is read while its owner writes, and what was committed meanwhile is seen', async (t) => {
  const directory = directoryFor(t);
  const store = await openFor(t, directory);
  const { log, blobs, docs } = store.tenant('default');
  const body = bodyOf('one');
  const head = await append(log, 's1', EMPTY_HEAD, { bodies: [body], index: { outstanding: 1, status: 'running' } });
  const digest = await blobs.put(Buffer.from('a blob'));
  const beside = readSqliteStore(directory);
  t.after(() => beside.close());
  const { log: seen, blobs: files, docs: documents } = beside.tenant('default');
  assert.deepEqual([beside.tenants(), await ids(seen)], [['default'], ['s1']]);
  assert.deepEqual((await seen.get('s1'))?.head, head);
  assert.deepEqual((await seen.read('s1', { after: 0, limit: 10 }))[0]?.bodies, [body]);
  assert.deepEqual(await seen.body('s1', 1, body.digest), body);
  assert.deepEqual((await seen.due({ now: 0, after: null, limit: 10 })).sessions, ['s1']);
  assert.equal(Buffer.from((await files.get(digest)) ?? []).toString(), 'a blob');
  await append(log, 's2', EMPTY_HEAD);
  assert.deepEqual(await ids(seen), ['s2', 's1']);
  assert.deepEqual(await ids(beside.tenant('nobody').log), []);
  await docs.put('policy', 'tenant', { rules: [] }, 0);
  assert.deepEqual((await documents.get('policy', 'tenant'))?.doc, { rules: [] });
  assert.equal(await beside.tenant('nobody').docs.get('policy', 'tenant'), null);
});

test('data that nobody has open is read, and left as it was for its next owner', async (t) => {
  const directory = directoryFor(t);
  const first = await openFor(t, directory);
  await append(first.tenant('default').log, 's1', EMPTY_HEAD);
  await first.close();
  const beside = readSqliteStore(directory);
  const { log } = beside.tenant('default');
  assert.deepEqual(await ids(log), ['s1']);
  const owner = await openFor(t, directory);
  assert.equal(owner.epoch, first.epoch + 1, 'a reader is no opening of the data');
  await append(owner.tenant('default').log, 's2', EMPTY_HEAD);
  assert.deepEqual(await ids(log), ['s2', 's1']);
  beside.close();
  await assert.rejects(log.get('s1'), { code: 'unavailable' });
});

test('a folder without data is not made into one, and newer data is refused', async (t) => {
  const directory = directoryFor(t);
  assert.throws(() => readSqliteStore(directory), { code: 'unavailable' });
  assert.deepEqual(readdirSync(directory), []);
  const store = await openFor(t, directory);
  await store.tenant('default').log.append(appendAfter('s1', EMPTY_HEAD));
  await store.close();
  const db = new DatabaseSync(join(directory, DATABASE));
  db.exec("UPDATE meta SET value = 99 WHERE name = 'schema'");
  db.close();
  assert.throws(() => readSqliteStore(directory), { code: 'data_too_new' });
});
