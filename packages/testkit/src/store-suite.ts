import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Clock, Store } from '@perdure/runtime/ports';
import { appendLaws } from './store-suite/append.ts';
import { forkLaws } from './store-suite/forks.ts';
import { leaseLaws } from './store-suite/leases.ts';
import { ledgerLaws } from './store-suite/ledger.ts';
import { listLaws } from './store-suite/lists.ts';
import { portLaws } from './store-suite/ports.ts';
import { readLaws } from './store-suite/read.ts';
import { textLaws } from './store-suite/texts.ts';
import { createWorld, type Law } from './store-suite/world.ts';

/**
 * `reopen` closes the store if it is open and opens the same data again; `dispose` removes the data. `another`, of a
 * shared store: opens the same data once more, beside it; whoever asked closes it.
 */
export type OpenedStore = {
  store: Store;
  reopen(): Promise<Store>;
  another?(): Promise<Store>;
  dispose(): Promise<void>;
};
export type StoreSuiteOptions = {
  name: string;
  /** Several may have the data open at a time, and leases decide: the laws of shared stores are asked, too. */
  shared?: boolean;
  /** Fresh, empty data each time. Its leases and blobs must go by `clock`. */
  open(clock: Clock): Promise<OpenedStore>;
  /** Laws this store does not keep, and why. A name that is no law fails. */
  skip?: readonly { reason: string; tests: readonly string[] }[];
};

/** Registers the laws that every store keeps, as tests of node:test. */
export function storeSuite(options: StoreSuiteOptions): void {
  const kind = options.shared === true ? 'shared' : 'sole';
  const all: Law[] = [
    ...appendLaws,
    ...readLaws,
    ...forkLaws,
    ...ledgerLaws,
    ...listLaws,
    ...textLaws,
    ...portLaws,
    ...leaseLaws,
  ];
  const laws = all.filter(({ only }) => only === undefined || only === kind);
  const reasons = new Map((options.skip ?? []).flatMap(({ reason, tests }) => tests.map((name) => [name, reason])));
  void describe(`store suite: ${options.name}`, () => {
    for (const law of laws) {
      const reason = reasons.get(law.name);
      reasons.delete(law.name);
      void test(law.name, reason === undefined ? {} : { skip: reason }, async () => {
        const world = await createWorld((clock) => options.open(clock));
        assert.equal(world.store.shared, kind === 'shared', 'the store is of the kind that its suite says');
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
