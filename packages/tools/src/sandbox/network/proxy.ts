/**
 * The one way out of a sandbox that was granted hosts: an HTTP proxy on a socket of the file system, in this process.
 *
 * N1 A host is reached by its name alone, where a rule has it; an address is no name.
 * N2 The name is resolved here, once, and the connection goes to what was found; where any of it is not public, to none.
 * N3 Connections, their number and the time without a byte are bounded; they end with the command.
 */
import { createServer, request as httpRequest } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect, isIP } from 'node:net';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { LIMITS } from '../../limits.ts';
import { allows } from '../../network/hosts.ts';
import type { HostRule } from '../../network/hosts.ts';
import { resolveAllowed, systemResolve } from '../../network/resolve.ts';

export type Proxy = { close(): void };
export type ProxyOptions = {
  rules: readonly HostRule[];
  /** Its socket; the folder is the caller's. */
  path: string;
  /** Stands in for the system's resolver and its public addresses. */
  resolve?: (host: string) => Promise<string>;
};

/** Where to connect to, or why not. */
type Way = { address: string } | { refused: string };

export async function startProxy({ rules, path, resolve = resolvePublic }: ProxyOptions): Promise<Proxy> {
  const open = new Set<Duplex>();
  const keep = (socket: Duplex): void => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
  };
  const way = async (host: string, port: number): Promise<Way> => {
    if (isIP(host) !== 0 || !allows(rules, host, port))
      return { refused: `${host}:${port} is not among the hosts that this command was granted` };
    try {
      return { address: await resolve(host) };
    } catch (error) {
      return { refused: error instanceof Error ? error.message : `${host} cannot be reached` };
    }
  };
  const server = createServer((request, response) => {
    void forward(request, response, way);
  });
  server.maxConnections = LIMITS.proxyConnections;
  server.on('connection', (socket: Socket) => {
    keep(socket);
    socket.setTimeout(LIMITS.proxyIdleMs, () => socket.destroy());
  });
  server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    void tunnel(request, socket, head, { way, keep });
  });
  await new Promise<void>((settled, failed) => {
    server.once('error', failed);
    server.listen(path, settled);
  });
  return {
    close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

async function tunnel(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  { way, keep }: { way: (host: string, port: number) => Promise<Way>; keep: (socket: Duplex) => void },
): Promise<void> {
  const [, host = '', port = ''] = /^([^:[\]]+):([0-9]{1,5})$/.exec(request.url ?? '') ?? [];
  const found: Way = host === '' ? { refused: 'CONNECT takes HOST:PORT' } : await way(host, Number(port));
  if (socket.destroyed) return;
  if ('refused' in found) {
    socket.end(`HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${found.refused}\n`);
    return;
  }
  const onward = connect({ host: found.address, port: Number(port), timeout: LIMITS.proxyIdleMs });
  keep(onward);
  onward.on('timeout', () => onward.destroy());
  onward.once('connect', () => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    onward.write(head);
    onward.pipe(socket);
    socket.pipe(onward);
  });
  onward.once('close', () => socket.destroy());
  socket.once('close', () => onward.destroy());
}

/** Hop by hop (RFC 9110, 7.6.1), or the proxy's own. */
const NOT_FORWARDED = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  way: (host: string, port: number) => Promise<Way>,
): Promise<void> {
  const url = URL.parse(request.url ?? '');
  const refuse = (message: string): void => {
    response.writeHead(403, { 'content-type': 'text/plain', connection: 'close' }).end(`${message}\n`);
  };
  if (url === null || url.protocol !== 'http:') return refuse('a proxy takes http://HOST/… or CONNECT');
  const port = Number(url.port || 80);
  const found = await way(url.hostname, port);
  if ('refused' in found) return refuse(found.refused);
  const headers = Object.entries(request.headers).filter(([name]) => !NOT_FORWARDED.has(name));
  const onward = httpRequest({
    host: found.address,
    port,
    method: request.method ?? 'GET',
    path: `${url.pathname}${url.search}`,
    headers: { ...Object.fromEntries(headers), host: url.host, connection: 'close' },
    timeout: LIMITS.proxyIdleMs,
  });
  onward.on('timeout', () => onward.destroy());
  onward.on('error', () => response.destroy());
  onward.on('response', (answer) => {
    const kept = Object.entries(answer.headers).filter(([name]) => !NOT_FORWARDED.has(name));
    response.writeHead(answer.statusCode ?? 502, { ...Object.fromEntries(kept), connection: 'close' });
    answer.pipe(response);
  });
  response.once('close', () => onward.destroy());
  request.pipe(onward);
}

async function resolvePublic(host: string): Promise<string> {
  const [first] = await resolveAllowed(host, systemResolve);
  return first.address;
}
