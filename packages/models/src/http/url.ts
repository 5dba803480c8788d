/** What a provider's base URL looks like, and the ends that are added to it and so must not be in it. */
export type UrlRule = { like: string; added: readonly string[] };

/** Why a base URL will not do; null when it will. */
export function problemOfUrl(baseUrl: string, { like, added }: UrlRule): string | null {
  if (!URL.canParse(baseUrl)) return `'${baseUrl}' is not a URL; it looks like ${like}`;
  const url = new URL(baseUrl);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'the URL begins with https:// or http://';
  if (url.username !== '' || url.password !== '') return 'a URL holds no credentials: use apiKeyEnv or headers';
  if (url.search !== '' || url.hash !== '') return 'the URL ends with its path: no ? and no #';
  const path = basePathOf(url);
  const extra = added.find((end) => path.endsWith(end));
  return extra === undefined ? null : `leave out ${extra}: it is added to the URL`;
}

/** The path of a base URL, without a slash at its end; '' at the root. */
export const basePathOf = (url: URL): string => url.pathname.replace(/\/+$/, '');
