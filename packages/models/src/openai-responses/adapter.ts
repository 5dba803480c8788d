/** OpenAI's Responses API. */
import type { Clock, Delta, GenerateRequest, ModelAdapter } from '@perdure/runtime/ports';
import { openConnection } from '../http/connection.ts';
import { createRefusals, type Judge, unsupported } from '../http/refusals.ts';
import type { Endpoint } from '../openai-chat/endpoint.ts';
import type { Provider } from '../provider.ts';
import { createBackground } from './background.ts';
import { COMPACT_PATH, compactionReader, renderCompaction } from './compaction.ts';
import { judge, refusesSummaries } from './errors.ts';
import { ResponseReader } from './reader.ts';
import { renderBody, renderItem, retrievalQuery, type Manner } from './request.ts';

/**
 * The adapter of one endpoint, with its own connections. `name` is the provider of the models' ids. One request a call
 * and no retries: those are the engine's.
 *
 * OpenAI documents no idempotency key for this API, so a repeated request is paid for again, and the engine charges it
 * so; a background response is asked for again by its id instead. The key goes along as `X-Client-Request-Id` (API
 * reference, "Debugging requests"), by which the provider can find a request that got no answer.
 *
 * Summaries of the reasoning are asked for until the provider refuses them to this organisation: that call fails with
 * `retry: 'now'`, and from then on they are left out.
 */
export function createOpenAiResponses(name: string, endpoint: Endpoint, clock: Clock): Provider {
  let summaries = true;
  const judged: Judge = (error) => {
    if (!refusesSummaries(error)) return judge(error);
    summaries = false;
    return { code: 'invalid_request', retry: 'now' };
  };
  const refusals = createRefusals(endpoint, judged, clock);
  const connection = openConnection(endpoint, refusals);
  const background = createBackground(connection);
  const mannerOf = (request: GenerateRequest): Manner => ({
    provider: name,
    background: request.params.background === true,
    summaries,
    cacheKey: endpoint.quirks.cacheKey === true,
  });
  const adapter: ModelAdapter = {
    render: renderItem,
    body: (request) => renderBody(request, mannerOf(request)),
    generate: (request, context) => {
      // Where nobody would remember its id, an answer in the background is of no use.
      const manner = { ...mannerOf(request), ...(context.accepted === undefined ? { background: false } : {}) };
      const body = Buffer.from(renderBody(request, manner));
      const bound = { inputBytes: body.length, maxOutputTokens: request.params.maxOutputTokens };
      const reading = { bound, refusals };
      if (request.resume !== undefined) {
        return background.resume(request.resume, retrievalQuery(request.model, name), reading, context);
      }
      const headers = { 'x-client-request-id': `${request.key}-${request.attempt}` };
      const post = { method: 'POST', path: '/responses', headers, body } as const;
      if (manner.background) return background.begin(post, reading, context);
      const told = { delta: (delta: Delta) => context.delta(delta), id: () => undefined };
      return connection.send(post, new ResponseReader(reading, told), context);
    },
    compact: async (request, context) => {
      const body = Buffer.from(renderCompaction(request, mannerOf(request)));
      const bound = { inputBytes: body.length, maxOutputTokens: request.params.maxOutputTokens };
      const headers = { accept: 'application/json', 'x-client-request-id': `${request.key}-${request.attempt}` };
      const post = { method: 'POST', path: COMPACT_PATH, headers, body } as const;
      return unsupported(await connection.send(post, compactionReader(bound), context));
    },
  };
  return { adapter, close: () => connection.close() };
}
