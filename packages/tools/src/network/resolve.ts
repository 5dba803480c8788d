import { lookup as systemLookup } from 'node:dns/promises';
import type { AddressKind } from './addresses.ts';
import { kindOfAddress } from './addresses.ts';
import { GuardFailure } from './failure.ts';

export type Address = { address: string; family: number };
/** All addresses of a name; rejects where it has none. */
export type Resolve = (name: string) => Promise<readonly Address[]>;

export const systemResolve: Resolve = async (name) => systemLookup(name, { all: true });

/**
 * All addresses of a name, asked for once: whoever connects connects to one of them. One that is not of an allowed kind
 * spoils the others, as a name that says both means to deceive. Throws GuardFailure `unresolved`, `forbidden_address`.
 */
export async function resolveAllowed(
  name: string,
  resolve: Resolve,
  kinds: ReadonlySet<AddressKind> = PUBLIC,
): Promise<readonly [Address, ...Address[]]> {
  const found = await resolve(name).catch(() => []);
  const [first, ...others] = found;
  if (first === undefined) throw new GuardFailure('unresolved', `${name} has no address`);
  if (!found.every(({ address }) => kinds.has(kindOfAddress(address))))
    throw new GuardFailure('forbidden_address', `${name} leads to an address that is not public`);
  return [first, ...others];
}

export const PUBLIC: ReadonlySet<AddressKind> = new Set(['public']);
export const VOUCHED: ReadonlySet<AddressKind> = new Set(['public', 'private']);
