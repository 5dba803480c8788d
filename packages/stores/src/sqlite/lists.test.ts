import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { pageQuery } from './lists.ts';
import { prepareSchema } from './schema.ts';

test('a page costs what it holds: no list of a tenant is sorted or walked from its beginning', () => {
  const db = new DatabaseSync(':memory:');
  prepareSchema(db);
  for (const table of ['sessions', 'runs'] as const) {
    for (const agent of [undefined, 'a']) {
      for (const status of [undefined, 'idle']) {
        const { query } = pageQuery(table, 1, { agent, status });
        const plan = db.prepare(`EXPLAIN QUERY PLAN ${query}`).all();
        const detail = plan.map((row) => String(row['detail'])).join('; ');
        assert.match(detail, /^SEARCH .*rowid>\? AND rowid<\?\)$/, query);
      }
    }
  }
  const { query } = pageQuery('runs', 1, { sid: 1, status: 'idle' });
  const [first] = db.prepare(`EXPLAIN QUERY PLAN ${query}`).all();
  assert.match(String(first?.['detail']), /runs_place \(sid=\?/, 'the runs of one session are found by it');
  db.close();
});
