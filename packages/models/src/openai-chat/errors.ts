/** What the provider's refusals mean: its error codes, its statuses, its wish when to come back. */
import type { Clock, Retry } from '@perdure/runtime/ports';
import { BOUND, codeOfStatus, failed, NOTHING, type Failed, type FailureCode } from '../failures.ts';
import type { Endpoint } from './endpoint.ts';

export type ResponseHeaders = { readonly [name: string]: string | string[] | undefined };
type WireError = { message?: unknown; type?: unknown; code?: unknown };

/** The provider's own error codes (its guide "error codes"); what is not here is judged by its status. */
const CODES: { readonly [code: string]: { code: FailureCode; retry: Retry } | undefined } = {
  invalid_api_key: { code: 'auth', retry: 'no' },
  insufficient_quota: { code: 'quota', retry: 'no' },
  model_not_found: { code: 'model_not_found', retry: 'no' },
  context_length_exceeded: { code: 'context_length', retry: 'no' },
  rate_limit_exceeded: { code: 'rate_limited', retry: 'now' },
};

/** Compatibles say it in words; servers of open models have no code for it. */
const TOO_LONG = /context (?:length|window)|maximum context|prompt is too long|too many (?:input )?tokens/i;

/**
 * An answer with a status that is not a success. A provider bills nothing for a request that it refused; a gateway that
 * gave up waiting (502, 504) does not know what happened behind it.
 */
export function failureOfStatus(
  status: number,
  headers: ResponseHeaders,
  body: string,
  endpoint: Endpoint,
  clock: Clock,
): Failed {
  const error = errorIn(body);
  const { code, retry } = judge(error) ?? codeOfStatus(status);
  const spent = status === 502 || status === 504 ? BOUND : NOTHING;
  const said = code === 'auth' ? `check ${endpoint.keyHint}` : messageOf(error, body, endpoint);
  return failed(code, `${endpoint.origin} answered ${status}: ${said}`, retryOf(retry, headers, clock), spent);
}

/** An error event in the middle of a stream: something was generated, nobody can say how much of it is billed. */
export function failureOfEvent(error: unknown, endpoint: Endpoint): Failed {
  const wire: WireError = typeof error === 'object' && error !== null ? error : { message: error };
  const status = typeof wire.code === 'number' && wire.code >= 400 ? codeOfStatus(wire.code) : null;
  const { code, retry } = judge(wire) ?? status ?? { code: 'stream_error', retry: 'now' };
  return failed(code, `${endpoint.origin} broke off: ${messageOf(wire, '', endpoint)}`, retry, BOUND);
}

function judge(error: WireError | null): { code: FailureCode; retry: Retry } | null {
  if (error === null) return null;
  const known = CODES[String(error.code)];
  if (known !== undefined) return known;
  if (error.type === 'insufficient_quota') return { code: 'quota', retry: 'no' };
  const tooLong = typeof error.message === 'string' && TOO_LONG.test(error.message);
  return tooLong ? { code: 'context_length', retry: 'no' } : null;
}

/** The error object of a body; compatibles wrap it differently or send no JSON at all. */
export function errorIn(body: string): WireError | null {
  try {
    const parsed: unknown = JSON.parse(body);
    if (typeof parsed !== 'object' || parsed === null) return null;
    const { error = parsed } = parsed as { error?: unknown };
    if (typeof error === 'string') return { message: error };
    return typeof error === 'object' && error !== null ? error : null;
  } catch {
    return null;
  }
}

function messageOf(error: WireError | null, body: string, endpoint: Endpoint): string {
  const said = error === null ? body.trim() : typeof error.message === 'string' ? error.message : JSON.stringify(error);
  const text = said === '' ? 'no reason given' : said;
  return endpoint.apiKey === null ? text : text.replaceAll(endpoint.apiKey, '[key]');
}

/**
 * When to try again. `retry-after-ms` and `x-should-retry` are the provider's own headers and are obeyed by its client;
 * `Retry-After` is RFC 9110 §10.2.3: seconds or a date.
 */
export function retryOf(retry: Retry, headers: ResponseHeaders, clock: Clock): Retry {
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
