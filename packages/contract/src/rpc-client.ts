/** The client of one WebSocket: calls side by side, streams that come back by themselves. Runs in a browser. */
import type { ClientOptions, FeedStreamEvent, SessionEvent, StreamOptions } from './client.ts';
import { feedEvents, sessionEvents, systemTimers } from './client.ts';
import { ApiError, ERROR_STATUS } from './errors.ts';
import type { ErrorCode } from './errors.ts';
import { LIMITS } from './limits.ts';
import type { MethodName, ParamsInput, Result } from './methods.ts';
import type { Attempt, StreamLine } from './reconnect.ts';
import { followStream } from './reconnect.ts';
import type { RpcError, SubscriptionName } from './rpc.ts';
import { RPC_BEARER, RPC_PROTOCOL } from './rpc.ts';

export type RpcClientOptions = Omit<ClientOptions, 'fetch'> & { WebSocket?: typeof WebSocket };

export type RpcClient = {
  readonly url: string;
  /**
   * One method. Rejects with ApiError as the server says; with `unavailable` when it is not reached, or when the
   * connection breaks before the answer: then send again, with the same submission.
   */
  call<K extends MethodName>(method: K, params: ParamsInput<K>, options?: { signal?: AbortSignal }): Promise<Result<K>>;
  /** As Client.events. */
  events(session: string, options?: StreamOptions & { after?: number; deltas?: boolean }): AsyncGenerator<SessionEvent>;
  /** As Client.feed. */
  feed(options?: StreamOptions & { after?: string; agent?: string }): AsyncGenerator<FeedStreamEvent>;
  /** Ends the connection, until the next call opens another. */
  close(): void;
};

/** Connects with the first call. A browser is not told why a server refuses a connection: that is `unavailable` too. */
export function createRpcClient(options: RpcClientOptions): RpcClient {
  const url = options.url.replace(/\/+$/, '');
  const { timers = systemTimers } = options;
  let link: Promise<Link> | null = null;
  const linked = async (): Promise<Link> => {
    const current = (link ??= openLink(url, options, () => {
      if (link === current) link = null;
    }));
    current.catch(() => {
      if (link === current) link = null;
    });
    return current;
  };
  const attempt = (method: SubscriptionName, params: object): Attempt =>
    async function* subscribed(id, signal) {
      const connection = await linked();
      const after = id === null ? {} : { after: method === 'events.subscribe' ? Number(id) : id };
      const inbox = new Inbox();
      const stop = (): void => inbox.end();
      signal.addEventListener('abort', stop, { once: true });
      const leave = (name: string): void => connection.tell('unsubscribe', { subscription: name });
      let name: string | null = null;
      const opened = (result: unknown): void => {
        const { subscription } = result as { subscription: string };
        if (signal.aborted) return leave(subscription);
        name = subscription;
        connection.inboxes.set(name, inbox);
      };
      try {
        await orAborted(connection.ask(method, { ...params, ...after }, opened), signal);
        yield* inbox.lines();
      } finally {
        signal.removeEventListener('abort', stop);
        if (name !== null) {
          connection.inboxes.delete(name);
          leave(name);
        }
      }
    };
  const defined = (params: object): object =>
    Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined));
  return {
    url,
    call: async <K extends MethodName>(
      method: K,
      params: ParamsInput<K>,
      { signal }: { signal?: AbortSignal } = {},
    ) => {
      const answer = (await linked()).ask(method, params);
      return (await (signal === undefined ? answer : orAborted(answer, signal))) as Result<K>;
    },
    events: (session, { after = 0, deltas = true, ...rest } = {}) =>
      sessionEvents(followStream(attempt('events.subscribe', { session, after, deltas }), timers, rest), after),
    feed: ({ after, agent, ...rest } = {}) =>
      feedEvents(followStream(attempt('feed.subscribe', defined({ after, agent })), timers, rest)),
    close: () =>
      void link?.then(
        (open) => open.close(),
        () => undefined,
      ),
  };
}

type Link = {
  inboxes: Map<string, Inbox>;
  /** `taken` sees the result before anything that follows it. */
  ask(method: string, params: object, taken?: (result: unknown) => void): Promise<unknown>;
  /** Sends what gets no answer. */
  tell(method: string, params: object): void;
  close(): void;
};
type Pending = { resolve: (result: unknown) => void; reject: (error: ApiError) => void };
type Incoming = {
  id?: number;
  result?: unknown;
  error?: RpcError;
  params?: { subscription?: string } & Told;
};

