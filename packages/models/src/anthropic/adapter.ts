/** Anthropic's Messages API. */
import type { Clock, ModelAdapter } from '@perdure/runtime/ports';
import { failed, NOTHING } from '../failures.ts';
import { createRefusals, unsupported } from '../http/refusals.ts';
import { openConnection, type HttpEndpoint } from '../http/connection.ts';
import { basePathOf, problemOfUrl, type UrlRule } from '../http/url.ts';
import { LIMITS } from '../limits.ts';
import { ANTHROPIC_URL, keyMissing, variable, type OpenProvider, type Provider } from '../provider.ts';
import { COMPACTION, COMPACTION_BETA, compactionReader, isCompacted } from './compaction.ts';
import { judge } from './errors.ts';
import { createReader } from './reader.ts';
import { renderBody, renderItem } from './request.ts';
import { BINDING_BETA, refusalOf } from './thinking.ts';
import { traitsOf } from './traits.ts';

const URL_RULE: UrlRule = { like: ANTHROPIC_URL, added: ['/v1/messages', '/v1'] };
/** What the pinned official client speaks. */
const VERSION = '2026-10-21';
const NAME = 'anthropic';

/** ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL (without `/v1`), as the official client reads and sends them. */
export const openAnthropic: OpenProvider = (env, clock) => {
  const apiKey = variable(env, 'ANTHROPIC_API_KEY');
  const baseUrl = variable(env, 'ANTHROPIC_BASE_URL') ?? ANTHROPIC_URL;
  const problem = problemOfUrl(baseUrl, URL_RULE);
  if (problem !== null) return { ok: false, message: `ANTHROPIC_BASE_URL: ${problem}` };
  const url = new URL(baseUrl);
  if (apiKey === undefined) {
    return { ok: false, message: keyMissing(NAME, 'ANTHROPIC_API_KEY') };
  }
  const endpoint: HttpEndpoint = {
    origin: url.origin,
    basePath: basePathOf(url),
    apiKey,
    keyHint: 'ANTHROPIC_API_KEY',
    headers: { authorization: `Bearer ${apiKey}`, 'anthropic-version': VERSION },
    headersTimeoutMs: LIMITS.headersTimeoutMs,
    idleTimeoutMs: LIMITS.idleTimeoutMs,
  };
  return { ok: true, provider: createAnthropic(endpoint, clock) };
};

/**
 * The adapter of one endpoint, with its own connections. One request a call and no retries: those are the engine's.
 *
 * Anthropic documents no idempotency key for this API (its client sends none), so a repeated request is paid for again,
 * and the engine charges it so. Its own id of a request (`request-id`) is told with a refusal.
 */
export function createAnthropic(endpoint: HttpEndpoint, clock: Clock): Provider {
  const refusals = createRefusals(endpoint, judge, clock);
  const connection = openConnection(endpoint, refusals);
  const adapter: ModelAdapter = {
    render: renderItem,
    body: (request) => renderBody(request, wireModel(request.model)),
    generate: (request, context) => {
      const model = wireModel(request.model);
      const refusal = refusalOf(request, model);
      if (refusal !== null) return Promise.resolve(failed('invalid_request', refusal, 'no', NOTHING));
      const body = Buffer.from(renderBody(request, model));
      const bound = { inputBytes: body.length, maxOutputTokens: request.params.maxOutputTokens };
      const reader = createReader(bound, refusals, (delta) => context.delta(delta));
      const headers = betaHeader(model, isCompacted(request.rendered));
      return connection.send({ method: 'POST', path: MESSAGES_PATH, headers, body }, reader, context);
    },
    compact: async (request, context) => {
      const model = wireModel(request.model);
      const refusal = refusalOf(request, model);
      if (refusal !== null) return failed('unsupported', refusal, 'no', NOTHING);
      const body = Buffer.from(renderBody(request, model, { stream: false, compaction: COMPACTION }));
      const bound = { inputBytes: body.length, maxOutputTokens: request.params.maxOutputTokens };
      const headers = { accept: 'application/json', ...betaHeader(model, true) };
      const post = { method: 'POST', path: MESSAGES_PATH, headers, body } as const;
      return unsupported(await connection.send(post, compactionReader(bound), context));
    },
  };
  return { adapter, close: () => connection.close() };
}

const MESSAGES_PATH = '/v1/messages';

/** What a request asks for that is a beta still. */
function betaHeader(model: string, compacts: boolean): { 'anthropic-beta'?: string } {
  const betas = [...(traitsOf(model).bound ? [BINDING_BETA] : []), ...(compacts ? [COMPACTION_BETA] : [])];
  return betas.length === 0 ? {} : { 'anthropic-beta': betas.join(',') };
}

/** `anthropic/MODEL` as an agent names it → the provider's own name. */
function wireModel(id: string): string {
  const prefix = `${NAME}/`;
  return id.startsWith(prefix) ? id.slice(prefix.length) : id;
}
