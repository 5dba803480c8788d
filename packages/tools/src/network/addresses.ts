/**
 * What an address is of: the one judgement for all that leaves this machine on behalf of a model. By the registries of
 * special purpose addresses (RFC 6890 and what it names), as ipaddr.js keeps them, and what they do not say.
 */
import ipaddr from 'ipaddr.js';

/**
 * `public`: of the open internet. `private`: of this machine or an organisation's own network, where an operator may let
 * something through. `forbidden`: never to be reached; so is what is no address.
 */
export type AddressKind = 'public' | 'private' | 'forbidden';

const PRIVATE: ReadonlySet<string> = new Set(['loopback', 'private', 'carrierGradeNat', 'uniqueLocal']);

/** Services that tell a machine's own secrets, at addresses that ranges do not give away. */
const METADATA: readonly (readonly [ipaddr.IPv4 | ipaddr.IPv6, number])[] = [
  '168.63.129.16/32',
  '100.100.100.200/32',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
].map((range) => ipaddr.parseCIDR(range));

/** Of IPv6 only what is given out as global unicast (RFC 3513, 2000::/3): all else is reserved or leads elsewhere. */
const GLOBAL_V6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** An address as a resolver gives it: four decimal numbers, or IPv6 without a zone. */
export function kindOfAddress(address: string): AddressKind {
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return kindOf(ipaddr.IPv4.parse(address));
  if (address.includes('%') || !ipaddr.IPv6.isValid(address)) return 'forbidden';
  return kindOf(ipaddr.IPv6.parse(address));
}

function kindOf(address: ipaddr.IPv4 | ipaddr.IPv6): AddressKind {
  if (METADATA.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits)))
    return 'forbidden';
  const range = address.range();
  if (PRIVATE.has(range)) return 'private';
  if (range !== 'unicast') return 'forbidden';
  return address instanceof ipaddr.IPv6 && !address.match(GLOBAL_V6) ? 'forbidden' : 'public';
}

/** Whether an address is of the open internet. What is no address is not. */
export const isPublic = (address: string): boolean => kindOfAddress(address) === 'public';
