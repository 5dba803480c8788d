/** What a host says live to other processes, and hears of them. */
import type { HostOptions } from '../host.ts';
import { sha256 } from '../log/digest.ts';
import type { Parts } from '../parts.ts';
import type { TenantStore } from '../ports.ts';
import { ownSecret } from '../secrets/own.ts';
import type { Told } from './relay.ts';
import { Relay } from './relay.ts';

/** The relay of a host whose store is shared and whom others can reach; and what such hosts show each other. */
export async function liveOf(
  { store: { shared }, address, reach, system, logger }: HostOptions,
  store: TenantStore,
  tell: (told: Told) => void,
): Promise<Pick<Parts, 'relay' | 'liveToken'>> {
  const liveToken = sha256(`live\n${await ownSecret(store, system, 'nodes')}`);
  if (!shared || reach === undefined) return { relay: null, liveToken };
  const { timers } = system;
  return {
    liveToken,
    relay: new Relay({ store, self: address ?? null, reach: reach(liveToken), tell, timers, logger }),
  };
}
