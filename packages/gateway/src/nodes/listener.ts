/**
 * Where a process that shares its data is reached by the others, and by whoever watches over it: what is said live in
 * its sessions, its health, and nothing else.
 *  I1 Only who shows the token hears anything; `/health/*` is for everybody who reaches the port.
 *  I2 Nobody is waited for. What a connection does not take is left out, and said again, whole, when it takes more.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer, STATUS_CODES } from 'node:http';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Told } from '@perdure/runtime';
import type { Logger, Timers } from '@perdure/runtime/ports';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import { bind } from '../bind.ts';
import { LIMITS } from '../limits.ts';
import { isWebSocket } from '../websocket.ts';
import { beat } from './beat.ts';
import { NODE_PATH, readWanted } from './messages.ts';

/** What is told to the other processes. */
export type Serving = {
  token: string;
  overhear: (session: string, ear: (told: Told) => void) => { close(): void };
  ready(): { ready: boolean; reason?: string };
};
export type InternalListener = {
  /** Where the other processes reach it: what a node's lease says. */
  readonly address: string;
  /** Until then it answers `/health/live` alone. */
  serve(serving: Serving): void;
  /** Ends all connections. Idempotent. */
  close(): Promise<void>;
};

/**
 * Listens; `port` 0 takes a free one. On all addresses (`0.0.0.0`, `::`) the address that is told is the first of this
 * machine that is not the loopback. Rejects with ListenError.
 */
export async function listenInternally(options: {
  host: string;
  port: number;
  timers: Timers;
  logger: Logger;
}): Promise<InternalListener> {
  const { host, port, timers, logger } = options;
  let serving: Serving | null = null;
  const server = createServer({ maxHeaderSize: LIMITS.headerBytes, shouldUpgradeCallback: isWebSocket });
  server.on('request', (request, response) => answer(request, response, serving));
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: LIMITS.nodeMessageBytes,
    perMessageDeflate: false,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const status = refusal(request, serving, sockets.clients.size);
    if (status !== null || serving === null) return refuse(socket, status ?? 503);
    const { overhear } = serving;
    sockets.handleUpgrade(request, socket, head, (webSocket) => listenTo(webSocket, { overhear, timers, logger }));
  });
  await bind(server, host.replace(/^\[|\]$/g, ''), port);
  let closing: Promise<void> | null = null;
  return {
    address: addressOf(server, host),
    serve: (given) => {
      serving = given;
    },
    close: async () => (closing ??= close(server, sockets)),
  };
}

function answer({ method, url }: IncomingMessage, response: ServerResponse, serving: Serving | null): void {
  const say = (status: number, body: object): void => {
    response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    response.end(JSON.stringify(body));
  };
  if (method !== 'GET' && method !== 'HEAD') return say(405, { error: { code: 'method_not_allowed' } });
  if (url === '/health/live') return say(200, { live: true });
  if (url !== '/health/ready') return say(404, { error: { code: 'not_found' } });
  const state = serving?.ready() ?? { ready: false, reason: 'starting' };
  say(state.ready ? 200 : 503, state);
}

/** With which status a WebSocket is refused; null: it is welcome. */
function refusal({ headers, url }: IncomingMessage, serving: Serving | null, open: number): number | null {
  if (url !== NODE_PATH) return 404;
  if (serving === null) return 503;
  const given = /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1] ?? '';
  // Digests are of one length, so that the comparison takes the same time for any token.
  if (!timingSafeEqual(digest(given), digest(serving.token))) return 401;
  return open >= LIMITS.nodeConnections ? 429 : null;
}

const digest = (text: string): Uint8Array => createHash('sha256').update(text).digest();

function refuse(socket: Duplex, status: number): void {
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`);
}

type Given = Pick<Serving, 'overhear'> & { timers: Timers; logger: Logger };

/** One process that listens to sessions here. */
function listenTo(webSocket: WebSocket, { overhear, timers, logger }: Given): void {
  const ears = new Map<string, { close(): void }>();
  /** Sessions of which something was left out. */
  const behind = new Set<string>();
  const send = (told: Told): void => webSocket.send(JSON.stringify(told), catchUp);
  let isWhole = false;
  const hear = (told: Told): void => {
    if (!isWhole && webSocket.bufferedAmount > LIMITS.nodeBufferBytes) behind.add(told.session);
    else send(told);
  };
  const listen = (session: string): void => {
    ears.get(session)?.close();
    ears.set(session, overhear(session, hear));
  };
  const catchUp = (): void => {
    if (behind.size === 0 || webSocket.bufferedAmount > LIMITS.nodeBufferBytes / 2) return;
    const [session = ''] = behind;
    behind.delete(session);
    if (!ears.has(session)) return;
    // One session at a time is said whole, whatever it takes: else it would fall behind on the same text for ever.
    isWhole = true;
    listen(session);
    isWhole = false;
  };
  webSocket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) return webSocket.terminate();
    const { want, drop } = readWanted(data.toString('utf8'));
    for (const session of drop) {
      ears.get(session)?.close();
      ears.delete(session);
    }
    for (const session of want) if (ears.has(session) || ears.size < LIMITS.nodeSessions) listen(session);
  });
  const heart = beat(webSocket, timers);
  webSocket.on('close', () => {
    heart.cancel();
    for (const ear of ears.values()) ear.close();
    ears.clear();
  });
  webSocket.on('error', (error) => logger.debug({ error: error.message }, 'a connection of another process broke'));
}

function addressOf(server: Server, host: string): string {
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  const isAny = host === '0.0.0.0' || host === '::' || host === '[::]';
  const name = isAny ? ownAddress() : host;
  return `http://${name.includes(':') && !name.startsWith('[') ? `[${name}]` : name}:${port}`;
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const outer = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:'));
  return (outer.find(({ family }) => family === 'IPv4') ?? outer[0])?.address ?? '127.0.0.1';
}

async function close(server: Server, sockets: WebSocketServer): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const webSocket of sockets.clients) webSocket.terminate();
  server.closeAllConnections();
  await closed;
}
