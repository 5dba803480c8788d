import { describe, test } from 'node:test';
import type { Clock, Store } from '@perdure/runtime/ports';
import { appendLaws } from './store-suite/append.ts';
import { forkLaws } from './store-suite/forks.ts';
import { ledgerLaws } from './store-suite/ledger.ts';
import { listLaws } from './store-suite/lists.ts';
import { portLaws } from './store-suite/ports.ts';
import { readLaws } from './store-suite/read.ts';
import { textLaws } from './store-suite/texts.ts';
import { createWorld, type Law } from './store-suite/world.ts';

/** `reopen` closes the store if it is open and opens the same data again; `dispose` removes the data. */
export type OpenedStore = { store: Store; reopen(): Promise<Store>; dispose(): Promise<void> };
export type StoreSuiteOptions = {
  name: string;
  /** Fresh, empty data each time. Its leases and blobs must go by `clock`. */
  open(clock: Clock): Promise<OpenedStore>;
  /** Laws this store does not keep, and why. A name that is no law fails. */
  skip?: readonly { reason: string; tests: readonly string[] }[];
};

/** Registers the laws that every store keeps, as tests of node:test. */
export function storeSuite(options: StoreSuiteOptions): void {
  const laws: Law[] = [...appendLaws, ...readLaws, ...forkLaws, ...ledgerLaws, ...listLaws, ...textLaws, ...portLaws];
  const reasons = new Map((options.skip ?? []).flatMap(({ reason, tests }) => tests.map((name) => [name, reason])));
  void describe(`store suite: ${options.name}`, () => {
    for (const law of laws) {
      const reason = reasons.get(law.name);
      reasons.delete(law.name);
      void test(law.name, reason === undefined ? {} : { skip: reason }, async () => {
        const world = await createWorld((clock) => options.open(clock));
        try {
          await law.run(world);
        } finally {
          await world.dispose();
        }
      });
    }
  });
  const unknown = [...reasons.keys()];
  if (unknown.length > 0) throw new Error(`no such laws to skip: ${unknown.join('; ')}`);
}
