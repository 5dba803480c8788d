/** WebSockets (RFC 6455) on the node server of a gateway: the handshake, and what the protocol itself asks for. */
import { STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { RPC_PROTOCOL } from '@perdure/contract';
import type { WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import type { Gateway } from './gateway.ts';
import type { Reply } from './routes.ts';

/** The close code of RFC 6455, section 7.4.1, for what is not text. */
const UNSUPPORTED_DATA = 1003;

/** Only a WebSocket leaves HTTP; any other upgrade that a client offers is declined by answering the request. */
export const isWebSocket = ({ headers }: IncomingMessage): boolean => headers.upgrade?.toLowerCase() === 'websocket';

/** Opens WebSockets on the server; gives what breaks off those that are still open. */
export function acceptWebSockets(gateway: Gateway, server: Server, port: () => number): { terminate(): void } {
  const open = new WebSocketServer({
    noServer: true,
    maxPayload: gateway.maxBytes,
    perMessageDeflate: false,
    // Whoever offers any offers ours; a token that is offered beside it is not said back.
    handleProtocols: () => RPC_PROTOCOL,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const path = (request.url ?? '').split('?')[0] ?? '';
    const admitted = gateway.admit({ headers: headersOf(request), path, port: port() });
    if ('refused' in admitted) return refuse(socket, admitted.refused);
    open.handleUpgrade(request, socket, head, (webSocket) => bind(webSocket, admitted.bind, gateway));
  });
  return {
    terminate: () => {
      for (const webSocket of open.clients) webSocket.terminate();
    },
  };
}

type Admitted = Extract<ReturnType<Gateway['admit']>, { bind: unknown }>;

function bind(webSocket: WebSocket, make: Admitted['bind'], { logger }: Gateway): void {
  const bound = make({
    send: (text, taken) => webSocket.send(text, taken),
    ping: () => webSocket.ping(),
    pause: () => webSocket.pause(),
    resume: () => webSocket.resume(),
    close: (code, reason) => webSocket.close(code, reason),
    terminate: () => webSocket.terminate(),
  });
  webSocket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) return webSocket.close(UNSUPPORTED_DATA, 'messages are text');
    void bound.received(data.toString('utf8'));
  });
  webSocket.on('pong', bound.heard);
  webSocket.on('ping', bound.heard);
  webSocket.on('close', bound.closed);
  // The protocol was broken, or the connection: ws closes it with the code that says how.
  webSocket.on('error', (error) => logger.debug({ error: error.message }, 'a WebSocket broke off'));
}

/** Names that came twice are one with both values, as fetch has them. */
function headersOf({ headers }: IncomingMessage): Headers {
  const all = new Headers();
  for (const [name, value] of Object.entries(headers))
    for (const one of Array.isArray(value) ? value : [value ?? '']) all.append(name, one);
  return all;
}

/** Answers over the bare socket, and ends it. */
function refuse(socket: Duplex, { status, headers, body }: Reply): void {
  const text = typeof body === 'string' ? body : '';
  const all = { ...headers, connection: 'close', 'content-length': String(Buffer.byteLength(text)) };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${text}`);
}
