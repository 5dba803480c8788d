/** What the error codes of Chat Completions and its compatibles mean. */
import { saysTooLong, type Verdict, type WireError } from '../http/refusals.ts';

/** The provider's own error codes (its guide "error codes"); what is not here is judged by its status. */
const CODES: { readonly [code: string]: Verdict | undefined } = {
  invalid_api_key: { code: 'auth', retry: 'no' },
  insufficient_quota: { code: 'quota', retry: 'no' },
  model_not_found: { code: 'model_not_found', retry: 'no' },
  context_length_exceeded: { code: 'context_length', retry: 'no' },
  rate_limit_exceeded: { code: 'rate_limited', retry: 'now' },
  // Groq, "tool use": what the model wrote is no call; the next try may be one.
  tool_use_failed: { code: 'malformed', retry: 'now' },
};

/** Servers of open models have no code for a request that is too long: they say it in words. */
export function judge(error: WireError): Verdict | null {
  const known = CODES[String(error.code)];
  if (known !== undefined) return known;
  if (error.type === 'insufficient_quota') return { code: 'quota', retry: 'no' };
  return saysTooLong(error) ? { code: 'context_length', retry: 'no' } : null;
}
