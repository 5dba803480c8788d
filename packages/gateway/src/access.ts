/**
 * Who may come in (DESIGN §13). With a token: whoever shows it. Without one: only programs on this machine, and no web
 * page of another origin, whatever name it made the browser resolve to this machine (DNS rebinding).
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ApiError } from '@perdure/contract';
import type { Caller } from '@perdure/runtime';

export type AccessOptions = {
  token?: string | undefined;
  /** Host names, without ports, to answer to when there is no token; by default any name of the loopback. */
  allowedHosts?: readonly string[] | undefined;
};
/** `port`: the one this request came in on, where the server knows it. */
export type Access = (headers: Headers, port: number | undefined) => Caller['actor'];

/** A host that a server may listen on without a token. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Checks a request's headers: gives who calls, or throws `unauthorized` or `forbidden`. */
export function createAccess(options: AccessOptions): Access {
  const { token } = options;
  if (token === undefined) {
    const named = options.allowedHosts?.map((host) => host.toLowerCase());
    const isAllowed = named === undefined ? isLoopback : (host: string): boolean => named.includes(host);
    return (headers, port) => {
      checkHost(headers.get('host'), headers.get('origin'), isAllowed, port);
      return { kind: 'user', id: 'local' };
    };
  }
  const expected = digest(token);
  return (headers) => {
    const given = /^Bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1];
    if (given === undefined) throw new ApiError('unauthorized', 'send the token as Authorization: Bearer TOKEN');
    // Digests are of one length, so that the comparison takes the same time for any token.
    if (!timingSafeEqual(digest(given), expected)) throw new ApiError('unauthorized', 'the token is not the right one');
    return { kind: 'key', id: 'token' };
  };
}

const digest = (text: string): Uint8Array => createHash('sha256').update(text).digest();

function checkHost(
  host: string | null,
  origin: string | null,
  isAllowed: (name: string) => boolean,
  port: number | undefined,
): void {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(host ?? '');
  const name = match?.[1]?.toLowerCase();
  if (name === undefined || !isAllowed(name) || (port !== undefined && Number(match?.[2] ?? 80) !== port)) {
    const text = 'without a token this server answers only to its own address on this machine';
    throw new ApiError('forbidden', text, { details: { host: host ?? '' } });
  }
  if (origin === null) return;
  if (
    origin.toLowerCase() !== `http://${host}`.toLowerCase() &&
    origin.toLowerCase() !== `https://${host}`.toLowerCase()
  )
    throw new ApiError('forbidden', 'requests of other origins are refused', { details: { origin } });
}
