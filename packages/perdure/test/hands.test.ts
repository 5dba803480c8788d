import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { system } from '@perdure/runtime';
import { createBubblewrap } from '@perdure/tools';
import { dice } from './kill-loop/dice.ts';
import { HandsPlay } from './kill-loop/hands.ts';
import { entriesOf, judgeHands } from './kill-loop/hands-judge.ts';
import { HandsModel, noteOf } from './kill-loop/hands-tasks.ts';
import { World } from './kill-loop/world.ts';

/** Made up anew each time; `KILL_LOOP_SEED` plays one again. */
const SEED = Number(process.env['KILL_LOOP_SEED'] ?? Math.floor(Math.random() * 2 ** 31));

const skip = await createBubblewrap({ timers: system.timers })
  .probe()
  .then(
    () => false as const,
    (error: unknown) => `NO SANDBOX HERE, so nobody's hands are tested over kills: ${String(error)}`,
  );
const compiled = mkdtempSync(join(tmpdir(), 'perdure-compiled-'));
after(() => rmSync(compiled, { recursive: true, force: true }));

test(
  'over kills no command runs twice, no file or job is lost unsaid, and a grant holds until it is revoked',
  { skip },
  async (t) => {
    console.log(`KILL_LOOP_SEED=${SEED}`);
    const model = new HandsModel(dice(SEED + 1));
    const world = await World.create(SEED, compiled, {
      config: 'hands.config.ts',
      model: (seen) => model.answer(seen),
    });
    t.after(() => world.close());
    const play = new HandsPlay(world, model);
    await play.play({ kills: 2, sessions: 3, settleMs: 60_000, say: console.log });
    await holdsUntilRevoked(world, play);
    console.log(JSON.stringify({ ...(await judgeHands(world, play)), given: play.hands.granted }));
  },
);

/** `always`, a kill, a like call that nobody is asked about; a revocation, a kill, and one that somebody is. */
async function holdsUntilRevoked(world: World, play: HandsPlay): Promise<void> {
  const [session] = play.hands.sessions;
  assert.ok(session !== undefined);
  const send = (name: string) => play.send(session, noteOf(name));
  const asked = async () => {
    const open = async () =>
      (await world.insist(async (client) => client.call('waits.list', { session: session.id })))?.waits[0];
    assert.ok(await world.until(async () => (await open()) !== undefined));
    const wait = await open();
    assert.ok(wait?.kind === 'approval');
    return wait;
  };
  for (const { scope, grants } of (await world.client.call('policies.list', {})).policies)
    for (const { id, revokedAt } of grants) if (revokedAt === undefined) await play.revoke({ scope, grant: id });
  const first = send('held-1');
  const wait = await asked();
  await play.resolve(wait, { decision: 'approve', digest: wait.digest ?? '', grant: { scope: 'session' } });
  await first;
  await play.kill();
  await play.start().ready;
  await send('held-2');
  const [grant] = (await world.client.call('policies.get', { scope: `session:${session.id}` })).grants.slice(-1);
  await play.revoke({ scope: `session:${session.id}`, grant: grant?.id ?? '' });
  await play.kill();
  await play.start().ready;
  const third = send('held-3');
  const again = await asked();
  await play.resolve(again, { decision: 'approve', digest: again.digest ?? '' });
  await third;
  const requested = (await entriesOf(world, session.id)).flatMap((entry) =>
    entry.kind === 'call.requested' ? [entry.data] : [],
  );
  assert.deepEqual(
    requested.slice(-3).map(({ decision }) => decision),
    ['ask', 'allow', 'ask'],
  );
  assert.match(requested.at(-2)?.rule ?? '', new RegExp(`^grant session:${session.id}\\.${grant?.id} `));
}
