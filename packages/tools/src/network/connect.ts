/** Connections to addresses that were judged: never to a name, so that nobody resolves it a second time. */
import { connect as connectSocket } from 'node:net';
import type { LookupFunction, Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { request } from 'node:http';
import ipaddr from 'ipaddr.js';
import { LIMITS } from '../limits.ts';
import { GuardFailure } from './failure.ts';
import type { Address } from './resolve.ts';
import type { Target } from './rules.ts';

/** Where a connection goes: one of the addresses. */
export type Way = { addresses: readonly [Address, ...Address[]]; port: number };
/** Rejects with GuardFailure `unreachable`, or with the signal's reason. */
export type Dial = (way: Way, signal: AbortSignal) => Promise<Socket>;

export const dial: Dial = async ({ addresses, port }, signal) => {
  const [first] = addresses;
  const lookup: LookupFunction = (_name, options, done) => {
    if (options.all === true) done(null, [...addresses]);
    else done(null, first.address, first.family);
  };
  // An address needs no lookup; several are tried in their order through one that knows no others.
  const host = addresses.length === 1 ? first.address : 'judged.invalid';
  const socket = connectSocket({ host, port, lookup, autoSelectFamily: true, timeout: LIMITS.connectMs });
  await settled(socket, 'connect', signal);
  // A second look at what the kernel says.
  if (addresses.some(({ address }) => same(address, socket.remoteAddress))) return socket;
  socket.destroy();
  throw new GuardFailure('forbidden_address', 'the connection led to another address than the one that was judged');
};

const same = (address: string, remote: string | undefined): boolean =>
  remote !== undefined && ipaddr.process(address).toString() === ipaddr.process(remote).toString();

/** A tunnel through a proxy, which resolves the name. Throws GuardFailure `unreachable`. */
export async function tunnel(socket: Socket, proxy: URL, { host, port }: Target, signal: AbortSignal): Promise<Socket> {
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  const asking = request({
    method: 'CONNECT',
    path: authority,
    headers: { host: authority, ...credentialsOf(proxy) },
    createConnection: () => socket,
    timeout: LIMITS.connectMs,
    signal,
  });
  return new Promise((resolve, reject) => {
    const refuse = (words: string): void => {
      socket.destroy();
      reject(signal.aborted ? (signal.reason as Error) : new GuardFailure('unreachable', words));
    };
    asking.once('connect', (answer) => {
      if (answer.statusCode === 200) resolve(socket);
      else refuse(`the proxy answered ${answer.statusCode} for ${authority}`);
    });
    asking.once('timeout', () => refuse('the proxy did not answer'));
    asking.once('response', () => refuse('the proxy opens no tunnels'));
    asking.once('error', () => refuse('the proxy broke off'));
    asking.end();
  });
}

function credentialsOf({ username, password }: URL): { 'proxy-authorization'?: string } {
  if (username === '' && password === '') return {};
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** TLS with the name that was asked for: whoever answers has to prove it. Whatever the environment says of checks. */
export async function secured(socket: Socket, { host, literal }: Target, signal: AbortSignal): Promise<Socket> {
  const name = literal ? {} : { servername: host };
  const tls = connectTls({ socket, host, ...name, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] });
  tls.setTimeout(LIMITS.connectMs);
  await settled(tls, 'secureConnect', signal);
  return tls;
}

async function settled(socket: Socket, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<void> {
  const done = new AbortController();
  try {
    await new Promise<void>((resolve, reject) => {
      const gone = (words: string): void => reject(new GuardFailure('unreachable', words));
      const abort = (): void => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true, signal: done.signal });
      if (signal.aborted) abort();
      socket.once(event, resolve);
      socket.once('timeout', () => gone('the host did not answer in time'));
      socket.once('close', () => gone('the host broke off'));
      // For as long as the socket lives: whoever reads hears of it by its end.
      socket.on('error', (error: NodeJS.ErrnoException) => gone(`the host cannot be reached (${error.code})`));
    });
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    done.abort();
  }
}
