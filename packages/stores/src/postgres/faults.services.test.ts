import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Append, AppendResult, Head, LedgerOp, Store } from '@perdure/runtime/ports';
import { append, appendAfter, EMPTY_HEAD } from '@perdure/testkit/store-suite';
import {
  type PostgresService,
  postgresMissing,
  type Relay,
  startPostgres,
  startRelay,
} from '@perdure/testkit/services';
import { asking } from '../../test/postgres.ts';
import { timers } from '../../test/support.ts';
import { openPostgresStore } from './index.ts';

const missing = postgresMissing();
let server: PostgresService;
let schemas = 0;

type Home = { store: Store; schema: string; log: ReturnType<Store['tenant']>['log'] };

async function openFor(
  t: TestContext,
  options: { url?: string; schema?: string; connections?: number } = {},
): Promise<Home> {
  const schema = options.schema ?? `fault ${(schemas += 1)}`;
  const store = await openPostgresStore({ url: server.url(), timers, ...options, schema });
  t.after(() => store.close());
  return { store, schema, log: store.tenant('default').log };
}

async function relayed(t: TestContext): Promise<{ relay: Relay; home: Home; direct: Home }> {
  const direct = await openFor(t);
  const relay = await startRelay(server.port);
  t.after(() => relay.close());
  const url = `postgres://postgres@127.0.0.1:${relay.port}/postgres`;
  return { relay, direct, home: await openFor(t, { url, schema: direct.schema }) };
}

const isAppend = (bytes: Buffer): boolean => bytes.includes('.append($1');
const framesOf = async ({ log }: Home, session: string): Promise<number[]> =>
  (await log.read(session, { after: 0, limit: 1_000 })).map(({ first }) => first);

