/** What a provider's refusals mean: its error codes, its statuses, its wish when to come back. */
import type { Clock, GenerateOutcome, Retry } from '@perdure/runtime/ports';
import { BOUND, codeOfStatus, failed, NOTHING, type Failed, type FailureCode } from '../failures.ts';
import type { HttpEndpoint } from './connection.ts';
import { objectIn } from './json.ts';

export type ResponseHeaders = { readonly [name: string]: string | string[] | undefined };
/** The error object as providers send it; foreign data. */
export type WireError = { message?: unknown; type?: unknown; code?: unknown; param?: unknown };
export type Verdict = { code: FailureCode; retry: Retry };
/** What the provider's own codes and words say; null: the HTTP status decides. */
export type Judge = (error: WireError) => Verdict | null;

export type Refusals = {
  /**
   * An answer with a status that is not a success. A provider bills nothing for a request that it refused; a gateway
   * that gave up waiting (502, 504) does not know what happened behind it.
   */
  ofStatus(status: number, headers: ResponseHeaders, body: string): Failed;
  /** An error in the middle of a stream: something was generated, nobody can say how much of it is billed. */
  ofEvent(error: unknown): Failed;
};

/** The refusals of one endpoint. The key it was asked with is in no detail. */
export function createRefusals(endpoint: HttpEndpoint, judge: Judge, clock: Clock): Refusals {
  const messageOf = (error: WireError | null, body: string): string => {
    const said =
      error === null ? body.trim() : typeof error.message === 'string' ? error.message : JSON.stringify(error);
    const text = said === '' ? 'no reason given' : said;
    return endpoint.apiKey === null ? text : text.replaceAll(endpoint.apiKey, '[key]');
  };
  return {
    ofStatus: (status, headers, body) => {
      const error = errorIn(body);
      const { code, retry } = (error === null ? null : judge(error)) ?? codeOfStatus(status);
      const spent = status === 502 || status === 504 ? BOUND : NOTHING;
      const said = code === 'auth' ? `check ${endpoint.keyHint}` : messageOf(error, body);
      const id = first(headers['request-id'] ?? headers['x-request-id']);
      const named = id === '' ? '' : ` (request ${id})`;
      const detail = `${endpoint.origin} answered ${status}${named}: ${said}`;
      return failed(code, detail, retryOf(retry, headers, clock), spent);
    },
    ofEvent: (error) => {
      const wire: WireError = typeof error === 'object' && error !== null ? error : { message: error };
      const status = typeof wire.code === 'number' && wire.code >= 400 ? codeOfStatus(wire.code) : null;
      const { code, retry } = judge(wire) ?? status ?? { code: 'stream_error', retry: 'now' };
      return failed(code, `${endpoint.origin} broke off: ${messageOf(wire, '')}`, retry, BOUND);
    },
  };
}

/** A place that does not compact, a model that is not compacted for, a conversation that it does not take. */
const UNSUPPORTED: ReadonlySet<string> = new Set<FailureCode>(['model_not_found', 'invalid_request', 'malformed']);

/** What becomes of a compaction that its provider does not make: the same would be refused again. */
export const unsupported = (outcome: GenerateOutcome): GenerateOutcome =>
  outcome.type === 'failed' && UNSUPPORTED.has(outcome.code)
    ? { ...outcome, code: 'unsupported' satisfies FailureCode, retry: 'no' }
    : outcome;

/** Providers say it in words where they have no code for it. */
const TOO_LONG = /context (?:length|window)|maximum context|prompt is too long|too many (?:input )?tokens/i;

/** The request does not fit the model's window, by the words of the error. */
export const saysTooLong = (error: WireError): boolean =>
  typeof error.message === 'string' && TOO_LONG.test(error.message);

/** The error object of a body; compatibles wrap it differently or send no JSON at all. */
export function errorIn(body: string): WireError | null {
  const parsed = objectIn(body);
  if (parsed === null) return null;
  const { error = parsed } = parsed as { error?: unknown };
  if (typeof error === 'string') return { message: error };
  return typeof error === 'object' && error !== null ? error : null;
}

/**
 * When to try again. `retry-after-ms` and `x-should-retry` are headers of OpenAI and of Anthropic that their own
 * clients obey; `Retry-After` is RFC 9110 §10.2.3: seconds or a date.
 */
function retryOf(retry: Retry, headers: ResponseHeaders, clock: Clock): Retry {
  const should = headers['x-should-retry'];
  if (should === 'false') return 'no';
  if (retry === 'no' && should !== 'true') return 'no';
  const afterMs = waitOf(headers, clock);
  return afterMs === null || afterMs <= 0 ? 'now' : { afterMs };
}

function waitOf(headers: ResponseHeaders, clock: Clock): number | null {
  const ms = first(headers['retry-after-ms']);
  if (/^\d+(\.\d+)?$/.test(ms)) return Math.ceil(Number(ms));
  const after = first(headers['retry-after']);
  if (/^\d+(\.\d+)?$/.test(after)) return Math.ceil(Number(after) * 1_000);
  const date = Date.parse(after);
  return Number.isNaN(date) ? null : date - clock.now();
}

const first = (value: string | string[] | undefined): string => (Array.isArray(value) ? value[0] : value)?.trim() ?? '';
