/**
 * Requests that somebody not to be trusted chose: a model, a web page, a document.
 *
 * G1 A URL is judged as `URL` parses it (`rules.ts`): https alone, the usual ports, no credentials in it.
 * G2 A name is resolved once a hop; the connection goes to what was found, and where any of it is not public, nowhere.
 * G3 Each redirect is a new URL: judged, resolved and connected as the first one was; their number is bounded. What a
 *    caller sent along (headers, body) goes to its own origin only.
 * G4 An answer is bounded as it comes and as it unpacks; headers, connection and silence are bounded too.
 */
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';
import { LIMITS } from '../limits.ts';
import type { Dial } from './connect.ts';
import { dial as dialAddress, secured, tunnel } from './connect.ts';
import { GuardFailure } from './failure.ts';
import type { Address, Resolve } from './resolve.ts';
import { PUBLIC, resolveAllowed, systemResolve, VOUCHED } from './resolve.ts';
import type { NetworkOptions, NetworkRules, Target } from './rules.ts';
import { judge, networkRules } from './rules.ts';

export type GuardedRequest = {
  method?: 'GET' | 'POST';
  headers?: { readonly [name: string]: string };
  body?: string;
  /** Of the answer, packed and unpacked. */
  maxBytes: number;
};
export type GuardedAnswer = {
  /** Where the answer came from, after redirects. */
  url: string;
  status: number;
  headers: { readonly [name: string]: string };
  body: Buffer;
  redirects: number;
};

/**
 * One request and its redirects. Resolves for every status; rejects with GuardFailure, or with the signal's reason: the
 * time as a whole is the caller's to bound.
 */
export type GuardedFetch = (url: string, asked: GuardedRequest, signal: AbortSignal) => Promise<GuardedAnswer>;

/** Stand in for the system's resolver and sockets. */
export type NetworkSeams = { resolve?: Resolve; dial?: Dial };

/** Throws ToolOptionsError, see `networkRules`. */
export function createGuardedFetch(options: NetworkOptions = {}, seams: NetworkSeams = {}): GuardedFetch {
  const rules = networkRules(options);
  const { resolve = systemResolve, dial = dialAddress } = seams;
  return async (url, asked, signal) => {
    const first = judge(url, rules);
    let target = first;
    for (let redirects = 0; ; redirects += 1) {
      signal.throwIfAborted();
      const socket = await reach(target, rules, { resolve, dial }, signal);
      try {
        const sent = target.url.origin === first.url.origin ? asked : { maxBytes: asked.maxBytes };
        const answer = await exchange(socket, target, sent, signal);
        const next = nextOf(answer, target, asked);
        if (next === null) return await taken(answer, { target, redirects, maxBytes: asked.maxBytes }, signal);
        if (redirects === LIMITS.redirects)
          throw new GuardFailure('too_many_redirects', `there are more than ${LIMITS.redirects} redirects`);
        target = judge(next, rules);
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw error;
      } finally {
        socket.destroy();
      }
    }
  };
}

/** A connection to what was judged (G2). */
async function reach(
  target: Target,
  rules: NetworkRules,
  { resolve, dial }: Required<NetworkSeams>,
  signal: AbortSignal,
): Promise<Socket> {
  const { proxy } = rules;
  let socket: Socket;
  if (proxy === null || target.vouched) {
    socket = await dial({ addresses: await addressesOf(target, resolve, signal), port: target.port }, signal);
  } else {
    if (!target.literal) await refusePrivate(target, resolve, signal);
    const place = { host: proxy.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(proxy.port || 80) };
    const found = await raced(resolve(place.host), signal).catch(() => []);
    const [first, ...others] = found;
    if (first === undefined) throw new GuardFailure('unresolved', 'the proxy has no address');
    socket = await dial({ addresses: [first, ...others], port: place.port }, signal);
    socket = await tunnel(socket, proxy, target, signal);
  }
  return target.secure ? secured(socket, target, signal) : socket;
}

async function addressesOf(
  { host, literal, vouched }: Target,
  resolve: Resolve,
  signal: AbortSignal,
): Promise<readonly [Address, ...Address[]]> {
  if (literal) return [{ address: host, family: host.includes(':') ? 6 : 4 }];
  return raced(resolveAllowed(host, resolve, vouched ? VOUCHED : PUBLIC), signal);
}

