/** JSON-RPC at `/v1/rpc`: over POST, and over WebSockets that a server brings. */
import { ApiError, RPC_BEARER, RPC_PROTOCOL } from '@perdure/contract';
import type { Api, Caller } from '@perdure/runtime';
import type { Clock, Logger, Timers } from '@perdure/runtime/ports';
import { readJsonBytes } from '../input.ts';
import { LIMITS } from '../limits.ts';
import { createAnswerer, createMethods } from './answer.ts';
import type { Shared, Socket } from './connection.ts';
import { Connection } from './connection.ts';

export { errorText } from './message.ts';
export type { Socket } from './connection.ts';
export type RpcReply = { status: number; body: string | null };
/** What a WebSocket is bound to: it tells of what comes in. */
export type Bound = Pick<Connection, 'received' | 'heard' | 'closed' | 'terminate'>;

export type Rpc = {
  /** Answers a POST. Rejects with ApiError for what is refused before a message is read. */
  post(request: Request, caller: Caller, maxBytes: number): Promise<RpcReply>;
  /** Throws ApiError when no further connection is taken, or its subprotocols are not ours. */
  checkOpening(headers: Headers): void;
  connect(socket: Socket, caller: Caller): Bound;
  /** Closes connections after what is under way on them. */
  drain(): void;
};

export function createRpc(given: {
  api: Api;
  logger: Logger;
  clock: Clock;
  timers: Timers;
  open: Shared['open'];
  checkRoom: () => void;
  isDraining: () => boolean;
}): Rpc {
  const { logger } = given;
  const answer = createAnswerer(given);
  const methods = createMethods(given.api);
  const connections = new Set<Connection>();
  const failed = (requestId: string, error: unknown): void =>
    logger.error({ requestId, error: String(error) }, 'a subscription failed');
  const shared: Shared = { ...given, answer, methods, failed };
  return {
    async post(request, caller, maxBytes) {
      const bytes = (await readJsonBytes(request, maxBytes)) ?? new Uint8Array();
      const { text } = await answer(bytes, caller, methods);
      return text === null ? { status: 204, body: null } : { status: 200, body: text };
    },
    checkOpening(headers) {
      if (connections.size >= LIMITS.rpcConnections)
        throw new ApiError('rate_limited', 'too many connections are open: try again later');
      const offered = protocolsOf(headers);
      if (offered.length === 0 || offered.includes(RPC_PROTOCOL)) return;
      throw new ApiError('invalid_request', `offer the subprotocol ${RPC_PROTOCOL} beside others, or none`);
    },
    connect(socket, caller) {
      const connection = new Connection(socket, caller, shared);
      connections.add(connection);
      return {
        received: async (text) => connection.received(text),
        heard: () => connection.heard(),
        terminate: () => connection.terminate(),
        closed: () => {
          connections.delete(connection);
          connection.closed();
        },
      };
    },
    drain: () => {
      for (const connection of connections) connection.drain();
    },
  };
}

const protocolsOf = (headers: Headers): string[] =>
  (headers.get('sec-websocket-protocol') ?? '')
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '');

/** A browser's token, which it can only offer as a subprotocol, where every other client puts it. */
export function withBearer(headers: Headers): Headers {
  const offered = protocolsOf(headers).find((protocol) => protocol.startsWith(RPC_BEARER));
  if (offered === undefined || headers.has('authorization')) return headers;
  const token = Buffer.from(offered.slice(RPC_BEARER.length), 'base64url').toString('utf8');
  const all = new Headers(headers);
  // What no header can hold is no token.
  all.set('authorization', `Bearer ${/^[\x21-\x7e]+$/.test(token) ? token : ''}`);
  return all;
}
