/**
 * No secret leaves through an entry, a delta, a log line or an error (P13). Registered secrets become
 * `{{secret:NAME}}` and are put back at the last hop; what merely looks like one is blanked for good.
 *  X1 A text is clean as a whole, and so is a stream of it: what may be the beginning of a secret is held back.
 *  X2 A JSON value stays valid JSON: its strings are cleaned one by one.
 *  X3 Every scan is linear in the text, whatever the text is.
 */
import { ConfigError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { Bindings, Place } from './bindings.ts';
import { isBound, refusalOf, SecretRefused } from './bindings.ts';
import { encodingsOf } from './encodings.ts';
import { Forms } from './forms.ts';

/** Shapes of well-known credentials, from their issuers' documentation of key formats. Linear: no nested repeats. */
const SHAPES =
  'sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|AKIA[0-9A-Z]{16}(?![0-9A-Z])|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}';
const ANYWHERE = new RegExp(SHAPES, 'g');
/** `sk-` ends words too, so something else must stand before it; in JSON that may be an escape such as `\n`. */
const TOKENS = new RegExp(`(?<=^|[^A-Za-z0-9]|\\\\[bfnrt])${SHAPES}`, 'g');
/** A cheap first look: no prefix, no work. */
const HINT = /sk-|gh[pousr]_|github_pat_|AKIA|xox|AIza/;
const BLANK = '[redacted]';

const KEY_MARK = 'PRIVATE KEY-----';
const KEY_BEGIN = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----/y;
const KEY_END = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----/y;
/** What a key block consists of, in PEM and where JSON escapes its line ends: all that is cut when its end is missing. */
const KEY_BODY = /[A-Za-z0-9+/=\\\s:,-]*/y;

/** A shorter value would blank ordinary words. */
const SHORTEST_SECRET = 8;

const SECRET_NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/** Who is given a secret: who it is bound to; or nobody (`hidden`): a credential of this process, which is to appear nowhere. */
export type SecretUse = Bindings | 'hidden';
type Known = { value: string; use: SecretUse };

export class Redactor {
  /** What each name stands for now. */
  readonly #known = new Map<string, Known>();
  /** What it stood for before and stands for now, oldest first: none of it is to appear. */
  readonly #values = new Map<string, string[]>();
  #forms = new Forms();
  /** Names that this process was given values for: those stand, whatever else is set by their names. */
  #given: ReadonlySet<string> = new Set();

  /** `hidden`: credentials of this process. Throws ConfigError `invalid_config` for a name that could not stand in a placeholder. */
  constructor(secrets: Readonly<Record<string, string>> = {}, hidden: Readonly<Record<string, string>> = {}) {
    for (const [name, value] of Object.entries(hidden)) this.register(name, value, 'hidden');
    for (const [name, value] of Object.entries(secrets)) this.register(name, value, {});
    this.#given = new Set([...Object.keys(hidden), ...Object.keys(secrets)]);
  }

  /**
   * From now on the value is a secret by this name: everything that is made clean later is clean of it, streams under way
   * included. What the name stood for before stays out of sight, and what this process was given under it goes on standing
   * for it. Throws ConfigError `invalid_config`.
   */
  register(name: string, value: string, use: SecretUse): void {
    if (!SECRET_NAME.test(name))
      throw new ConfigError('invalid_config', `secrets.${name}`, 'a name of a secret has letters, digits, _, . and -');
    if (!this.#given.has(name)) this.#known.set(name, { value, use });
    this.#hide(name, value);
  }

  /** Nobody is given it any more; its values stay out of sight. */
  forget(name: string): void {
    if (!this.#given.has(name)) this.#known.delete(name);
  }

  #hide(name: string, value: string): void {
    const values = this.#values.get(name) ?? [];
    if (values.includes(value)) return;
    this.#values.set(name, [...values, value].slice(-LIMITS.secretValues));
    if (values.length < LIMITS.secretValues) {
      addForms(this.#forms, name, value);
      return;
    }
    this.#forms = new Forms();
    for (const [each, all] of this.#values) for (const one of all) addForms(this.#forms, each, one);
  }

  /** Names of values that are too short to be told from ordinary words: they are not protected. */
  get unprotected(): readonly string[] {
    return [...this.#known].flatMap(([name, { value }]) => (value.length < SHORTEST_SECRET ? [name] : []));
  }

  /** The text without secrets. */
  text(text: string): string {
    let clean = '';
    let done = 0;
    for (const { at, end, name } of this.#forms.in(text)) {
      clean += text.slice(done, at) + placeholderOf(name);
      done = end;
    }
    clean += text.slice(done);
    if (clean.includes(KEY_MARK)) clean = withoutKeys(clean);
    return HINT.test(clean) ? clean.replace(TOKENS, BLANK) : clean;
  }

  /** The name of a secret that is in the text, in any of its encodings; null: none that is known. */
  known(text: string): string | null {
    return this.#forms.in(text)[0]?.name ?? null;
  }

  /** The text of a JSON value in which nothing has to be cleaned; null: something may have to be. */
  cleanJson(value: object): string | null {
    const text = JSON.stringify(value);
    return this.#isSuspect(text) ? null : text;
  }

  /** A JSON value with each of its strings and names clean; the value itself where nothing was found. */
  value<T>(value: T): T {
    if (typeof value === 'object' && value !== null && this.cleanJson(value) !== null) return value;
    return mapStrings(value, (text) => this.text(text)) as T;
  }

  /** The text of a JSON value, with each of its strings and names clean. */
  json(value: unknown): string {
    const text = JSON.stringify(value);
    return this.#isSuspect(text) ? JSON.stringify(mapStrings(value, (part) => this.text(part))) : text;
  }

  /** Whether anything in this JSON text may have to be cleaned: most has nothing, and one look at the whole is enough. */
  #isSuspect(text: string): boolean {
    return text.includes(KEY_MARK) || HINT.test(text) || this.#forms.isIn(text);
  }

  /**
   * The last hop: placeholders of secrets that are bound to where they would go become their values, in every string of a
   * JSON value; those of what is bound to nothing stay as they are. Throws SecretRefused where one is bound elsewhere.
   */
  restore(value: unknown, place: Place): unknown {
    return mapStrings(value, (text) =>
      text.includes('{{secret:')
        ? text.replace(PLACEHOLDER, (placeholder, name: string) => this.#bound(name, place) ?? placeholder)
        : text,
    );
  }

  #bound(name: string, place: Place): string | undefined {
    const use = this.#known.get(name)?.use;
    return use === undefined || use === 'hidden' || !isBound(use) ? undefined : this.secret(name, place);
  }

  /** The value for code that asks by name; undefined: there is none for anybody. Throws SecretRefused where it is bound elsewhere. */
  secret(name: string, place: Place): string | undefined {
    const known = this.#known.get(name);
    if (known === undefined || known.use === 'hidden') return undefined;
    const refusal = refusalOf(name, known.use, place);
    if (refusal !== null) throw new SecretRefused(name, refusal);
    return known.value;
  }

  /** A stream that holds back what may be the beginning of a secret. */
  stream(): StreamRedactor {
    return new StreamRedactor(this);
  }

  /**
   * How much of the beginning of `text` can be let go: no registered secret, token or key block that is in it, or may
   * only have begun at its end, reaches over that place.
   */
  settled(text: string): number {
    let end = Math.min(this.#forms.open(text), openToken(text), openKeyLine(text));
    const stretches = this.#forms.stretches(text);
    for (let before = -1; before !== end;) {
      before = end;
      end = tokenOver(text, keyOver(text, end));
      const last = stretches.findLast(({ at }) => at < end);
      if (last !== undefined && last.end > end) end = last.at;
    }
    return end;
  }
}

/** The forms of one value, and how each stands in the text of a JSON value. */
function addForms(forms: Forms, name: string, value: string): void {
  if (value.length < SHORTEST_SECRET) return;
  const texts = encodingsOf(value);
  const known = new Set(texts);
  const escaped = texts.map((text) => JSON.stringify(text).slice(1, -1)).filter((text) => !known.has(text));
  forms.add(name, texts, escaped);
}

const PLACEHOLDER = /\{\{secret:([^{}]+)\}\}/g;
const placeholderOf = (name: string): string => `{{secret:${name}}}`;

/** Maps strings and names at any depth; what has nothing to change is returned as it is. */
function mapStrings(value: unknown, map: (text: string) => string): unknown {
  if (typeof value === 'string') return map(value);
  if (Array.isArray(value)) {
    const mapped = value.map((item) => mapStrings(item, map));
    return mapped.some((item, index) => item !== value[index]) ? mapped : value;
  }
  if (typeof value !== 'object' || value === null) return value;
  let changed = false;
  const members = Object.entries(value).map(([name, member]): [string, unknown] => {
    const mapped: [string, unknown] = [map(name), mapStrings(member, map)];
    changed ||= mapped[0] !== name || mapped[1] !== member;
    return mapped;
  });
  // Defines its members: a name like `__proto__` stays an ordinary one.
  return changed ? Object.fromEntries(members) : value;
}

function withoutKeys(text: string): string {
  let clean = '';
  let at = 0;
  for (let dashes = text.indexOf('-----BEGIN '); dashes >= 0; dashes = text.indexOf('-----BEGIN ', at)) {
    const body = matchEnd(KEY_BEGIN, text, dashes);
    if (body < 0) {
      clean += text.slice(at, dashes + 5);
      at = dashes + 5;
      continue;
    }
    const end = keyEnd(text, body);
    clean += text.slice(at, dashes) + BLANK;
    at = end ?? matchEnd(KEY_BODY, text, body);
  }
  return clean + text.slice(at);
}

/** Where the block whose body begins at `body` is over; null: its end is not there. */
function keyEnd(text: string, body: number): number | null {
  for (let dashes = text.indexOf('-----', body); dashes >= 0; dashes = text.indexOf('-----', dashes + 1)) {
    const end = matchEnd(KEY_END, text, dashes);
    if (end >= 0) return end;
    // Another block begins: this one was cut.
    if (text.startsWith('-----BEGIN ', dashes)) return null;
  }
  return null;
}

function matchEnd(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : -1;
}

const isTokenCharacter = (code: number): boolean =>
  (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 45 || code === 95;

const TOKEN_BODY = /[A-Za-z0-9_-]*/y;
/** A longer run of token characters is not held back whole. */
const HELD_TOKEN_CHARS = 512;
/** As much of it is: what is not yet recognised as a known credential is shorter. */
const HELD_PREFIX_CHARS = 64;

/** From where on the end of the text may be a credential that goes on. */
function openToken(text: string): number {
  const start = runStart(text, text.length);
  return text.length - start <= HELD_TOKEN_CHARS ? start : text.length - HELD_PREFIX_CHARS;
}

/** Where the run of token characters begins that ends at `end`; an escape's backslash belongs to it. */
function runStart(text: string, end: number): number {
  let start = end;
  while (start > 0 && isTokenCharacter(text.charCodeAt(start - 1))) start -= 1;
  return text.charAt(start - 1) === '\\' ? start - 1 : start;
}

/** Where the run begins that has a credential which reaches over `end` (or that one, in a long run); else `end`. */
function tokenOver(text: string, end: number): number {
  const start = runStart(text, end);
  if (start === end) return end;
  const run = text.slice(start, matchEnd(TOKEN_BODY, text, end));
  if (run.length === end - start || !HINT.test(run)) return end;
  // What is blanked in a run depends on all of it: one that is not too long goes whole.
  if (end - start <= HELD_TOKEN_CHARS) return start;
  for (const found of run.matchAll(ANYWHERE)) {
    const at = start + found.index;
    if (at < end && at + found[0].length > end) return at;
  }
  return end;
}

/** The beginning of a key block's first line, as far as it goes. */
const KEY_BEGUN = /-----(?:B|BE|BEG|BEGI|BEGIN|BEGIN [A-Z0-9 ]{0,52}-{0,5})$/;
const KEY_LINE_CHARS = 80;

/** Where the end of the text may be the first line of a key block that goes on; else the text's length. */
function openKeyLine(text: string): number {
  const tail = Math.max(0, text.length - KEY_LINE_CHARS);
  const begun = text.slice(tail).search(KEY_BEGUN);
  return begun < 0 ? text.length : tail + begun;
}

/** Where the key block begins that reaches over `end`, or whose end has not come; else `end`. */
function keyOver(text: string, end: number): number {
  if (!text.includes(KEY_MARK)) return end;
  for (let dashes = text.indexOf('-----BEGIN '); dashes >= 0 && dashes < end;) {
    const body = matchEnd(KEY_BEGIN, text, dashes);
    const over = body < 0 ? dashes + 5 : keyEnd(text, body);
    if (over === null || (body >= 0 && over > end)) return dashes;
    dashes = text.indexOf('-----BEGIN ', over);
  }
  return end;
}

/** A private key block is held back whole, up to this: more than a 16,384-bit key has. */
const HELD_KEY_CHARS = 16_384;

/** What a stream has let go of is clean, and says what `text` would say of the whole (X1). */
export class StreamRedactor {
  readonly #redactor: Redactor;
  #held = '';
  /** What goes on after it was blanked is dropped, up to the first character that cannot belong to it. */
  #dropping: RegExp | null = null;

  constructor(redactor: Redactor) {
    this.#redactor = redactor;
  }

  /** What may be shown so far. */
  push(text: string): string {
    const pending = this.#held + this.#dropped(text);
    const end = this.#redactor.settled(pending);
    const held = pending.slice(end);
    if (held.length > HELD_KEY_CHARS && held.startsWith('-----BEGIN ')) return this.#cut(pending, KEY_BODY);
    if (held.length > HELD_TOKEN_CHARS && endsInToken(held)) return this.#cut(pending, TOKEN_BODY);
    this.#held = held;
    return this.#redactor.text(pending.slice(0, end));
  }

  /** It is a secret already, however it goes on. */
  #cut(pending: string, body: RegExp): string {
    this.#held = '';
    this.#dropping = body;
    return this.#redactor.text(pending);
  }

  #dropped(text: string): string {
    if (this.#dropping === null) return text;
    const rest = text.slice(matchEnd(this.#dropping, text, 0));
    if (rest !== '') this.#dropping = null;
    return rest;
  }

  end(): string {
    const rest = this.#redactor.text(this.#held);
    this.#held = '';
    return rest;
  }
}

function endsInToken(text: string): boolean {
  for (const found of text.matchAll(TOKENS)) if (found.index + found[0].length === text.length) return true;
  return false;
}
