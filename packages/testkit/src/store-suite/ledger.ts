import assert from 'node:assert/strict';
import type { AppendResult, Head, LedgerOp } from '@perdure/runtime/ports';
import { append, appendAfter, rejectsWith, EMPTY_HEAD, type Law, type World } from './world.ts';

const nothing = { tokens: 0, nanoUsd: 0 };
const tokens = (count: number) => ({ tokens: count, nanoUsd: 0 });
const money = (nanoUsd: number) => ({ tokens: 0, nanoUsd });

function open(account: string, parent: string | null, caps: { tokens?: number; nanoUsd?: number }): LedgerOp {
  return { op: 'open', account, parent, caps, spent: nothing };
}
const reserve = (key: string, account: string, amount: { tokens: number; nanoUsd: number }): LedgerOp => ({
  op: 'reserve',
  key,
  account,
  amount,
});
const settle = (key: string, amount: { tokens: number; nanoUsd: number }): LedgerOp => ({ op: 'settle', key, amount });
const release = (key: string): LedgerOp => ({ op: 'release', key });

/** Appends one entry with these operations to a session, at its head. */
async function booked(world: World, session: string, ...ledger: LedgerOp[]): Promise<AppendResult> {
  const head: Head = (await world.log.get(session))?.head ?? EMPTY_HEAD;
  return world.log.append(appendAfter(session, head, { ledger }));
}

async function accepts(world: World, session: string, ...ledger: LedgerOp[]): Promise<void> {
  const result = await booked(world, session, ...ledger);
  assert.ok(result.ok, `accepted, not ${JSON.stringify(result)}`);
}

/** What is free, asked by a reservation that is too large: it is refused, and says so. */
async function free(world: World, account: string, limit: 'tokens' | 'money' = 'tokens'): Promise<number> {
  const amount = limit === 'tokens' ? tokens(1e12) : money(1e12);
  const result = await booked(world, 's1', reserve('probe', account, amount));
  assert.ok(!result.ok && result.code === 'refused' && result.shortage.limit === limit);
  return result.shortage.free;
}

