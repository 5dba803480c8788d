/** What a process has to do with others that share its store: whom it hears, and what it may hold. */
import { ConfigError } from '../errors.ts';
import type { Holding } from './holding.ts';
import { soleHolding } from './holding.ts';
import type { LeasedOptions } from './node-leases.ts';
import { leasedHolding } from './node-leases.ts';
import type { Parts } from '../parts.ts';
import type { Logger, Store, System, TenantStore } from '../ports.ts';

export type SharingOptions = Partial<Pick<LeasedOptions, 'work' | 'address' | 'leaseMs'>> & {
  store: Store;
  system: System;
  logger: Logger;
};

/** What other processes commit is heard from before anything is taken. */
export async function hear(
  { store, holding, sessions, streams, driver, jobs }: Parts,
  stopping: AbortSignal,
): Promise<void> {
  if (!holding.isShared) return;
  const unwatch = store.log.watch((change) => {
    if (change.own) return;
    sessions.heard(change.session, change.head);
    streams.moved(change.session, change.head);
    driver.hint(change);
    // It was closed in another process: what of it runs here has nobody any more.
    if (change.status === 'closed') void jobs.end(change.session);
  });
  stopping.addEventListener('abort', unwatch, { once: true });
  await holding.start(() => driver.hint(null));
}

export function holdingOf(options: SharingOptions, { leases }: TenantStore, newId: () => string): Holding {
  const { store, system, logger, work, address, leaseMs } = options;
  if (store.shared) {
    const more = { ...(address === undefined ? {} : { address }), ...(leaseMs === undefined ? {} : { leaseMs }) };
    return leasedHolding({ leases, system, logger, newId, work: work ?? {}, ...more });
  }
  if (work !== undefined)
    throw new ConfigError(
      'invalid_config',
      'work',
      `one process owns this data (${store.name}): there is nobody to share work with`,
    );
  return soleHolding(store.epoch);
}
