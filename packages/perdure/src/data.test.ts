import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { folderOf, openStore, secretsOfStore } from './data.ts';

test('only SQLite needs a folder; Postgres takes one for what is the process’s own', () => {
  assert.match(folderOf('sqlite', undefined) ?? '', /\.perdure$/);
  assert.match(folderOf('postgres://h/d', 'x') ?? '', /x$/);
  assert.equal(folderOf('postgres://h/d', undefined), null);
  assert.equal(folderOf('memory', 'x'), null);
});

test('the password of a store is a secret, unless it is a name in the same address', () => {
  const values = (store: string): string[] => Object.values(secretsOfStore(store));
  const store = 'postgres://u:EXAMPLE%2Fpassword@h/d';
  assert.deepEqual(values(store), [store, 'EXAMPLE/password', 'EXAMPLE%2Fpassword']);
  assert.deepEqual(values('postgres://postgres:postgres@h/d'), ['postgres://postgres:postgres@h/d']);
  assert.deepEqual(values('postgres://u@h/d'), []);
  assert.deepEqual(values('sqlite'), []);
});

test('a server that is not there is unavailable, and is named without its password', async () => {
  await assert.rejects(
    openStore('postgres://u:EXAMPLE-word@127.0.0.1:1/d', null),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'unavailable');
      assert.match(error.message, /^no connection to postgres:\/\/127\.0\.0\.1:1\/d: connect ECONNREFUSED/);
      assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes('EXAMPLE'));
      return true;
    },
  );
});
