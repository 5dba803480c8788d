/** The connections to one endpoint of a provider, over undici. */
import type { GenerateContext, GenerateOutcome } from '@perdure/runtime/ports';
import { Pool } from 'undici';
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
  const pool = new Pool(endpoint.origin, {
    connections: LIMITS.connectionsPerEndpoint,
    // One request at a time on a connection: an answer is never held up by another one.
    pipelining: 1,
    allowH2: false,
    connect: { timeout: LIMITS.connectTimeoutMs },
    keepAliveTimeout: LIMITS.keepAliveMs,
    keepAliveMaxTimeout: LIMITS.keepAliveMaxMs,
    headersTimeout: endpoint.headersTimeoutMs,
    bodyTimeout: endpoint.idleTimeoutMs,
  });
  const standing = { accept: 'text/event-stream', ...endpoint.headers };
  return {
    send: ({ method, path, headers = {}, body, timeoutMs }, reader, context) => {
      if (context.signal.aborted)
        return Promise.resolve(failed('aborted', 'aborted before it was sent', 'no', NOTHING));
      const exchange = new Exchange(endpoint.origin, reader, refusals, context);
      const type = body === undefined ? {} : { 'content-type': 'application/json' };
      const all = Object.entries({ ...type, ...standing, ...headers }).flat();
      const bounds = timeoutMs === undefined ? {} : { headersTimeout: timeoutMs, bodyTimeout: timeoutMs };
      const request = { method, path: `${endpoint.basePath}${path}`, headers: all, body: body ?? null, ...bounds };
      pool.dispatch(request, exchange);
      return exchange.outcome;
    },
    close: () => pool.destroy(),
  };
}