/** Laws of the ledger inside an append: caps hold at every level, keys count once, a refusal leaves no trace. */
export const ledgerLaws: readonly Law[] = [
  {
    name: 'a reservation past a cap is refused with what was needed and what is free, and nothing is written',
    async run(world) {
      await accepts(world, 's1', open('run', null, { tokens: 100 }), reserve('e1', 'run', tokens(60)));
      const before = await world.log.get('s1');
      const result = await booked(world, 's1', reserve('e2', 'run', tokens(10)), reserve('e3', 'run', tokens(31)));
      const shortage = { account: 'run', limit: 'tokens', needed: 31, free: 30 };
      assert.deepEqual(result, { ok: false, code: 'refused', shortage });
      assert.deepEqual(await world.log.get('s1'), before);
      assert.equal(await free(world, 'run'), 40);
    },
  },
  {
    name: 'a reservation counts against its account and every account above it',
    async run(world) {
      await accepts(
        world,
        's1',
        open('tenant', null, { tokens: 1_000 }),
        open('session', 'tenant', { tokens: 150 }),
        open('run', 'session', { tokens: 500 }),
        reserve('e1', 'run', tokens(100)),
      );
      assert.deepEqual(
        [await free(world, 'tenant'), await free(world, 'session'), await free(world, 'run')],
        [900, 50, 50].map((value, at) => (at === 2 ? 400 : value)),
      );
      const result = await booked(world, 's1', reserve('e2', 'run', tokens(60)));
      const shortage = { account: 'session', limit: 'tokens', needed: 60, free: 50 };
      assert.deepEqual(result, { ok: false, code: 'refused', shortage });
    },
  },
  {
    name: 'money is capped as tokens are',
    async run(world) {
      await accepts(world, 's1', open('run', null, { nanoUsd: 1_000 }), reserve('e1', 'run', money(999)));
      const result = await booked(world, 's1', reserve('e2', 'run', { tokens: 5, nanoUsd: 2 }));
      const shortage = { account: 'run', limit: 'money', needed: 2, free: 1 };
      assert.deepEqual(result, { ok: false, code: 'refused', shortage });
    },
  },
  {
    name: 'an account without a cap refuses nothing',
    async run(world) {
      await accepts(world, 's1', open('run', null, {}), reserve('e1', 'run', { tokens: 1e12, nanoUsd: 1e15 }));
    },
  },
  {
    name: 'settling turns a reservation into what was spent, at every level',
    async run(world) {
      await accepts(world, 's1', open('session', null, { tokens: 100 }), open('run', 'session', { tokens: 100 }));
      await accepts(world, 's1', reserve('e1', 'run', tokens(80)));
      await accepts(world, 's1', settle('e1', tokens(30)));
      assert.deepEqual([await free(world, 'session'), await free(world, 'run')], [70, 70]);
    },
  },
  {
    name: 'a bill above the reservation closes the account',
    async run(world) {
      await accepts(world, 's1', open('run', null, { tokens: 100 }), reserve('e1', 'run', tokens(80)));
      await accepts(world, 's1', settle('e1', tokens(130)));
      assert.equal(await free(world, 'run'), 0);
      const result = await booked(world, 's1', reserve('e2', 'run', tokens(1)));
      assert.equal(result.ok ? 'ok' : result.code, 'refused');
    },
  },
  {
    name: 'a release gives back all that was reserved',
    async run(world) {
      await accepts(world, 's1', open('run', null, { tokens: 100 }), reserve('e1', 'run', tokens(80)));
      await accepts(world, 's1', release('e1'));
      assert.equal(await free(world, 'run'), 100);
    },
  },
  {
    name: 'each operation counts once however often its key comes',
    async run(world) {
      await accepts(world, 's1', open('run', null, { tokens: 100 }));
      for (let at = 0; at < 3; at++) await accepts(world, 's1', reserve('e1', 'run', tokens(50)));
      assert.equal(await free(world, 'run'), 50);
      await accepts(world, 's1', settle('e1', tokens(20)), settle('e1', tokens(20)));
      await accepts(world, 's1', settle('e1', tokens(20)), release('e1'), reserve('e1', 'run', tokens(50)));
      assert.equal(await free(world, 'run'), 80);
    },
  },
  {
    name: 'within one append a settlement makes room for a reservation after it',
    async run(world) {
      await accepts(world, 's1', open('run', null, { tokens: 100 }), reserve('e1', 'run', tokens(90)));
      await accepts(world, 's1', settle('e1', tokens(10)), reserve('e2', 'run', tokens(90)));
      assert.equal(await free(world, 'run'), 0);
    },
  },
  {
    name: 'an account opened again takes the new caps and keeps what was spent',
    async run(world) {
      await accepts(world, 's1', open('run', null, { tokens: 100 }), reserve('e1', 'run', tokens(90)));
      await accepts(world, 's1', open('run', null, { tokens: 1_000 }));
      assert.equal(await free(world, 'run'), 910);
    },
  },
  {
    name: 'what an account is opened with counts as spent',
    async run(world) {
      await accepts(world, 's1', { op: 'open', account: 'run', parent: null, caps: { tokens: 9 }, spent: tokens(7) });
      assert.equal(await free(world, 'run'), 2);
    },
  },
  {
    name: 'the books are the same after reopening',
    async run(world) {
      await accepts(world, 's1', open('session', null, { tokens: 500 }), open('run', 'session', { nanoUsd: 70 }));
      await accepts(world, 's1', reserve('e1', 'run', { tokens: 100, nanoUsd: 10 }), reserve('e2', 'run', tokens(50)));
      await accepts(world, 's1', settle('e1', { tokens: 80, nanoUsd: 4 }));
      await world.reopen();
      assert.deepEqual([await free(world, 'session'), await free(world, 'run', 'money')], [370, 66]);
      await accepts(world, 's1', settle('e1', tokens(80)), settle('e2', tokens(0)));
      assert.equal(await free(world, 'session'), 420);
    },
  },
  {
    name: 'appends that reserve at the same time never pass the cap together',
    async run(world) {
      await accepts(world, 's0', open('tenant', null, { tokens: 100 }));
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, at) =>
          world.log.append(appendAfter(`t${at}`, EMPTY_HEAD, { ledger: [reserve(`e${at}`, 'tenant', tokens(30))] })),
        ),
      );
      assert.equal(results.filter((result) => result.ok).length, 3);
      await append(world.log, 's1', EMPTY_HEAD);
      assert.equal(await free(world, 'tenant'), 10);
    },
  },
  {
    name: 'keys belong to the session that used them and accounts to the tenant',
    async run(world) {
      await accepts(world, 's1', open('tenant', null, { tokens: 100 }), reserve('r1t1.1', 'tenant', tokens(30)));
      await accepts(world, 's2', reserve('r1t1.1', 'tenant', tokens(30)));
      assert.equal(await free(world, 'tenant'), 40);
      const other = world.store.tenant('other').log;
      await append(other, 's1', EMPTY_HEAD, { ledger: [open('tenant', null, { tokens: 7 })] });
      assert.equal(await free(world, 'tenant'), 40);
    },
  },
  {
    name: 'accounts that no session has are opened from the top, and show what is booked on them',
    async run(world) {
      await world.log.openAccounts(
        [
          { account: 'tenant@total', parent: null, caps: {} },
          { account: 'tenant@2030-01', parent: 'tenant@total', caps: { nanoUsd: 7 } },
          { account: 'tenant@2030-01-01', parent: 'tenant@2030-01', caps: { tokens: 100 } },
        ],
        { keep: true },
      );
      await accepts(world, 's1', reserve('e1@day', 'tenant@2030-01-01', { tokens: 30, nanoUsd: 5 }));
      await accepts(world, 's1', reserve('e2@day', 'tenant@2030-01-01', tokens(20)));
      await accepts(world, 's1', settle('e1@day', { tokens: 10, nanoUsd: 2 }));
      const rows = await world.log.accounts(['tenant@2030-01-01', 'nobody', 'tenant@total', 'tenant@2030-01']);
      const booked = { spent: { tokens: 10, nanoUsd: 2 }, reserved: { tokens: 20, nanoUsd: 0 } };
      assert.deepEqual(rows, [
        { id: 'tenant@2030-01-01', parent: 'tenant@2030-01', caps: { tokens: 100 }, ...booked },
        { id: 'tenant@total', parent: null, caps: {}, ...booked },
        { id: 'tenant@2030-01', parent: 'tenant@total', caps: { nanoUsd: 7 }, ...booked },
      ]);
      await world.reopen();
      assert.deepEqual(await world.log.accounts(['tenant@2030-01']), rows.slice(2));
      assert.deepEqual(await world.store.tenant('other').log.accounts(['tenant@2030-01']), []);
    },
  },
  {
    name: 'an account of no session’s keeps its caps where it is there, or takes the new ones; what is booked stays',
    async run(world) {
      const capped = (count: number) => [{ account: 'tenant', parent: null, caps: { tokens: count } }];
      await world.log.openAccounts(capped(100), { keep: false });
      await accepts(world, 's1', reserve('e1', 'tenant', tokens(60)));
      await world.log.openAccounts(capped(900), { keep: true });
      assert.equal(await free(world, 'tenant'), 40);
      await world.log.openAccounts(capped(70), { keep: false });
      assert.equal(await free(world, 'tenant'), 10);
      await world.log.openAccounts(capped(50), { keep: false });
      assert.equal(await free(world, 'tenant'), 0);
    },
  },
  {
    name: 'an account or a key that was never opened is refused as a bug, and nothing is written',
    async run(world) {
      await rejectsWith('invalid_append', booked(world, 's1', reserve('e1', 'nobody', tokens(1))));
      await rejectsWith('invalid_append', booked(world, 's1', settle('e1', tokens(1))));
      await rejectsWith('invalid_append', booked(world, 's1', open('run', 'nobody', {})));
      assert.equal(await world.log.get('s1'), null);
    },
  },
];
