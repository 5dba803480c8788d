/** OpenAI Chat Completions and its compatibles, over undici. */
import type { Clock, GenerateOutcome, ModelAdapter } from '@perdure/runtime/ports';
import { Pool } from 'undici';
import { failed, NOTHING } from '../failures.ts';
import { LIMITS } from '../limits.ts';
import type { Endpoint } from './endpoint.ts';
import { Exchange } from './exchange.ts';
import { renderBody, renderItem } from './request.ts';

export type OpenAiChat = { adapter: ModelAdapter; close(): Promise<void> };

/**
 * The adapter of one endpoint, with its own connections. One request a call and no retries: those are the engine's.
 *
 * OpenAI documents no idempotency key for this API, so a repeated request is paid for again, and the engine charges it
 * so. The key goes along as `X-Client-Request-Id` (API reference, "Debugging requests"), by which the provider can find
 * a request that got no answer.
 */
export function createOpenAiChat(endpoint: Endpoint, clock: Clock): OpenAiChat {
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
  const headers = headersOf(endpoint);
  const adapter: ModelAdapter = {
    render: (item, model) => renderItem(item, model, endpoint.quirks),
    body: (request) => renderBody(request, endpoint),
    generate: (request, context): Promise<GenerateOutcome> => {
      if (context.signal.aborted)
        return Promise.resolve(failed('aborted', 'aborted before it was sent', 'no', NOTHING));
      const body = Buffer.from(renderBody(request, endpoint));
      const bound = { inputBytes: body.length, maxOutputTokens: request.params.maxOutputTokens };
      const exchange = new Exchange(endpoint, request.key, bound, context, clock);
      const id = ['x-client-request-id', `${request.key}-${request.attempt}`];
      pool.dispatch({ method: 'POST', path: endpoint.path, headers: [...headers, ...id], body }, exchange);
      return exchange.outcome;
    },
  };
  return { adapter, close: () => pool.destroy() };
}

function headersOf(endpoint: Endpoint): string[] {
  const own = { 'content-type': 'application/json', accept: 'text/event-stream' };
  const auth = endpoint.apiKey === null ? {} : { authorization: `Bearer ${endpoint.apiKey}` };
  return Object.entries({ ...own, ...auth, ...endpoint.headers }).flat();
}