/** Behind a proxy a name may be unknown here: it is the proxy's to resolve then. */
async function refusePrivate({ host }: Target, resolve: Resolve, signal: AbortSignal): Promise<void> {
  await raced(resolveAllowed(host, resolve), signal).catch((error: unknown) => {
    if (error instanceof GuardFailure && error.code === 'unresolved') return;
    throw error;
  });
}

/** A resolver cannot be stopped; it can be left alone. */
async function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const left = new AbortController();
  try {
    return await new Promise<T>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true, signal: left.signal });
      work.then(resolve, reject);
    });
  } finally {
    left.abort();
  }
}

/** The head of the answer. */
async function exchange(
  socket: Socket,
  { url }: Target,
  { method = 'GET', headers = {}, body }: Omit<GuardedRequest, 'maxBytes'>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const asking = request({
    method,
    path: `${url.pathname}${url.search}`,
    headers: {
      'accept-encoding': 'gzip, deflate, br',
      ...headers,
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
      host: url.host,
      connection: 'close',
    },
    maxHeaderSize: LIMITS.headerBytes,
    createConnection: () => socket,
    signal,
  });
  socket.setTimeout(LIMITS.silenceMs, () => socket.destroy());
  return new Promise((resolve, reject) => {
    asking.once('response', resolve);
    asking.once('upgrade', (_answer, upgraded: Socket) => upgraded.destroy());
    asking.on('error', (error: NodeJS.ErrnoException) => {
      const code = error.code?.startsWith('HPE_') === true ? 'invalid_answer' : 'unreachable';
      reject(new GuardFailure(code, `the host gave no answer (${error.code ?? 'broken off'})`));
    });
    asking.end(body);
  });
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Where a redirect leads; null where the answer is none. Only what was asked by GET is asked again elsewhere. */
function nextOf(answer: IncomingMessage, { url }: Target, { method = 'GET' }: GuardedRequest): URL | null {
  const { location } = answer.headers;
  if (!REDIRECTS.has(answer.statusCode ?? 0) || location === undefined) return null;
  answer.destroy();
  if (method !== 'GET') throw new GuardFailure('too_many_redirects', 'what is posted is not redirected');
  const next = URL.parse(location, url.href);
  if (next === null) throw new GuardFailure('invalid_answer', 'it redirects to what is no URL');
  return next;
}

/** A new one for each answer; null: what is packed so is not unpacked here. */
const unpackers: { readonly [encoding: string]: () => ReturnType<typeof createGunzip> | null } = {
  gzip: () => createGunzip(),
  'x-gzip': () => createGunzip(),
  deflate: () => createInflate(),
  br: () => createBrotliDecompress(),
};

async function taken(
  answer: IncomingMessage,
  { target, redirects, maxBytes }: { target: Target; redirects: number; maxBytes: number },
  signal: AbortSignal,
): Promise<GuardedAnswer> {
  const large = (): GuardFailure =>
    new GuardFailure('too_large', `the answer has more than ${maxBytes} bytes: that is not read`);
  if (Number(answer.headers['content-length'] ?? 0) > maxBytes) throw large();
  const packing = (answer.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  const unpack = packing === 'identity' || packing === '' ? null : unpackers[packing]?.();
  if (unpack === undefined)
    throw new GuardFailure('invalid_answer', `the answer is packed as ${JSON.stringify(packing.slice(0, 40))}`);
  const bounded = async function* (pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const piece of pieces) {
      bytes += piece.length;
      if (bytes > maxBytes) throw large();
      yield piece;
    }
  };
  const kept: Buffer[] = [];
  const keep = async (pieces: AsyncIterable<Buffer>): Promise<void> => {
    for await (const piece of bounded(pieces)) kept.push(piece);
  };
  try {
    if (unpack === null) await pipeline(answer, keep, { signal });
    else await pipeline(answer, bounded, unpack, keep, { signal });
  } catch (error) {
    if (error instanceof GuardFailure || signal.aborted) throw error;
    throw new GuardFailure('invalid_answer', 'the answer broke off, or is not packed as it says');
  }
  if (!answer.complete) throw new GuardFailure('invalid_answer', 'the answer broke off');
  const headers = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
  return {
    url: target.url.href,
    status: answer.statusCode ?? 0,
    headers: Object.fromEntries(headers) as { [name: string]: string },
    body: Buffer.concat(kept),
    redirects,
  };
}
