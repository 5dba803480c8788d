/** OpenAI Chat Completions and its compatibles. */
import type { Clock, ModelAdapter } from '@perdure/runtime/ports';
import { openConnection } from '../http/connection.ts';
import { createRefusals } from '../http/refusals.ts';
import type { Provider } from '../provider.ts';
import type { Endpoint } from './endpoint.ts';
import { judge } from './errors.ts';
import { createChatReader } from './reader.ts';
import { renderBody, renderItem } from './request.ts';

/**
 * The adapter of one endpoint, with its own connections. One request a call and no retries: those are the engine's.
 *
 * OpenAI documents no idempotency key for this API, so a repeated request is paid for again, and the engine charges it
 * so. The key goes along as `X-Client-Request-Id` (API reference, "Debugging requests"), by which the provider can find
 * a request that got no answer.
 */
export function createOpenAiChat(endpoint: Endpoint, clock: Clock): Provider {
  const refusals = createRefusals(endpoint, judge, clock);
  const connection = openConnection(endpoint, refusals);
  const adapter: ModelAdapter = {
    render: (item, model) => renderItem(item, model, endpoint.quirks),
    body: (request) => renderBody(request, endpoint),
    generate: (request, context) => {
      const body = Buffer.from(renderBody(request, endpoint));
      const bound = { inputBytes: body.length, maxOutputTokens: request.params.maxOutputTokens };
      const reading = { key: request.key, bound, noDone: endpoint.quirks.noDone === true, refusals };
      const reader = createChatReader(reading, (delta) => context.delta(delta));
      const headers = { 'x-client-request-id': `${request.key}-${request.attempt}` };
      return connection.send({ method: 'POST', path: '/chat/completions', headers, body }, reader, context);
    },
  };
  return { adapter, close: () => connection.close() };
}
