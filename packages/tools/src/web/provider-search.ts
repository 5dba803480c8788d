/**
 * Searches by a model provider's own search, as data: one request to one of its models, which may search once. The query
 * is a call like any other before it leaves: ruled on, approved, recorded; what comes back is a stranger's words.
 */
import { LIMITS } from '../limits.ts';
import type { SearchHit } from './endpoints.ts';
import { hitOf, memberOf, wordsOf } from './endpoints.ts';

export type ProviderSearch = {
  url: string;
  headers: { readonly [name: string]: string };
  /** Name of the secret where nobody says another one. */
  secret: string;
  body(model: string, query: string): object;
  /** Null where it did not search; the code of what stopped the search. */
  read(answer: unknown): { text: string; hits: SearchHit[]; searches: number } | { failed: string } | null;
  /** Nano-USD for one search, besides the tokens of its model. */
  nanoUsd: number;
};

const TASK =
  'Search the web once for this, and say in a few sentences what the results say, with no advice of your own:';

export const PROVIDERS: { readonly [name in 'openai' | 'anthropic']: ProviderSearch } = {
  /** OpenAI, guide "Web search". List price in March 2026: $10 for 1,000 calls. */
  openai: {
    url: 'https://api.openai.com/v1/responses',
    headers: { authorization: 'Bearer {secret}' },
    secret: 'OPENAI_API_KEY',
    nanoUsd: 10_000_000,
    body: (model, query) => ({
      model,
      input: `${TASK} ${query}`,
      tools: [{ type: 'web_search', search_context_size: 'low' }],
      tool_choice: 'required',
      max_tool_calls: 1,
      max_output_tokens: LIMITS.searchTokens,
      include: ['web_search_call.action.sources'],
      store: false,
    }),
    read(answer) {
      const output = listOf(memberOf(answer, 'output'));
      const calls = output.filter((item) => memberOf(item, 'type') === 'web_search_call');
      if (calls.length === 0) return null;
      const parts = output.flatMap((item) =>
        memberOf(item, 'type') === 'message' ? listOf(memberOf(item, 'content')) : [],
      );
      const cited = parts.flatMap((part) => listOf(memberOf(part, 'annotations')));
      const sources = calls.flatMap((call) => listOf(memberOf(memberOf(call, 'action'), 'sources')));
      const text = parts.map((part) => wordsOf(memberOf(part, 'text'), LIMITS.searchTextChars)).join('\n');
      return { text: text.trim(), hits: hitsIn([...cited, ...sources]), searches: calls.length };
    },
  },
  /** Anthropic, "Web search tool". List price in March 2026: $10 for 1,000 searches. */
  anthropic: {
    url: 'https://api.anthropic.com/v1/messages',
    headers: { 'x-api-key': '{secret}', 'anthropic-version': '2023-06-01' },
    secret: 'ANTHROPIC_API_KEY',
    nanoUsd: 10_000_000,
    body: (model, query) => ({
      model,
      max_tokens: LIMITS.searchTokens,
      tools: [{ type: 'web_search_20250305', name: 'web_search', max_uses: 1 }],
      messages: [{ role: 'user', content: `${TASK} ${query}` }],
    }),
    read(answer) {
      const blocks = listOf(memberOf(answer, 'content'));
      const results = blocks.filter((block) => memberOf(block, 'type') === 'web_search_tool_result');
      if (results.length === 0) return null;
      const failed = results.map((block) => memberOf(memberOf(block, 'content'), 'error_code'))[0];
      if (typeof failed === 'string') return { failed: wordsOf(failed, LIMITS.titleChars) };
      const text = blocks.map((block) => (memberOf(block, 'type') === 'text' ? memberOf(block, 'text') : ''));
      const words = text.map((each) => wordsOf(each, LIMITS.searchTextChars)).filter((each) => each !== '');
      const hits = hitsIn(results.flatMap((block) => listOf(memberOf(block, 'content'))));
      return { text: words.join(' '), hits, searches: results.length };
    },
  },
};

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

/** Each address once, with the first title that it came with. */
function hitsIn(found: readonly unknown[]): SearchHit[] {
  const hits = new Map<string, SearchHit>();
  for (const each of found) {
    const hit = hitOf(each, { title: 'title', url: 'url' });
    if (hit !== null && (hits.get(hit.url)?.title ?? '') === '') hits.set(hit.url, { ...hit, title: hit.title });
  }
  return [...hits.values()];
}
