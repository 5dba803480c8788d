/** The simulator on the memory store, for tests. */
import assert from 'node:assert/strict';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import type { Disk } from '../src/simulator/index.ts';
import { Coverage, simulate } from '../src/simulator/index.ts';

export const createDisk = (): Disk => {
  const disk = createMemoryDisk();
  return {
    open: (clock) => openMemoryStore({ clock, disk }),
    share: (clock) => openMemoryStore({ clock, disk, shared: true }),
    lease: (name) => disk.tenants.get('default')?.leases.get(name),
    account: (id) => disk.tenants.get('default')?.accounts.get(id),
  };
};

/** Seeds `from` to `from + count - 1`; fails at the first that breaks a promise, and says how to see it again. */
export async function keepEveryPromise(from: number, count: number): Promise<Coverage> {
  const coverage = new Coverage();
  for (let seed = from; seed < from + count; seed += 1) {
    const outcome = await simulate({ seed, createDisk });
    coverage.add(outcome.coverage);
    if (outcome.failure === null) continue;
    assert.fail(
      `seed ${seed}: ${outcome.failure.stack}\nsee it again: npm run simulate -- --seeds 1 --from ${seed} --trace`,
    );
  }
  return coverage;
}
