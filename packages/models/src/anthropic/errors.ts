/** What the provider's error types mean (its page "Errors"; `error.details.error_code` as its client's types list them). */
import { saysTooLong, type Verdict, type WireError } from '../http/refusals.ts';

const TYPES: { readonly [type: string]: Verdict | undefined } = {
  authentication_error: { code: 'auth', retry: 'no' },
  permission_error: { code: 'auth', retry: 'no' },
  billing_error: { code: 'quota', retry: 'no' },
  not_found_error: { code: 'model_not_found', retry: 'no' },
  request_too_large: { code: 'context_length', retry: 'no' },
  rate_limit_error: { code: 'rate_limited', retry: 'now' },
  timeout_error: { code: 'timeout', retry: 'now' },
  api_error: { code: 'overloaded', retry: 'now' },
  overloaded_error: { code: 'overloaded', retry: 'now' },
};

/** No waiting helps against these, though they come with the status of a rate limit. */
const SPENT = new Set(['contract_spend_limit_reached', 'enforced_spend_limit_reached']);
/** Words for what has no code: the prompt, or the prompt with the output it asks for, is above the window. */
const OVER_WINDOW = /exceeds? (?:the )?context (?:limit|window)/i;
const NO_CREDIT = /credit balance is too low/i;

export function judge(error: WireError & { details?: unknown }): Verdict | null {
  const { message, details } = error;
  const code = typeof details === 'object' && details !== null && 'error_code' in details ? details.error_code : null;
  const words = typeof message === 'string' ? message : '';
  if (SPENT.has(String(code)) || NO_CREDIT.test(words)) return { code: 'quota', retry: 'no' };
  if (saysTooLong(error) || OVER_WINDOW.test(words)) return { code: 'context_length', retry: 'no' };
  return TYPES[String(error.type)] ?? null;
}
