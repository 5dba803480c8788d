/** The typed client: every method of the table over fetch, and streams that come back by themselves. Runs in a browser. */
import { CHANNELS } from './channels.ts';
import { ApiError } from './errors.ts';
import type { Method, MethodName, ParamsInput, Result } from './methods.ts';
import { METHODS, pathParams } from './methods.ts';
import type { Attempt, StreamLine, StreamTimers } from './reconnect.ts';
import { followStream, overSse } from './reconnect.ts';
import type { Delta, Entry, FeedChange } from './stream.ts';
import type { SessionView } from './views.ts';

export type ClientOptions = {
  /** The server's address, without `/v1`. */
  url: string;
  token?: string;
  fetch?: typeof fetch;
  timers?: StreamTimers;
};

/** What a session's stream gives. After `end` nothing follows: the session is closed. */
export type SessionEvent =
  | { type: 'entry'; entry: Entry }
  | { type: 'delta'; delta: Delta }
  | { type: 'caught-up'; head: number }
  /** A range is lost: read the views anew; the stream goes on after `after`. */
  | { type: 'resync'; after: number; reason: string }
  | { type: 'end'; reason: string };
export type FeedStreamEvent =
  | { type: 'change'; cursor: string; change: FeedChange }
  | { type: 'caught-up'; cursor: string }
  | { type: 'resync'; cursor: string };

export type StreamOptions = { signal?: AbortSignal; maxAttempts?: number };
export type CallOptions = { signal?: AbortSignal; requestId?: string };

export type Client = {
  readonly url: string;
  /** One method. Rejects with ApiError: as the server says, or `unavailable` when it is not reached. */
  call<K extends MethodName>(method: K, params: ParamsInput<K>, options?: CallOptions): Promise<Result<K>>;
  /**
   * A session's entries after `after`, each once and in order, then live. It reconnects where it stopped, and rejects
   * with ApiError when the server refuses, or is not reached `maxAttempts` times in a row. Ends with its signal.
   */
  events(session: string, options?: StreamOptions & { after?: number; deltas?: boolean }): AsyncGenerator<SessionEvent>;
  /** Where each session stands, then each change; at least once. */
  feed(options?: StreamOptions & { after?: string; agent?: string }): AsyncGenerator<FeedStreamEvent>;
  putBlob(bytes: Uint8Array<ArrayBuffer>, options?: CallOptions): Promise<{ digest: string; bytes: number }>;
  getBlob(digest: string, options?: CallOptions): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * A session as a file, in chunks as they come. Rejects when it breaks off: what came by then is no export, and an import
   * refuses it.
   */
  exportSession(session: string, options?: CallOptions): AsyncGenerator<Uint8Array>;
  /** Brings an exported session: the file, or a stream of it (which browsers may not be able to send). */
  importSession(
    file: Uint8Array<ArrayBuffer> | Blob | ReadableStream<Uint8Array>,
    options?: CallOptions,
  ): Promise<{ session: SessionView; seq: number }>;
};

/**
 * A client of the HTTP API on the platform's `fetch`: in Node, Deno or a browser. Nothing is sent before the first call.
 * Methods are those of `METHODS`, with their parameters and results typed; what changes something may be sent again with
 * the same `submission`. Streams reconnect by themselves and give each entry once.
 */
export function createClient(options: ClientOptions): Client {
  const url = options.url.replace(/\/+$/, '');
  const send = createSender(url, options);
  const { timers = systemTimers } = options;
  const call = async <K extends MethodName>(method: K, params: ParamsInput<K>, more: CallOptions = {}) => {
    const response = await send({ ...addressOf(METHODS[method], params), ...more });
    return (await whole(response.json(), url, more.signal)) as Result<K>;
  };
  const connect = (row: Pick<Method, 'verb' | 'path'>, params: object): Attempt =>
    overSse(async (id, signal) => {
      const headers: { [name: string]: string } = { accept: 'text/event-stream' };
      if (id !== null) headers['last-event-id'] = id;
      return send({ ...addressOf(row, params), signal, headers });
    }, timers);
  return {
    url,
    call,
    events: (session, { after = 0, deltas = true, ...rest } = {}) =>
      sessionEvents(followStream(connect(CHANNELS['events.stream'], { session, after, deltas }), timers, rest), after),
    feed: ({ after, agent, ...rest } = {}) =>
      feedEvents(followStream(connect(CHANNELS['feed.stream'], { after, agent }), timers, rest)),
    putBlob: async (bytes, more = {}) => {
      const headers = { 'content-type': 'application/octet-stream' };
      const response = await send({ verb: 'POST', path: CHANNELS['blobs.put'].path, body: bytes, headers, ...more });
      return (await whole(response.json(), url, more.signal)) as { digest: string; bytes: number };
    },
    getBlob: async (digest, more = {}) => {
      const response = await send({ ...addressOf(CHANNELS['blobs.get'], { digest }), ...more });
      return new Uint8Array(await whole(response.arrayBuffer(), url, more.signal));
    },
    async *exportSession(session, more = {}) {
      const { body } = await send({ ...addressOf(CHANNELS['sessions.export'], { session }), ...more });
      if (body === null) throw new ApiError('unavailable', `the answer of ${url} has no body`);
      const reader = body.getReader();
      try {
        for (;;) {
          const { done, value } = await whole(reader.read(), url, more.signal);
          if (done) return;
          yield value;
        }
      } finally {
        await reader.cancel().catch(() => undefined);
      }
    },
    importSession: async (file, more = {}) => {
      const headers = { 'content-type': 'application/octet-stream' };
      const { verb, path } = CHANNELS['sessions.import'];
      const response = await send({ verb, path, body: file, headers, ...more });
      return (await whole(response.json(), url, more.signal)) as { session: SessionView; seq: number };
    },
  };
}

