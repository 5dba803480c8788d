/** The connections to one endpoint of a provider, over undici. */
import type { GenerateContext, GenerateOutcome } from '@perdure/runtime/ports';
import type { Dispatcher, Pool } from 'undici';
import { failed, NOTHING } from '../failures.ts';
import { LIMITS } from '../limits.ts';
import { Exchange, type AnswerReader } from './exchange.ts';
import type { Refusals } from './refusals.ts';

/** Where a provider is spoken to. `headers` go with every request, the one that holds the key among them. */
export type HttpEndpoint = {
  origin: string;
  /** Of the base URL, without a slash at its end; '' at the root. */
  basePath: string;
  /** Null sends none. Never told in an error. */
  apiKey: string | null;
  /** What to look at when the key is refused. */
  keyHint: string;
  headers: { readonly [name: string]: string };
  headersTimeoutMs: number;
  idleTimeoutMs: number;
};

/** `path` is added to the endpoint's `basePath`. */
export type HttpRequest = {
  method: 'GET' | 'POST';
  path: string;
  headers?: { readonly [name: string]: string };
  body?: Buffer;
  /** In place of the endpoint's own bounds: to the first byte of the answer, and between two pieces of it. */
  timeoutMs?: number;
};

export type Connection = {
  /** One request, no retries: those are the engine's. Never rejects; the reader's outcome, or the failure that came before. */
  send(request: HttpRequest, reader: AnswerReader, context: Pick<GenerateContext, 'signal'>): Promise<GenerateOutcome>;
  /** Ends what is under way (`aborted`). */
  close(): Promise<void>;
};

export function openConnection(endpoint: HttpEndpoint, refusals: Refusals): Connection {
  const standing = { accept: 'text/event-stream', ...endpoint.headers };
  let pool: Pool | null = null;
  let opening: Promise<Pool> | null = null;
  let isClosed = false;
  const open = async (): Promise<Pool> => {
    pool = await openPool(endpoint);
    if (isClosed) await pool.destroy();
    return pool;
  };
  const dispatch = async (request: Dispatcher.DispatchOptions, exchange: Exchange): Promise<void> => {
    (await (opening ??= open())).dispatch(request, exchange);
  };
  return {
    send: ({ method, path, headers = {}, body, timeoutMs }, reader, context) => {
      if (context.signal.aborted)
        return Promise.resolve(failed('aborted', 'aborted before it was sent', 'no', NOTHING));
      const exchange = new Exchange(endpoint.origin, reader, refusals, context);
      const type = body === undefined ? {} : { 'content-type': 'application/json' };
      const all = Object.entries({ ...type, ...standing, ...headers }).flat();
      const bounds = timeoutMs === undefined ? {} : { headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
      const request = { method, path: `${endpoint.basePath}${path}`, headers: all, body: body ?? null, ...bounds };
      if (pool === null) void dispatch(request, exchange);
      else pool.dispatch(request, exchange);
      return exchange.outcome;
    },
    close: async () => {
      isClosed = true;
      await (await opening)?.destroy();
    },
  };
}

/** The library is loaded for the first request: most commands ask no model anything. */
async function openPool({ origin, headersTimeoutMs, idleTimeoutMs }: HttpEndpoint): Promise<Pool> {
  const { Pool } = await import('undici');
  return new Pool(origin, {
    connections: LIMITS.connectionsPerEndpoint,
    // One request at a time on a connection: an answer is never held up by another one.
    pipelining: 1,
    allowH2: false,
    connect: { timeout: LIMITS.connectTimeoutMs },
    keepAliveTimeout: LIMITS.keepAliveMs,
    keepAliveMaxTimeout: LIMITS.keepAliveMaxMs,
    headersTimeout: headersTimeoutMs,
    bodyTimeout: idleTimeoutMs,
  });
}
