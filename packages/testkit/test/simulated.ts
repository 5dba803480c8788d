/** What the simulator's tests ask of it, on the memory store. It runs in the thread that `thread.ts` starts. */
import assert from 'node:assert/strict';
import { parentPort } from 'node:worker_threads';
import { createMemoryDisk, openMemoryStore } from '@perdure/stores/memory';
import { files, keepCopy } from '@perdure/tools';
import type { Act, Boundaries, Bug, Disk, Ground, Happening } from '../src/simulator/index.ts';
import { ACTIONS, Coverage, eachBoundary, eachPair, FAULT_NAMES, simulate } from '../src/simulator/index.ts';

function createDisk(): Disk {
  const disk = createMemoryDisk();
  return {
    open: (clock) => openMemoryStore({ clock, disk }),
    share: (clock) => openMemoryStore({ clock, disk, shared: true }),
    lease: (name) => disk.tenants.get('default')?.leases.get(name),
    account: (id) => disk.tenants.get('default')?.accounts.get(id),
    blob: (digest) => disk.tenants.get('default')?.blobs.get(digest)?.bytes,
  };
}

export const ground: Ground = { createDisk, files: files({ mounts: true, write: true }), keep: keepCopy };

const simulated = {
  /**
   * Seeds `from` to `from + count - 1`; fails at the first that breaks a promise, and says how to see it again. The
   * answer: the faults and acts that never were among them.
   */
  async keepEveryPromise(from: number, count: number): Promise<Happening[]> {
    const coverage = new Coverage();
    for (let seed = from; seed < from + count; seed += 1) {
      const outcome = await simulate({ seed, ...ground });
      coverage.add(outcome.coverage);
      if (outcome.failure === null) continue;
      const again = `npm run simulate -- --seeds 1 --from ${seed} --trace`;
      assert.fail(`seed ${seed}: ${outcome.failure.stack}\nsee it again: ${again}`);
    }
    return [...FAULT_NAMES, ...ACTIONS].filter((what) => coverage.total(what) === 0);
  },

  /** The trace of one seed. */
  async trace(seed: number, kept: boolean): Promise<{ hash: string; events: number }> {
    const { hash, events } = await simulate({ seed, ...ground, trace: kept });
    return { hash, events };
  },

  /** The first of these many seeds that catches the bug, and what it says; null where none does. */
  async caught(bug: Bug, seeds: number): Promise<{ seed: number; message: string } | null> {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const { failure } = await simulate({ seed, ...ground, bug });
      if (failure !== null) return { seed, message: failure.message };
    }
    return null;
  },

  async eachBoundary(calls: readonly string[], stride: number): Promise<Boundaries> {
    return eachBoundary(ground, calls, stride);
  },

  async eachPair(
    calls: readonly string[],
    first: Act,
    strides: { acts: number; crashes: number },
  ): Promise<Boundaries> {
    return eachPair(ground, calls, first, strides);
  },
};
export type Simulated = typeof simulated;

parentPort?.on('message', ({ name, args }: { name: keyof Simulated; args: unknown[] }) => {
  const asked = simulated[name] as (...given: unknown[]) => Promise<unknown>;
  asked(...args).then(
    (answer) => parentPort?.postMessage({ answer }),
    (error: unknown) => parentPort?.postMessage({ error }),
  );
});
