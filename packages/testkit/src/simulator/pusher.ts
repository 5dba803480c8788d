/** Somebody who works on the workspace from outside, by the tree he has seen: he adds a file, or takes it away. */
import assert from 'node:assert/strict';
import type { TreeNode } from '@perdure/contract';
import { stateOf } from './coverage.ts';
import { SITE, treeBytes } from './heads.ts';
import type { Network } from './network.ts';
import type { Sim } from './sim.ts';

const PATH = 'pushed.txt';

export async function push(sim: Sim, network: Network, everyMs: number): Promise<void> {
  const { scheduler, random, heads, truth, coverage } = sim;
  while (sim.faulty()) {
    await scheduler.sleep('pusher', 'work', random.between(200, everyMs));
    const seen = await network.ask('workspaces.get', { workspace: SITE }, []);
    if (!seen.ok) return;
    const from = seen.result.tree;
    assert.ok(heads.hasStood(SITE, from), `${SITE} is said to stand where it stood [P1]`);
    const next = new Map<string, TreeNode>(heads.tree(from));
    if (!next.delete(PATH)) {
      const bytes = Buffer.from(`${random.between(0, 999)}\n`);
      next.set(PATH, { digest: await network.upload(bytes), bytes: bytes.length });
    }
    const to = await network.upload(treeBytes(next));
    heads.pushing(from, to);
    for (const { state } of truth.logs.values()) coverage.hit('push', stateOf(state));
    await network.ask('workspaces.move', { workspace: SITE, from, to }, ['revision_conflict'], () =>
      assert.ok(heads.hasStood(SITE, to), 'a push that was acknowledged was done [P1]'),
    );
  }
}
