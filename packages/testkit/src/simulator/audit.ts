/** When everything is over: what a live process says, and what a fresh one finds on the disk, is what was acknowledged. */
import assert from 'node:assert/strict';
import { isCompactionId } from '@perdure/engine';
import type { Host } from '@perdure/runtime';
import type { Outside } from './outside.ts';
import type { Sim } from './sim.ts';
import { checkMessages } from './truth.ts';

/** Byte for byte (P1, P2). */
export async function checkDisk({ disk, clock, truth, heads, plan }: Sim, { crafts }: Outside): Promise<void> {
  const store = disk.open(clock).tenant('default');
  const { log } = store;
  assert.deepEqual(await log.verify(), [], 'the chains on the disk are whole [P2]');
  if (plan.workspaces !== null) await heads.checkEnd(store);
  await crafts.checkEnd(store);
  for (const known of truth.logs.values()) {
    const frames = await log.read(known.id, { after: 0, limit: 100_000 });
    assert.deepEqual(
      frames.map(({ hash }) => hash),
      known.frames.map(({ hash }) => hash),
      `the disk holds what was committed of ${known.id} [P1]`,
    );
    checkMessages(known);
    for (const [run, { data }] of known.ends) {
      const row = await log.run(known.id, run);
      assert.equal(row?.status, data.status, `the row of ${run} says how it ended`);
      assert.deepEqual([row?.usage, row?.cost], [data.usage, data.cost], `the row of ${run} says what it cost`);
    }
  }
}

/** Every view of every log can be read, and says of each turn what its model was sent. */
export async function checkReads({ truth, random }: Sim, outside: Outside, host: Host): Promise<void> {
  const caller = { tenant: 'default', actor: { kind: 'user', id: 'auditor' }, requestId: 'audit' } as const;
  for (const { id: session, ends } of truth.logs.values()) {
    await host.call(caller, 'messages.list', { session, limit: 1_000 });
    await host.call(caller, 'trace.get', { session, limit: 1_000 });
    for (const run of ends.keys()) await host.call(caller, 'explain.get', { session, run });
  }
  const turns = [...truth.effects.values()].filter(
    ({ key, tool, effect }) => tool === '' && !isCompactionId(effect) && outside.sent.has(key),
  );
  if (turns.length === 0) return;
  const { session, run, effect, key } = random.pick(turns);
  if (run === null) return;
  const n = Number(effect.slice(effect.indexOf('t') + 1));
  const { result } = await host.call(caller, 'turns.request', { session, run, n });
  assert.equal(result.exact, true, `the request of ${effect} is rebuilt exactly`);
  const { items } = result.request as { items: unknown };
  assert.deepEqual(items, JSON.parse(`[${outside.sent.get(key)}]`), `${effect} was sent what the log says`);
}
