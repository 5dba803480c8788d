import type { GenerateOutcome, Retry, Spent } from '@perdure/runtime/ports';
import { LIMITS } from './limits.ts';

export type Failed = Extract<GenerateOutcome, { type: 'failed' }>;

/**
 * What can go wrong with a model call; callers switch on these, never on `detail`.
 *
 * `auth` key missing or refused · `quota` the account has no money left · `model_not_found` · `context_length` the
 * request does not fit the window · `invalid_request` any other refusal of what was sent · `rate_limited` ·
 * `overloaded` the provider's own trouble (408, 409, 5xx) · `connection` no answer began · `timeout` the answer did not
 * begin, or stalled · `stream_cut` it ended before its terminal event · `stream_error` the provider said so in the
 * middle of it · `malformed` not what the protocol promises · `too_large` above a bound of `limits.ts` · `response_gone`
 * what was asked for again is not there any more · `unsupported` the provider does not compact, or not this · `aborted` ·
 * `demo` asked for.
 */
export type FailureCode =
  | 'auth'
  | 'quota'
  | 'model_not_found'
  | 'context_length'
  | 'invalid_request'
  | 'rate_limited'
  | 'overloaded'
  | 'connection'
  | 'timeout'
  | 'stream_cut'
  | 'stream_error'
  | 'malformed'
  | 'too_large'
  | 'response_gone'
  | 'unsupported'
  | 'aborted'
  | 'demo';

export const NOTHING: Spent = { kind: 'none' };
/** Nobody can say what was billed: charged at what was reserved. */
export const BOUND: Spent = { kind: 'bound' };

export function failed(code: FailureCode, detail: string, retry: Retry, spent: Spent): Failed {
  return { type: 'failed', code, detail: detail.slice(0, LIMITS.detailChars), retry, spent };
}

/** What an HTTP status says by itself; the provider's own error code may say more (see openai-chat/errors.ts). */
export function codeOfStatus(status: number): { code: FailureCode; retry: Retry } {
  if (status === 401 || status === 403) return { code: 'auth', retry: 'no' };
  if (status === 404) return { code: 'model_not_found', retry: 'no' };
  if (status === 413) return { code: 'context_length', retry: 'no' };
  if (status === 429) return { code: 'rate_limited', retry: 'now' };
  if (status === 408 || status === 409 || status >= 500) return { code: 'overloaded', retry: 'now' };
  return { code: 'invalid_request', retry: 'no' };
}