describe('faults of postgres', { skip: missing ?? false }, () => {
  before(async () => {
    if (missing === null) server = await startPostgres();
  });
  after(async () => server?.dispose());

  test('an append whose answer was lost is looked for, and answered as what it was', async (t) => {
    const { relay, home, direct } = await relayed(t);
    const first = await append(home.log, 's1', EMPTY_HEAD);
    const heard: number[] = [];
    home.log.watch(({ head }) => heard.push(head));
    const lost = relay.loseAnswer(isAppend);
    const second = await append(home.log, 's1', first);
    await lost;
    assert.deepEqual(await framesOf(direct, 's1'), [1, 2], 'it is there once');
    assert.deepEqual(heard, [2], 'and told once');
    await append(home.log, 's1', second);
  });

  test('an append that was lost on its way is sent again, and one on a head that has moved by then is a conflict', async (t) => {
    const { relay, home, direct } = await relayed(t);
    const head = await append(home.log, 's1', EMPTY_HEAD);
    const lost = relay.loseRequest(isAppend);
    const next = await append(home.log, 's1', head);
    await lost;
    const again = relay.loseRequest(isAppend);
    const [mine, others] = await Promise.all([
      home.log.append(appendAfter('s1', next, { text: 'mine' })),
      again.then(async () => direct.log.append(appendAfter('s1', next, { text: 'theirs' }))),
    ]);
    assert.ok(others.ok);
    assert.deepEqual(mine, { ok: false, code: 'conflict', head: others.head });
    assert.deepEqual(await framesOf(direct, 's1'), [1, 2, 3]);
  });

  test('a birth, a fork and a booking whose answers were lost happened once', async (t) => {
    const { relay, home, direct } = await relayed(t);
    let lost = relay.loseAnswer(isAppend);
    const open = {
      op: 'open',
      account: 'a',
      parent: null,
      caps: { tokens: 10 },
      spent: { tokens: 0, nanoUsd: 0 },
    } as const;
    const head = await append(home.log, 's1', EMPTY_HEAD, { ledger: [open, reserve('e1', 'a', 6)] });
    await lost;
    lost = relay.loseAnswer(isAppend);
    assert.ok((await home.log.fork({ session: 's1' }, appendAfter('s2', head))).ok);
    await lost;
    assert.deepEqual(await framesOf(direct, 's2'), [1, 2]);
    const refused = await direct.log.append(appendAfter('s1', head, { ledger: [reserve('e2', 'a', 5)] }));
    assert.deepEqual(!refused.ok && refused.code === 'refused' && refused.shortage.free, 4);
  });

  test('what was acknowledged outlives a server that is stopped at once, again and again, and nothing is there twice', async (t) => {
    const home = await openFor(t);
    const sessions = Array.from({ length: 10 }, (_, at) => `s${at}`);
    const acknowledged = new Map<string, Head>();
    let done = 0;
    const grow = async (session: string): Promise<void> => {
      for (let head = EMPTY_HEAD; head.seq < 10;) {
        const request = appendAfter(session, head, { text: session });
        const result = await home.log.append(request);
        if (result.ok) done += 1;
        else assert.ok(isAnswered(result, request), JSON.stringify(result));
        head = result.ok || result.code === 'conflict' ? result.head : head;
        acknowledged.set(session, head);
      }
    };
    let growing = true;
    const stops = (async () => {
      for (let after = 15; growing && after < 90; after += 20) {
        while (growing && done < after) await new Promise((resolve) => setTimeout(resolve, 1));
        await server.stop();
        await server.start();
      }
    })();
    await Promise.all(sessions.map(grow));
    growing = false;
    await stops;
    for (const session of sessions) {
      assert.deepEqual(await framesOf(home, session), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
      assert.deepEqual((await home.log.get(session))?.head, acknowledged.get(session));
    }
    assert.deepEqual(await home.log.verify(), []);
  });

  test('while the server is down everything is unavailable, and goes on by itself when it is back', async (t) => {
    const home = await openFor(t);
    const head = await append(home.log, 's1', EMPTY_HEAD);
    assert.equal(home.store.away?.(), null);
    await server.stop();
    try {
      await assert.rejects(home.log.get('s1'), { code: 'unavailable' });
      assert.match(home.store.away?.() ?? '', /connection/);
      await assert.rejects(home.store.tenants(), { code: 'unavailable' });
      const refused = await home.log.append(appendAfter('s1', head));
      assert.equal(refused.ok || refused.code, 'unavailable');
      await assert.rejects(openPostgresStore({ url: server.url(), timers }), { code: 'unavailable' });
      assert.equal(home.store.unavailable(), null, 'it need not be opened anew');
    } finally {
      await server.start();
    }
    await append(home.log, 's1', head);
    assert.equal(home.store.away?.(), null, 'it answers again');
  });

  test('a store that is closed while the server is down waits for no server', async (t) => {
    const home = await openFor(t);
    const head = await append(home.log, 's1', EMPTY_HEAD);
    await server.stop();
    try {
      const pending = home.log.append(appendAfter('s1', head));
      await home.store.close();
      const result = await pending;
      assert.equal(result.ok || result.code, 'unavailable');
    } finally {
      await server.start();
    }
  });

  test('what others commit is heard again after the server was away, whatever else is said on the channel', async (t) => {
    const one = await openFor(t);
    const two = await openFor(t, { schema: one.schema });
    for (const [at, { store }] of [one, two].entries())
      await store.tenant('default').leases.claim(`node/${at}`, `node/${at}`, 60_000);
    let heard = Promise.withResolvers<string>();
    t.after(one.log.watch(({ session, own }) => (own ? undefined : heard.resolve(session))));
    const told = async (session: string): Promise<void> => {
      heard = Promise.withResolvers<string>();
      await append(two.log, session, EMPTY_HEAD);
      assert.equal(await heard.promise, session);
    };
    await told('s1');
    await asking(server.url(), `NOTIFY "perdure ${one.schema}", 'no word'; NOTIFY "perdure ${one.schema}", 'null'`);
    await told('s2');
    await server.stop();
    await server.start();
    await told('s3');
    await told('s4');
  });

  test('one connection is enough for appends, reads and all else at once', async (t) => {
    const home = await openFor(t, { connections: 1 });
    const { docs, leases } = home.store.tenant('default');
    const grow = async (session: string): Promise<void> => {
      let head = EMPTY_HEAD;
      for (let round = 0; round < 3; round++) {
        head = await append(home.log, session, head);
        assert.equal((await home.log.read(session, { after: 0, limit: 9 })).length, round + 1);
      }
      assert.ok((await docs.put('note', session, session, 0)).ok);
      assert.ok((await leases.claim(session, 'me', 1_000)).ok);
    };
    await Promise.all(Array.from({ length: 20 }, async (_, at) => grow(`s${at}`)));
  });

  test('groups of several processes that book on the same accounts in any order never stand in each other’s way for good', async (t) => {
    const one = await openFor(t);
    const two = await openFor(t, { schema: one.schema });
    const accounts = ['a', 'b', 'c', 'd'];
    const spent = { tokens: 0, nanoUsd: 0 };
    const parent = { op: 'open', account: 'top', parent: null, caps: { tokens: 150 }, spent } as const;
    const ledger: LedgerOp[] = accounts.map((account) => ({ op: 'open', account, parent: 'top', caps: {}, spent }));
    await append(one.log, 's', EMPTY_HEAD, { ledger: [parent, ...ledger] });
    const results: AppendResult[] = await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        const order = [accounts[at % 4] ?? '', accounts[(at * 7 + 1) % 4] ?? ''];
        const ops = order.map((account, place) => reserve(`k${place}`, account, 1));
        return (
          [one, two][at % 2]?.log.append(appendAfter(`s${at}`, EMPTY_HEAD, { ledger: ops })) ??
          Promise.reject(new Error())
        );
      }),
    );
    assert.equal(results.filter(({ ok }) => ok).length, 75, 'two each, and 150 between them');
    assert.ok(results.every((result) => result.ok || result.code === 'refused'));
  });

  test('the feed misses nobody while several processes append', async (t) => {
    const one = await openFor(t);
    const two = await openFor(t, { schema: one.schema });
    const heads = new Map<string, number>();
    let appending = true;
    const follow = (async () => {
      for (let cursor = ''; ;) {
        const ended = !appending;
        const page = await one.log.feed(cursor, 7);
        assert.ok('changes' in page);
        for (const { session, head } of page.changes) heads.set(session, Math.max(head, heads.get(session) ?? 0));
        cursor = page.cursor;
        if (ended && page.changes.length === 0) return;
      }
    })();
    const grow = async (home: Home, session: string): Promise<void> => {
      let head = EMPTY_HEAD;
      for (let round = 0; round < 10; round++) head = await append(home.log, session, head);
    };
    await Promise.all(Array.from({ length: 30 }, async (_, at) => grow(at % 2 === 0 ? one : two, `s${at}`)));
    appending = false;
    await follow;
    assert.deepEqual(
      [...heads.values()],
      Array.from({ length: 30 }, () => 10),
    );
  });

  test('a session gets its place in the feed when nobody is at it, and is not written there again while it waits', async (t) => {
    const { log, schema } = await openFor(t);
    const ask = async (...statements: string[]): Promise<{ [column: string]: unknown }[]> =>
      asking(server.url(), 'BEGIN', `SET LOCAL perdure.tenant = 'default'`, ...statements);
    const row = async (): Promise<unknown> =>
      (await ask(`SELECT ctid::text AS at, place FROM "${schema}".changes`))[0] ?? null;
    const told = async (): Promise<unknown> => {
      const page = await log.feed('', 9);
      return 'changes' in page && page.changes.map(({ head }) => head);
    };
    const first = await append(log, 's1', EMPTY_HEAD);
    // However slow this machine is: it has not waited for long.
    await ask(`UPDATE "${schema}".changes SET stamp = stamp + 60000000`, 'COMMIT');
    const waiting = await row();
    const second = await append(log, 's1', first);
    assert.deepEqual(await row(), waiting);
    const lock = (how: string): string => `SELECT id FROM "${schema}".sessions ${how}`;
    const held = ask(lock('FOR NO KEY UPDATE'), 'SELECT pg_sleep(1)', 'COMMIT');
    while ((await ask(lock('FOR NO KEY UPDATE SKIP LOCKED'))).length > 0);
    assert.deepEqual(await told(), []);
    await held;
    assert.deepEqual(await told(), [2]);
    await append(log, 's1', second);
    assert.deepEqual(await told(), [3]);
  });

  test('a transaction that does not say its tenant sees nothing, nor does one of another tenant, nor may it write', async (t) => {
    const home = await openFor(t);
    await append(home.log, 's1', EMPTY_HEAD, { index: { key: 'k' } });
    await home.log.texts.add(
      [{ session: 's1', agent: 'a', upTo: 1, said: [{ seq: 1, at: 1, run: 'r1', role: 'user', text: 'mine' }] }],
      'c',
    );
    const schema = `"${home.schema}"`;
    await asking(
      server.url(),
      `DROP ROLE IF EXISTS outsider; CREATE ROLE outsider LOGIN; GRANT USAGE ON SCHEMA ${schema} TO outsider;
       GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${schema} TO outsider`,
    );
    t.after(() => asking(server.url(), 'DROP OWNED BY outsider; DROP ROLE outsider'));
    const url = `postgres://outsider@127.0.0.1:${server.port}/postgres`;
    const count = async (tenant: string | null, table: string): Promise<unknown> => {
      const set = tenant === null ? 'SELECT 1' : `SET LOCAL perdure.tenant = '${tenant}'`;
      return (await asking(url, 'BEGIN', set, `SELECT count(*)::int AS n FROM ${schema}.${table}`))[0]?.['n'];
    };
    for (const table of ['sessions', 'frames', 'changes', 'texts', 'indexed', 'feeds']) {
      assert.equal(await count(null, table), 0, table);
      assert.equal(await count('other', table), 0, table);
      assert.equal(await count('default', table), 1, table);
    }
    const found = async (tenant: string): Promise<unknown> =>
      (
        await asking(
          url,
          'BEGIN',
          `SET LOCAL perdure.tenant = '${tenant}'`,
          `SELECT FROM ${schema}.search_texts('["mine"]', NULL, 9e15::bigint, 9)`,
        )
      ).length;
    assert.deepEqual([await found('default'), await found('other')], [1, 0]);
    const forge = `INSERT INTO ${schema}.docs VALUES ('default', 'k', 'i', 1, '{}', '')`;
    await assert.rejects(asking(url, 'BEGIN', `SET LOCAL perdure.tenant = 'other'`, forge), { code: '42501' });
    await assert.rejects(asking(url, forge), { code: '42501' });
  });

  test('a database that acknowledges before its disk has it is refused', async (t) => {
    await openFor(t, { schema: 'hasty' });
    const url = `${server.url()}?options=-c%20synchronous_commit%3Doff`;
    const hasty = openPostgresStore({ url, schema: 'hasty', timers });
    await assert.rejects(hasty, { code: 'unavailable', message: /synchronous_commit is off/ });
  });

  test('a server without TLS is unavailable to who asks for it', async () => {
    const url = `${server.url()}?sslmode=require`;
    await assert.rejects(openPostgresStore({ url, timers }), { code: 'unavailable' });
  });
});

const reserve = (key: string, account: string, tokens: number): LedgerOp => ({
  op: 'reserve',
  key,
  account,
  amount: { tokens, nanoUsd: 0 },
});

/** What may come of an append while the server goes down: it was not accepted, or it was, and this is its own head. */
function isAnswered(result: AppendResult, { frame }: Append): boolean {
  if (result.ok) return true;
  return result.code === 'unavailable' || (result.code === 'conflict' && result.head.hash === frame.hash);
}
