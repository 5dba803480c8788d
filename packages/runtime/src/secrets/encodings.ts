/** Forms in which a value travels without meaning to hide: where it stands in JSON, in a header, in a URL, in a dump. */

/** Below this a part of an encoded value could be an ordinary word. */
const SHORTEST_FORM = 8;

/** As it stands, as JSON (once and twice) and HTML escape it, in base64, hex and URL encoding. Longest first, each once. */
export function encodingsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const json = escapedJson(value);
  const url = percentEncoded(value);
  const forms = [
    value,
    json,
    escapedJson(json),
    escapedHtml(value),
    ...base64Of(bytes),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    encodeURIComponent(value.toWellFormed()),
    url,
    url.replaceAll(/%[0-9A-F]{2}/g, (hex) => hex.toLowerCase()),
    url.replaceAll('%20', '+'),
  ];
  return [...new Set(forms)].filter((form) => form.length >= SHORTEST_FORM).toSorted((a, b) => b.length - a.length);
}

const escapedJson = (text: string): string => JSON.stringify(text).slice(1, -1);

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapedHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => HTML[sign] ?? sign);

/** Everything but RFC 3986's unreserved characters as `%XX`. */
const percentEncoded = (text: string): string =>
  encodeURIComponent(text.toWellFormed()).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** Alone, with and without padding, and what of it stays the same at each place in a longer encoded text. */
function base64Of(bytes: Buffer): string[] {
  const alone = bytes.toString('base64');
  const forms = [alone, alone.replace(/=+$/, '')];
  for (const ahead of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(ahead), bytes]).toString('base64');
    // Six bits a character: those that hold bits of a neighbour are not this value's alone.
    const first = Math.ceil((ahead * 8) / 6);
    const last = Math.floor(((ahead + bytes.length) * 8) / 6);
    forms.push(encoded.slice(first, last));
  }
  return forms.flatMap((form) => [form, form.replaceAll('+', '-').replaceAll('/', '_')]);
}
