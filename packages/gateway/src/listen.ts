/** Serves a gateway on a port of this machine, and drains it. */
import type { Server } from 'node:http';
import { createAdaptorServer } from '@hono/node-server';
import { isLoopback } from './access.ts';
import type { Gateway } from './gateway.ts';
import { LIMITS } from './limits.ts';

export type Listening = {
  /** Where it is reached, without the base: `http://127.0.0.1:7420`. */
  url: string;
  port: number;
  /** Takes no new connection, ends streams with a hint to come back, waits for what is under way. Idempotent. */
  close(options?: { graceMs?: number }): Promise<void>;
};

export type ListenErrorCode = 'port_in_use' | 'port_forbidden' | 'host_unknown' | 'token_required' | 'listen_failed';

/** The server did not start; `message` says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code: ListenErrorCode;
  constructor(code: ListenErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Resolves when the port is bound; `port` 0 takes a free one. Rejects with ListenError. */
export async function listen(gateway: Gateway, options: { host: string; port: number }): Promise<Listening> {
  const { host, port } = options;
  if (!gateway.hasToken && !isLoopback(host)) {
    const text = `${host} can be reached from other machines: set a token (--token, PERDURE_TOKEN), or listen on 127.0.0.1`;
    throw new ListenError('token_required', text);
  }
  let bound: number | undefined;
  const server = createAdaptorServer({
    fetch: async (request) => gateway.fetch(request, bound === undefined ? {} : { port: bound }),
    serverOptions: {
      headersTimeout: LIMITS.headersTimeoutMs,
      requestTimeout: LIMITS.requestTimeoutMs,
      keepAliveTimeout: LIMITS.keepAliveTimeoutMs,
      maxHeaderSize: LIMITS.headerBytes,
    },
  }) as Server;
  await bind(server, host.replace(/^\[|\]$/g, ''), port);
  const address = server.address();
  bound = typeof address === 'object' && address !== null ? address.port : port;
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
  let closing: Promise<void> | undefined;
  return {
    url: `http://${name}:${bound}`,
    port: bound,
    close: ({ graceMs = LIMITS.drainMs } = {}) => (closing ??= close(gateway, server, graceMs)),
  };
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, host, port)));
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      server.on('error', () => undefined);
      resolve();
    });
  });
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): ListenError {
  switch (error.code) {
    case 'EADDRINUSE':
      return new ListenError(
        'port_in_use',
        `port ${port} on ${host} is in use: stop what uses it, or take another with --port`,
      );
    case 'EACCES':
      return new ListenError(
        'port_forbidden',
        `port ${port} may not be used by this user: take one from 1024 on with --port`,
      );
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ListenError('host_unknown', `${host} is not an address of this machine: take another with --host`);
    default:
      return new ListenError('listen_failed', `cannot listen on ${host}:${port}: ${error.message}`);
  }
}

async function close(gateway: Gateway, server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  gateway.drain();
  server.closeIdleConnections();
  const timer = gateway.timers.set(graceMs, () => server.closeAllConnections());
  await closed;
  timer.cancel();
}
