import type { HttpEndpoint } from '../http/connection.ts';
import { basePathOf, problemOfUrl, type UrlRule } from '../http/url.ts';
import { LIMITS } from '../limits.ts';
import { keyMissing } from '../provider.ts';

/** What sets a compatible apart from OpenAI's own API. Nothing set: it behaves as OpenAI documents. */
export type Quirks = {
  /** The field for the maximum output; most compatibles know only the older `max_tokens`. */
  maxTokensField?: 'max_completion_tokens' | 'max_tokens';
  /** It refuses `stream_options`: its usage is then a bound, unless it sends usage unasked. */
  noStreamOptions?: boolean;
  /** It never sends `[DONE]`: the answer ends with a finish reason and a proper end of the stream. */
  noDone?: boolean;
  /** It refuses its own reasoning when that is sent back with the history. */
  dropReasoning?: boolean;
  /** It takes `json_object` in place of a schema. */
  noJsonSchema?: boolean;
  /** It wants `reasoning_content` with each message of its own that has calls, be it empty. */
  reasoningWithCalls?: boolean;
  /** It thinks unless told otherwise, and refuses a forced tool while it does: thinking is switched off for that turn. */
  noForcedThinking?: boolean;
  /** Ids of calls are nine letters and digits: others are sent as such. */
  shortCallIds?: boolean;
  /** It refuses a user's message right after a tool's answer: a word of the assistant goes between them. */
  assistantAfterTool?: boolean;
  /** A call carries the signature of its thought: those of other models say that they have none. */
  signedCalls?: boolean;
  /** It routes by `prompt_cache_key`, and finds more of a session's prompt cached. */
  cacheKey?: boolean;
};

/** An endpoint as configuration names it: models are `NAME/MODEL`. */
export type EndpointRecord = {
  name: string;
  /** With its version, as the official client takes it: `https://host/v1`. */
  baseUrl: string;
  /** The environment variable that holds the key, or the key itself; neither: no key is sent. */
  apiKeyEnv?: string;
  apiKey?: string;
  headers?: { [name: string]: string };
  quirks?: Quirks;
  headersTimeoutMs?: number;
  idleTimeoutMs?: number;
};

export type Endpoint = HttpEndpoint & { name: string; quirks: Quirks };

/** A record of the configuration is wrong: `path` says which member, the message what to do. */
export class ModelConfigError extends Error {
  readonly code = 'invalid_config';
  readonly path: string;
  constructor(path: string, problem: string) {
    super(`${path}: ${problem}`);
    this.path = path;
  }
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const RECORD_KEYS = new Set('name baseUrl apiKeyEnv apiKey headers quirks headersTimeoutMs idleTimeoutMs'.split(' '));
const QUIRK_KEYS = new Set(
  `maxTokensField noStreamOptions noDone dropReasoning noJsonSchema reasoningWithCalls noForcedThinking shortCallIds
  assistantAfterTool signedCalls cacheKey`.split(/\s+/),
);

/** Checks a record whole, so that a wrong one stops the start and not a run. Throws ModelConfigError. */
export function checkEndpoint(record: EndpointRecord, path: string): void {
  knownKeys(record, RECORD_KEYS, path);
  if (!NAME.test(record.name)) {
    throw new ModelConfigError(`${path}.name`, 'lower-case letters, digits, dots and dashes, 64 at most');
  }
  if (record.name === 'demo') throw new ModelConfigError(`${path}.name`, "'demo' is taken by the demo model");
  const problem = problemOfUrl(record.baseUrl, CHAT_URL);
  if (problem !== null) throw new ModelConfigError(`${path}.baseUrl`, problem);
  if (record.apiKey !== undefined && record.apiKeyEnv !== undefined) {
    throw new ModelConfigError(`${path}.apiKey`, 'give the key or the variable that holds it, not both');
  }
  if (record.apiKey?.trim() === '')
    throw new ModelConfigError(`${path}.apiKey`, 'is empty: leave it out, or use apiKeyEnv');
  knownKeys(record.quirks ?? {}, QUIRK_KEYS, `${path}.quirks`);
  for (const name of ['headersTimeoutMs', 'idleTimeoutMs'] as const) {
    const value = record[name];
    if (value !== undefined && !(Number.isInteger(value) && value > 0)) {
      throw new ModelConfigError(`${path}.${name}`, 'a whole number of milliseconds above 0');
    }
  }
}

function knownKeys(record: object, known: ReadonlySet<string>, path: string): void {
  for (const key of Object.keys(record)) {
    if (!known.has(key)) throw new ModelConfigError(`${path}.${key}`, 'there is no such setting');
  }
}

/** With its version, as the official client takes it. */
export const CHAT_URL: UrlRule = { like: 'https://host/v1', added: ['/chat/completions', '/responses'] };

/** A checked record as the adapter uses it, or what is missing in the environment. */
export function openEndpoint(
  record: EndpointRecord,
  env: { readonly [name: string]: string | undefined },
): { ok: true; endpoint: Endpoint } | { ok: false; message: string } {
  const fromEnv = record.apiKeyEnv === undefined ? undefined : env[record.apiKeyEnv]?.trim();
  if (record.apiKeyEnv !== undefined && (fromEnv === undefined || fromEnv === '')) {
    return { ok: false, message: keyMissing(record.name, record.apiKeyEnv) };
  }
  const url = new URL(record.baseUrl);
  const apiKey = record.apiKey ?? fromEnv ?? null;
  const endpoint: Endpoint = {
    name: record.name,
    origin: url.origin,
    basePath: basePathOf(url),
    apiKey,
    keyHint: record.apiKeyEnv ?? `the key of the endpoint ${record.name}`,
    headers: { ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }), ...record.headers },
    quirks: record.quirks ?? {},
    headersTimeoutMs: record.headersTimeoutMs ?? LIMITS.headersTimeoutMs,
    idleTimeoutMs: record.idleTimeoutMs ?? LIMITS.idleTimeoutMs,
  };
  return { ok: true, endpoint };
}
