/**
 * No secret leaves through an entry, a delta, a log line or an error (P13). Registered secrets become
 * `{{secret:NAME}}` and are put back at the last hop; what merely looks like one is blanked for good.
 */

/** Shapes of well-known credentials, from their issuers' documentation of key formats. Linear: no nested repeats. */
const PATTERNS =
  /\bsk-[A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{22,}|\bAKIA[0-9A-Z]{16}\b|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[0-9A-Za-z_-]{35}|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
/** A cheap first look: no prefix, no work. */
const HINT = /sk-|gh[pousr]_|github_pat_|AKIA|xox|AIza|PRIVATE KEY/;
const SHORTEST_SECRET = 8;

export class Redactor {
  readonly #secrets: { name: string; value: string; forms: string[] }[];
  readonly longest: number;

  /** Values shorter than eight characters are refused: they would blank ordinary words. */
  constructor(secrets: Readonly<Record<string, string>> = {}) {
    this.#secrets = Object.entries(secrets)
      .filter(([, value]) => value.length >= SHORTEST_SECRET)
      .map(([name, value]) => ({ name, value, forms: formsOf(value) }))
      .sort((a, b) => b.value.length - a.value.length);
    this.longest = Math.max(0, ...this.#secrets.flatMap(({ forms }) => forms.map((form) => form.length)));
  }

  text(text: string): string {
    let clean = text;
    for (const { name, forms } of this.#secrets) {
      for (const form of forms) if (clean.includes(form)) clean = clean.replaceAll(form, `{{secret:${name}}}`);
    }
    return HINT.test(clean) ? clean.replace(PATTERNS, '[redacted]') : clean;
  }

  /** The last hop: placeholders of registered secrets become their values, in every string of a JSON value. */
  restore(value: unknown): unknown {
    if (typeof value === 'string') return this.#restoreText(value);
    if (Array.isArray(value)) return value.map((item) => this.restore(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, this.restore(member)]));
  }

  #restoreText(text: string): string {
    if (!text.includes('{{secret:')) return text;
    let restored = text;
    for (const { name, value } of this.#secrets) restored = restored.replaceAll(`{{secret:${name}}}`, () => value);
    return restored;
  }

  secret(name: string): string | undefined {
    return this.#secrets.find((secret) => secret.name === name)?.value;
  }

  /** A stream that holds back what may be the beginning of a secret. */
  stream(): StreamRedactor {
    return new StreamRedactor(this);
  }
}

/** As it stands, as JSON escapes it, and as base64 and URL encoding carry it. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const forms = [
    value,
    JSON.stringify(value).slice(1, -1),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    encodeURIComponent(value),
  ];
  return [...new Set(forms)];
}

/** A run without white space longer than this is let go: no known secret is as long. */
const HELD_CHARS = 512;
/** A private key block is held back whole, up to this. */
const KEY_CHARS = 16_384;

/** Holds back the last word (a secret has no white space) and as much as the longest registered secret. */
export class StreamRedactor {
  readonly #redactor: Redactor;
  #held = '';

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  /** What may be shown so far. */
  push(text: string): string {
    const pending = this.#held + text;
    const lastSpace = Math.max(pending.lastIndexOf(' '), pending.lastIndexOf('\n'));
    const key = pending.lastIndexOf('-----BEGIN');
    const word = pending.length - (key >= 0 && pending.length - key < KEY_CHARS ? key : lastSpace + 1);
    const hold = Math.min(pending.length, Math.max(this.#redactor.longest, word > HELD_CHARS && key < 0 ? 0 : word));
    const clean = this.#redactor.text(pending.slice(0, pending.length - hold));
    this.#held = pending.slice(pending.length - hold);
    return clean;
  }

  end(): string {
    const rest = this.#redactor.text(this.#held);
    this.#held = '';
    return rest;
  }
}
