import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import type { LogStore, Said, Store } from '@perdure/runtime/ports';
import { append, EMPTY_HEAD } from '@perdure/testkit/store-suite';
import { clock, directoryFor, openFor, timers } from '../../test/support.ts';
import { openSqliteStore } from './index.ts';
import { openIndex } from './text-index.ts';

const said = (seq: number, text: string): Said => ({ seq, at: 1_700_000_000_000 + seq, run: 'r1', role: 'user', text });

async function talk(log: LogStore, session: string, ...texts: string[]): Promise<void> {
  const head = await append(log, session, EMPTY_HEAD, { entries: texts.length });
  const all = texts.map((text, index) => said(index + 1, text));
  await log.texts.add([{ session, agent: 'a', upTo: head.seq, said: all }], `c${session}`);
}
const found = async (log: LogStore, term: string): Promise<string[]> =>
  (await log.texts.search({ terms: [term], limit: 99 })).items.map(({ session, seq }) => `${session}.${seq}`);
const open = async (directory: string): Promise<Store> => openSqliteStore({ directory, clock, timers });
const logOf = (store: Store): LogStore => store.tenant('default').log;
const texts = (directory: string): string => join(directory, 'texts');
const indexFile = (directory: string): string => join(texts(directory), '1.db');
/** All bytes of the index's files. */
const bytesOf = (directory: string): string =>
  readdirSync(texts(directory))
    .map((name) => readFileSync(join(texts(directory), name), 'latin1'))
    .join('\n');

test('nobody pays for an index before somebody searches', async (t: TestContext) => {
  const directory = directoryFor(t);
  const log = logOf(await openFor(t, directory));
  await append(log, 's1', EMPTY_HEAD);
  assert.equal(await log.delete('s1'), true);
  assert.ok(!existsSync(texts(directory)));
});

test('of what was erased no byte is left in the files of the index', async (t: TestContext) => {
  const directory = directoryFor(t);
  const log = logOf(await openFor(t, directory));
  const filler = Array.from({ length: 300 }, (_, n) => `filler${n} conversation about nothing ${n}`);
  await talk(log, 's1', ...filler, 'the canaryword sleeps', 'a secretplan');
  await talk(log, 's2', ...filler);
  assert.match(bytesOf(directory), /canaryword/);
  await log.delete('s1');
  const left = bytesOf(directory);
  for (const part of ['canaryword', 'anarywor', 'secretplan', 'ecretpla']) assert.ok(!left.includes(part), part);
  assert.equal((await found(log, 'conversation')).length, 99);
});

test('a damaged index is made anew, and the log is not touched by that', async (t: TestContext) => {
  const directory = directoryFor(t);
  const first = await open(directory);
  await talk(logOf(first), 's1', 'hello');
  await first.close();
  for (const damage of [
    Buffer.alloc(100, 'x'),
    Buffer.concat([readFileSync(indexFile(directory)).subarray(0, 5_000), Buffer.alloc(9_000, 1)]),
  ]) {
    writeFileSync(indexFile(directory), damage);
    const store = await open(directory);
    const log = logOf(store);
    // Whoever meets the damage is told to ask again.
    const { cursor } = await log.texts.progress(['s1']).catch(async (error: { code: string }) => {
      assert.equal(error.code, 'unavailable');
      return log.texts.progress(['s1']);
    });
    const addition = { session: 's1', agent: 'a', upTo: 1, said: [said(1, 'hello')] };
    await log.texts.add([addition], 'c').catch(async () => log.texts.add([addition], 'c'));
    assert.deepEqual([await found(log, 'hello'), await log.verify()], [['s1.1'], []], `cursor ${cursor}`);
    await store.close();
  }
});

test('an index of another version is made anew', async (t: TestContext) => {
  const directory = directoryFor(t);
  const first = await open(directory);
  await talk(logOf(first), 's1', 'hello');
  await first.close();
  const db = new DatabaseSync(indexFile(directory));
  db.exec('PRAGMA user_version = 99');
  db.close();
  const log = logOf(await openFor(t, directory));
  assert.deepEqual(await log.texts.progress(['s1']), { cursor: '', reached: [0] });
  assert.deepEqual(await found(log, 'hello'), []);
});

test('a deletion that died between the index and the log is finished or taken back by the next opening', async (t: TestContext) => {
  const directory = directoryFor(t);
  const store = await open(directory);
  for (const session of ['s1', 's2', 's3']) await talk(logOf(store), session, `hello from ${session}`);
  await store.close();
  // As a crash leaves it: the index was told of s1, the log of s2, and of s3 both.
  const index = openIndex(directory, 1, () => false);
  index.erase('s1');
  index.erase('s3');
  index.close();
  const db = new DatabaseSync(join(directory, 'perdure.db'));
  db.exec("UPDATE sessions SET deleted = 1 WHERE id IN ('s2', 's3')");
  db.close();
  const log = logOf(await openFor(t, directory));
  assert.deepEqual(await log.texts.progress(['s1']), { cursor: '', reached: [0] }, 's1 is there: it is taken in anew');
  assert.deepEqual(await found(log, 'hello'), []);
  assert.ok(!bytesOf(directory).includes('from s2'));
  await log.texts.add([{ session: 's1', agent: 'a', upTo: 1, said: [said(1, 'hello again')] }], 'c');
  assert.deepEqual(await found(log, 'hello'), ['s1.1']);
});

test('a store that is closed answers no search, and lets go of its thread', async (t: TestContext) => {
  const store = await open(directoryFor(t));
  const log = logOf(store);
  await talk(log, 's1', 'hello');
  const asked = found(log, 'hello');
  await Promise.all([store.close(), asked.catch(() => [])]);
  await assert.rejects(log.texts.search({ terms: ['hello'], limit: 1 }), { code: 'unavailable' });
});
