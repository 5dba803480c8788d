/** Binds a server to a port, and says in words why that did not work. */
import type { Server } from 'node:http';

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

/** Rejects with ListenError. */
export function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(explain(error, host, port));
    server.once('error', failed);
    try {
      server.listen({ host, port }, () => {
        server.off('error', failed);
        resolve();
      });
    } catch (error) {
      failed(error as NodeJS.ErrnoException);
    }
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
