/**
 * Forms in which a value travels without meaning to hide: where it stands in JSON, in a header, in a URL, in a page, in a
 * dump. Twelve families, each of which is found wherever it stands and however a stream cuts it:
 *
 *  E1 as it stands · E2 as JSON escapes it · E3 the same twice · E4 HTML's named entities · E5 HTML's numeric ones
 *  E6 base64, also within a longer text · E7 base64url, the same · E8 hex · E9 upper hex
 *  E10 URL encoding: what must be, all that may be, every byte · E11 every character as `\uXXXX` · E12 backwards
 */

/** Below this a part of an encoded value could be an ordinary word. */
const SHORTEST_FORM = 8;

/** All forms of a value, each also as JSON escapes it. Longest first, each once. */
export function encodingsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const hex = bytes.toString('hex');
  const json = escapedJson(value);
  const forms = [
    value,
    json,
    escapedJson(json),
    escapedHtml(value),
    ...numericHtml(value),
    ...base64Of(bytes),
    hex,
    hex.toUpperCase(),
    ...urlEncoded(value, hex),
    ...escapedUnits(value),
    Array.from(value).toReversed().join(''),
  ];
  // Each may stand in a JSON text: a call's arguments are one, and what a server answers.
  const all = [...forms, ...forms.map(escapedJson)];
  return [...new Set(all)].filter((form) => form.length >= SHORTEST_FORM).toSorted((a, b) => b.length - a.length);
}

const escapedJson = (text: string): string => JSON.stringify(text).slice(1, -1);

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapedHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => HTML[sign] ?? sign);

function numericHtml(text: string): string[] {
  const points = Array.from(text, (sign) => sign.codePointAt(0) ?? 0);
  const hex = points.map((point) => point.toString(16));
  return [
    points.map((point) => `&#${point};`).join(''),
    hex.map((point) => `&#x${point};`).join(''),
    hex.map((point) => `&#x${point.toUpperCase()};`).join(''),
  ];
}

/** JSON for readers that take nothing but ASCII; each of its digits in both cases. */
function escapedUnits(text: string): string[] {
  const units = text.split('').map((unit) => unit.charCodeAt(0).toString(16).padStart(4, '0'));
  return [
    units.map((unit) => `\\u${unit}`).join(''),
    units.map((unit) => `\\u${unit.toUpperCase()}`).join(''),
    // A reader of ASCII escapes what it must, and leaves the rest.
    escapedJson(text).replaceAll(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
  ];
}

function urlEncoded(text: string, hex: string): string[] {
  const url = percentEncoded(text);
  const all = hex.replaceAll(/../g, (byte) => `%${byte}`);
  return [
    encodeURIComponent(text.toWellFormed()),
    url,
    url.replaceAll(/%[0-9A-F]{2}/g, (byte) => byte.toLowerCase()),
    url.replaceAll('%20', '+'),
    all,
    all.toUpperCase(),
  ];
}

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
