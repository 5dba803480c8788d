import type { Moderator, Timers } from '@perdure/runtime/ports';
import type { Agent } from 'undici';
import { problemOfUrl } from './http/url.ts';
import { LIMITS } from './limits.ts';
import { ModelConfigError } from './openai-chat/endpoint.ts';
import { OPENAI_URL } from './provider.ts';

export type OpenAiModerationOptions = {
  apiKey: string;
  /** Default `omni-moderation-latest`. */
  model?: string;
  /** With its version; default OpenAI's own. */
  baseUrl?: string;
  timers: Timers;
};

type Judged = { results: { flagged: boolean; categories: { [category: string]: boolean } }[] };

/**
 * OpenAI's moderation (https://platform.openai.com/docs/api-reference/moderations): each text is one request, bounded in time
 * and size, and not repeated. Throws ModelConfigError for an address that is none.
 */
export function openAiModeration({
  apiKey,
  model = 'omni-moderation-latest',
  baseUrl = OPENAI_URL,
  timers,
}: OpenAiModerationOptions): Moderator {
  const problem = problemOfUrl(baseUrl, { like: OPENAI_URL, added: ['/moderations'] });
  if (problem !== null) throw new ModelConfigError('baseUrl', problem);
  if (apiKey.trim() === '') throw new ModelConfigError('apiKey', 'is empty');
  let opening: Promise<Agent> | null = null;
  const url = new URL(baseUrl);
  const path = `${url.pathname.replace(/\/+$/, '')}/moderations`;
  return {
    async flagged(text) {
      const limit = new AbortController();
      const timer = timers.set(LIMITS.moderationMs, () => limit.abort(new Error('moderation: no answer in time')));
      try {
        const agent = await (opening ??= openAgent());
        const { statusCode, body } = await agent.request({
          origin: url.origin,
          path,
          method: 'POST',
          headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
          body: JSON.stringify({ model, input: text }),
          signal: limit.signal,
        });
        if (statusCode !== 200) {
          await body.dump();
          throw new Error(`moderation: status ${statusCode}`);
        }
        return categoriesOf(JSON.parse(await whole(body)));
      } finally {
        timer.cancel();
      }
    },
    close: async () => (await opening)?.destroy(),
  };
}

async function openAgent(): Promise<Agent> {
  const { Agent } = await import('undici');
  return new Agent({ connections: LIMITS.moderationConnections });
}

async function whole(body: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > LIMITS.errorBytes) throw new Error('moderation: the answer is too large');
  }
  return Buffer.concat(pieces).toString();
}

function categoriesOf(answer: unknown): string[] {
  if (!isJudged(answer)) throw new Error('moderation: the answer is none');
  return answer.results.flatMap(({ flagged, categories }) => {
    const named = Object.entries(categories).flatMap(([category, is]) => (is === true ? [category] : []));
    return flagged && named.length === 0 ? ['flagged'] : named;
  });
}

const isJudged = (answer: unknown): answer is Judged =>
  typeof answer === 'object' &&
  answer !== null &&
  'results' in answer &&
  Array.isArray(answer.results) &&
  answer.results.length > 0 &&
  answer.results.every(
    (result: unknown) =>
      typeof result === 'object' &&
      result !== null &&
      'flagged' in result &&
      'categories' in result &&
      typeof result.categories === 'object' &&
      result.categories !== null,
  );
