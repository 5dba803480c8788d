/** A law that stores share: many runs at once against one cap of the tenant. */
import assert from 'node:assert/strict';
import type { AccountRow } from '../src/ports.ts';
import type { Runtime } from '../src/index.ts';

const RUNS = 200;
/** What the shortest of these requests takes, in tokens, and some more: its own bytes, and the least output worth paying for. */
const LEAST = 700;
const POLL_MS = 50;
const AT_MOST_MS = 90_000;

/**
 * Sends 200 runs at once, through all of the processes, watches the account while they go, and looks at what became of
 * each; then lifts the cap, and all of them end. Closes the processes.
 */
export async function neverOverspent(runtimes: readonly Runtime[], cap: number): Promise<void> {
  try {
    await runAll(runtimes, cap);
  } finally {
    await Promise.all(runtimes.map(async (runtime) => runtime.close()));
  }
}

async function runAll(runtimes: readonly Runtime[], cap: number): Promise<void> {
  const [first] = runtimes;
  assert.ok(first !== undefined);
  const { log } = first.host.parts.store;
  const caller = { tenant: 'default', actor: { kind: 'user', id: 'u' }, requestId: 'q' } as const;
  const day = `tenant@${new Date().toISOString().slice(0, 10)}`;
  const sessions = await Promise.all(
    Array.from({ length: RUNS }, async (_, at) => {
      const session = await (runtimes[at % runtimes.length] ?? first).open('clerk');
      await session.send(`What is ${at} + 1?`);
      return session.id;
    }),
  );
  let isUsedUp = false;
  const within = async (): Promise<AccountRow> => {
    const [row] = await log.accounts([day]);
    assert.ok(row !== undefined, 'the account is open');
    const booked = row.spent.tokens + row.reserved.tokens;
    assert.ok(booked <= cap || row.caps.tokens === undefined, JSON.stringify(row));
    isUsedUp = row.reserved.tokens === 0 && cap - booked < LEAST;
    return row;
  };
  const statuses = async (): Promise<string[]> =>
    Promise.all(sessions.map(async (session) => (await log.run(session, 'r1'))?.status ?? 'none'));
  const until = async (what: string, isDone: (all: string[]) => boolean): Promise<string[]> => {
    for (const begun = performance.now(); ;) {
      await within();
      const all = await statuses();
      if (isDone(all)) return all;
      assert.ok(
        performance.now() - begun < AT_MOST_MS,
        `${what}: ${all.filter((one) => one === 'completed').length} of ${RUNS} are completed`,
      );
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  // Until what is left is too little for anybody.
  await until('at rest', (all) => all.every((one) => one === 'completed' || one === 'waiting'));
  const resting = await until(
    'used up',
    (all) => isUsedUp && all.every((one) => one === 'completed' || one === 'waiting'),
  );
  const settled = resting.filter((one) => one === 'completed').length;
  assert.ok(settled > 0 && settled < RUNS, `${settled} ended, the others wait`);
  await first.host.call(caller, 'budgets.set', { scope: 'tenant', day: null });
  await until('all ended', (all) => all.every((one) => one === 'completed'));
  const rows = await Promise.all(sessions.map(async (session) => log.run(session, 'r1')));
  const [row] = await log.accounts([day]);
  assert.deepEqual(row?.reserved, { tokens: 0, nanoUsd: 0 });
  const billed = rows.reduce((sum, run) => sum + (run?.usage.input ?? 0) + (run?.usage.output ?? 0), 0);
  assert.ok((row?.spent.tokens ?? 0) <= billed, 'what is booked was billed');
}