/** Resolves when the connection is open. `gone` runs when it is not any more. */
async function openLink(url: string, options: RpcClientOptions, gone: () => void): Promise<Link> {
  const { token, timers = systemTimers, WebSocket: Socket = WebSocket } = options;
  const protocols = token === undefined ? [RPC_PROTOCOL] : [RPC_PROTOCOL, `${RPC_BEARER}${base64url(token)}`];
  const socket = new Socket(`${url.replace(/^http/, 'ws')}/v1/rpc`, protocols);
  const calls = new Map<number, Pending>();
  const inboxes = new Map<string, Inbox>();
  let last = 0;
  const write = (message: object): void => socket.send(JSON.stringify({ jsonrpc: '2.0', ...message }));
  const broke = (): void => {
    idle.cancel();
    gone();
    const error = new ApiError('unavailable', `the connection to ${url} broke off`);
    for (const { reject } of calls.values()) reject(error);
    for (const inbox of inboxes.values()) inbox.end(error);
    calls.clear();
    inboxes.clear();
  };
  const close = (): void => {
    socket.close();
    broke();
  };
  // The server is heard at least with its heartbeats.
  let idle = timers.set(LIMITS.streamIdleMs, close);
  socket.addEventListener('message', ({ data }) => {
    idle.cancel();
    idle = timers.set(LIMITS.streamIdleMs, close);
    const { id, result, error, params } = JSON.parse(data as string) as Incoming;
    if (id === undefined) return inboxes.get(params?.subscription ?? '')?.take(params as Told);
    const call = calls.get(id);
    calls.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(errorOf(error));
  });
  // What went wrong is told by the close that follows.
  socket.addEventListener('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('close', () => {
      broke();
      reject(new ApiError('unavailable', `no server answers at ${url}, or it refuses the connection`));
    });
  });
  return {
    inboxes,
    close,
    tell: (method, params) => {
      if (socket.readyState === socket.OPEN) write({ method, params });
    },
    ask: async (method, params, taken) =>
      new Promise((resolve, reject) => {
        const id = (last += 1);
        const took = (result: unknown): void => {
          taken?.(result);
          resolve(result);
        };
        calls.set(id, { resolve: took, reject });
        write({ id, method, params });
      }),
  };
}

function errorOf({ message, data }: RpcError): ApiError {
  const code = Object.hasOwn(ERROR_STATUS, data.code) ? (data.code as ErrorCode) : 'internal';
  const { details, requestId } = data;
  return new ApiError(code, message, {
    ...(details === undefined ? {} : { details }),
    ...(requestId === undefined ? {} : { requestId }),
  });
}

/** What a notification of a stream says; the rest is by its type. */
type Told = { type: string; retryMs?: number; entry?: { kind: string; seq: number }; cursor?: string };

/** What came in for one subscription and was not read yet: a reader who is too slow asks again from where it is. */
class Inbox {
  #lines: (StreamLine & { retryMs: number | null })[] = [];
  #ended: { error: ApiError | undefined } | null = null;
  #wake: (() => void) | null = null;

  take(told: Told): void {
    if (this.#ended !== null) return;
    if (this.#lines.length >= LIMITS.clientQueueEvents)
      return this.end(new ApiError('unavailable', 'this reader fell behind'));
    this.#lines.push(lineOf(told));
    this.#wake?.();
  }

  /** After what is here already, nothing follows. */
  end(error?: ApiError): void {
    this.#ended ??= { error };
    this.#wake?.();
  }

  async *lines(): AsyncGenerator<StreamLine & { retryMs: number | null }> {
    for (;;) {
      const next = this.#lines.shift();
      if (next !== undefined) yield next;
      else if (this.#ended === null) await new Promise<void>((resolve) => (this.#wake = resolve));
      else if (this.#ended.error === undefined) return;
      else throw this.#ended.error;
    }
  }
}

/** A notification as a line of a stream. */
function lineOf(told: Told): StreamLine & { retryMs: number | null } {
  const { type, entry, retryMs = null } = told;
  if (type === 'entry' && entry !== undefined)
    return { event: entry.kind, data: entry, id: String(entry.seq), retryMs };
  if (type === 'delta') return { event: type, data: (told as { delta?: unknown }).delta, id: null, retryMs };
  if (type === 'change')
    return { event: type, data: (told as { change?: unknown }).change, id: told.cursor ?? null, retryMs };
  return { event: type, data: told, id: null, retryMs };
}

async function orAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

function base64url(text: string): string {
  const binary = Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join('');
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}