type Outgoing = CallOptions & {
  verb: string;
  path: string;
  body?: string | Uint8Array<ArrayBuffer> | Blob | ReadableStream<Uint8Array>;
  headers?: { [name: string]: string };
};

/** Where a row's parameters go: into the path, the query or the body. */
function addressOf(row: Pick<Method, 'verb' | 'path' | 'body'>, params: object): Outgoing {
  const rest = new Map(Object.entries(params).filter(([, value]) => value !== undefined));
  const inPath = pathParams(row.path);
  let path = row.path;
  for (const name of inPath) {
    path = path.replace(`{${name}}`, () => encodeURIComponent(String(rest.get(name))));
    rest.delete(name);
  }
  if (row.verb === 'GET' || row.verb === 'DELETE') {
    const query = new URLSearchParams(
      [...rest].map(([name, value]): [string, string] => [name, String(value)]),
    ).toString();
    return { verb: row.verb, path: query === '' ? path : `${path}?${query}` };
  }
  if (row.body !== undefined) return { verb: row.verb, path, body: JSON.stringify(rest.get(row.body) ?? null) };
  return rest.size === 0
    ? { verb: row.verb, path }
    : { verb: row.verb, path, body: JSON.stringify(Object.fromEntries(rest)) };
}

function createSender(url: string, options: ClientOptions): (request: Outgoing) => Promise<Response> {
  const go = options.fetch ?? ((input: string, init: RequestInit) => fetch(input, init));
  return async ({ verb, path, body, headers = {}, signal, requestId }) => {
    const sent: { [name: string]: string } = { ...headers };
    if (typeof body === 'string') sent['content-type'] = 'application/json';
    if (options.token !== undefined) sent['authorization'] = `Bearer ${options.token}`;
    if (requestId !== undefined) sent['x-request-id'] = requestId;
    const init: RequestInit = { method: verb, headers: sent };
    if (body !== undefined) init.body = body;
    // A stream is sent while the answer is still to come.
    if (body instanceof ReadableStream) Object.assign(init, { duplex: 'half' });
    if (signal !== undefined) init.signal = signal;
    let response: Response;
    try {
      response = await go(`${url}/v1${path}`, init);
    } catch (error) {
      if (signal?.aborted === true) throw error;
      throw new ApiError('unavailable', `no server answers at ${url}`, { details: { cause: String(error) } });
    }
    if (response.ok) return response;
    throw ApiError.fromBody(response.status, await response.json().catch(() => undefined));
  };
}

/** What an answer holds: its connection may still break while it is on its way. */
async function whole<T>(reading: Promise<T>, url: string, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiError('unavailable', `the answer of ${url} broke off`, { details: { cause: String(error) } });
  }
}

export const systemTimers: StreamTimers = {
  set: (afterMs, run) => {
    const timer = setTimeout(run, afterMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Each entry once and in order, whatever the connections repeat. */
export async function* sessionEvents(lines: AsyncIterable<StreamLine>, after: number): AsyncGenerator<SessionEvent> {
  let last = after;
  for await (const { event, data } of lines) {
    switch (event) {
      case 'delta':
        yield { type: 'delta', delta: data as Delta };
        break;
      case 'caught-up':
        yield { type: 'caught-up', head: (data as { head: number }).head };
        break;
      case 'resync': {
        const resync = data as { after: number; reason: string };
        last = resync.after;
        yield { type: 'resync', after: last, reason: resync.reason };
        break;
      }
      case 'end':
        yield { type: 'end', reason: (data as { reason: string }).reason };
        return;
      default: {
        const entry = data as Entry;
        if (entry.seq <= last) break;
        last = entry.seq;
        yield { type: 'entry', entry };
      }
    }
  }
}

/** The feed, as its connections give it. */
export async function* feedEvents(lines: AsyncIterable<StreamLine>): AsyncGenerator<FeedStreamEvent> {
  for await (const { event, data, id } of lines) {
    if (event === 'change') yield { type: 'change', cursor: id ?? '', change: data as FeedChange };
    if (event === 'caught-up') yield { type: 'caught-up', cursor: (data as { cursor: string }).cursor };
    if (event === 'resync') yield { type: 'resync', cursor: (data as { cursor: string }).cursor };
  }
}
