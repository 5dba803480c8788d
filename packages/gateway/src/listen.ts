/** Serves a gateway on a port of this machine, and drains it. */
import type { Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { HttpBindings } from '@hono/node-server';
import { getRequestListener } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { ApiError } from '@perdure/contract';
import { isLoopback } from './access.ts';
import { bind, ListenError } from './bind.ts';
import type { Gateway } from './gateway.ts';
import type { Reply } from './routes.ts';
import { LIMITS } from './limits.ts';
import { acceptWebSockets, isWebSocket } from './websocket.ts';

export type Listening = {
  /** Where it is reached, without the base: `http://127.0.0.1:7420`. */
  url: string;
  port: number;
  /** Takes no new connection, ends streams with a hint to come back, waits for what is under way. Idempotent. */
  close(options?: { graceMs?: number }): Promise<void>;
};

/** Resolves when the port is bound; `port` 0 takes a free one. Rejects with ListenError. */
export async function listen(gateway: Gateway, options: { host: string; port: number }): Promise<Listening> {
  const { host, port } = options;
  if (!gateway.hasToken && !isLoopback(host)) {
    const text = `${host} can be reached from other machines: set a token (--token, PERDURE_TOKEN), or listen on 127.0.0.1`;
    throw new ListenError('token_required', text);
  }
  let bound = port;
  let closing: Promise<void> | undefined;
  const limits = {
    headersTimeout: LIMITS.headersTimeoutMs,
    requestTimeout: LIMITS.requestTimeoutMs,
    keepAliveTimeout: LIMITS.keepAliveTimeoutMs,
    maxHeaderSize: LIMITS.headerBytes,
    shouldUpgradeCallback: isWebSocket,
  };
  const serve = (request: Request, { outgoing }: HttpBindings): Promise<Response> =>
    gateway.fetch(request, { port: bound, send: (reply) => send(outgoing, reply, closing !== undefined) });
  // The globals of the program that this server is a part of stay as they are.
  const style = { overrideGlobalObjects: false, errorHandler };
  const listener = getRequestListener(serve as Parameters<typeof getRequestListener>[0], style);
  const server = createServer(limits, (incoming, outgoing) => void listener(incoming, outgoing));
  const webSockets = acceptWebSockets(gateway, server, () => bound);
  await bind(server, host.replace(/^\[|\]$/g, ''), port);
  const address = server.address();
  bound = typeof address === 'object' && address !== null ? address.port : port;
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  return {
    url: `http://${name}:${bound}`,
    port: bound,
    close: ({ graceMs = LIMITS.drainMs } = {}) => (closing ??= close(gateway, server, webSockets, graceMs)),
  };
}

/** What is no request that could be given to the gateway: a broken Host or address. */
function errorHandler(): Response {
  const error = new ApiError('invalid_request', 'the Host header or the address of this request is not valid');
  return Response.json(error.toBody(), { status: error.status });
}

/** Writes a reply to the socket as fast as that takes it. When the client goes, the body is cancelled. */
function send(outgoing: ServerResponse, { status, headers, body }: Reply, isLast: boolean): Response {
  if (isLast) outgoing.setHeader('connection', 'close');
  if (body instanceof ReadableStream) {
    outgoing.writeHead(status, headers);
    outgoing.flushHeaders();
    void pipe(outgoing, body.getReader());
  } else {
    const length = body === null ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length;
    outgoing.writeHead(status, status === 304 ? headers : { 'content-length': length, ...headers });
    outgoing.end(body ?? undefined);
  }
  return RESPONSE_ALREADY_SENT;
}

async function pipe(outgoing: ServerResponse, reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const cancel = (): void => void reader.cancel().catch(() => undefined);
  outgoing.once('close', cancel);
  outgoing.once('error', cancel);
  try {
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      if (!outgoing.write(piece.value)) await drained(outgoing);
    }
    outgoing.end();
  } catch {
    // The body gave its reader up: whoever still listens must see that this is not its end.
    outgoing.destroy();
  }
}

/** Resolves when the socket takes more, or is gone. */
function drained(outgoing: ServerResponse): Promise<void> {
  if (outgoing.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      outgoing.off('drain', done);
      outgoing.off('close', done);
      resolve();
    };
    outgoing.on('drain', done);
    outgoing.on('close', done);
  });
}

async function close(
  gateway: Gateway,
  server: Server,
  webSockets: { terminate(): void },
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  gateway.drain();
  server.closeIdleConnections();
  const timer = gateway.timers.set(graceMs, () => {
    server.closeAllConnections();
    webSockets.terminate();
  });
  await closed;
  timer.cancel();
}
