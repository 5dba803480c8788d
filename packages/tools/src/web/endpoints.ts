/** Endpoints of searches, as data: what is asked for, and where in the answer the results are. */
import { LIMITS } from '../limits.ts';

export type SearchEndpoint = {
  /** With `{query}`, and `{count}` and `{secret}` where they belong: `https://HOST/search?q={query}&n={count}`. */
  url: string;
  /** `{secret}` stands for the secret: `Bearer {secret}`. */
  headers?: { readonly [name: string]: string };
  /** The name of the secret; its value is put in when the request leaves. */
  secret?: string;
  /** Where the list is in the JSON: `web.results`; '': the answer is the list. */
  results: string;
  /** Of each result; a missing `text` is `description`. */
  fields: { title: string; url: string; text?: string };
};

export type SearchHit = { title: string; url: string; text: string };

export const PRESETS = {
  /** SearXNG, Search API: https://docs.searxng.org/dev/search_api.html */
  searxng: (base: string): SearchEndpoint => ({
    url: `${base.replace(/\/+$/, '')}/search?q={query}&format=json`,
    results: 'results',
    fields: { title: 'title', url: 'url', text: 'content' },
  }),
  /** Brave, Web Search API: https://api-dashboard.search.brave.com/app/documentation/web-search/get-started */
  brave: (secret: string): SearchEndpoint => ({
    url: 'https://api.search.brave.com/res/v1/web/search?q={query}&count={count}&text_decorations=false',
    headers: { 'x-subscription-token': '{secret}' },
    secret,
    results: 'web.results',
    fields: { title: 'title', url: 'url', text: 'description' },
  }),
};

/** Values are filled in in one pass, so that none is looked at for another one's place. */
export function requestOf(
  { url, headers = {} }: SearchEndpoint,
  { query, limit }: { query: string; limit: number },
  secret: string,
): { url: string; headers: { [name: string]: string } } {
  const values: { readonly [name: string]: string } = { query, count: String(limit), secret };
  const fill = (text: string, write: (value: string) => string): string =>
    text.replaceAll(/\{(query|count|secret)\}/g, (_whole, name: string) => write(values[name] ?? ''));
  const sent = Object.entries(headers).map(([name, value]) => [name, fill(value, String)]);
  return {
    url: fill(url, encodeURIComponent),
    headers: { accept: 'application/json', 'user-agent': 'Perdure', ...Object.fromEntries(sent) },
  };
}

/** Null where the answer is no JSON, or has no list there. What has no web address is passed over. */
export function hitsOf({ results, fields }: SearchEndpoint, text: string): SearchHit[] | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  for (const name of results === '' ? [] : results.split('.')) found = memberOf(found, name);
  // An answer without results leaves the list out, with one engine or another.
  if (found === undefined) return [];
  if (!Array.isArray(found)) return null;
  return found.flatMap((each) => hitOf(each, fields) ?? []);
}

/** Null where it has no address of the web. */
export function hitOf(found: unknown, fields: SearchEndpoint['fields']): SearchHit | null {
  const url = URL.parse(wordsOf(memberOf(found, fields.url), LIMITS.urlChars));
  if (url === null || !/^https?:$/.test(url.protocol)) return null;
  const title = wordsOf(memberOf(found, fields.title), LIMITS.titleChars);
  return { title, url: url.href, text: wordsOf(memberOf(found, fields.text ?? 'description'), LIMITS.snippetChars) };
}

export function memberOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as { [name: string]: unknown })[name]
    : undefined;
}

/** One line without tags; no image of Markdown. */
export function wordsOf(value: unknown, chars: number): string {
  if (typeof value !== 'string') return '';
  const words = value
    .slice(0, LIMITS.pageChars)
    .replaceAll(/<[^<>]{0,1000}>/g, '')
    .replaceAll(/\s+/g, ' ')
    .trim();
  return words.slice(0, chars).replaceAll('![', '[');
}
