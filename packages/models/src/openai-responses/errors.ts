/** What the error codes of the Responses API mean: those of a request, and those of a response that failed. */
import type { Judge, Verdict, WireError } from '../http/refusals.ts';
import { judge as judgeAsChat } from '../openai-chat/errors.ts';

const OVERLOADED: Verdict = { code: 'overloaded', retry: 'now' };
const INVALID: Verdict = { code: 'invalid_request', retry: 'no' };

/** Codes of a response that failed (reference, "the response object", `error.code`). */
const CODES: { readonly [code: string]: Verdict | undefined } = {
  server_error: OVERLOADED,
  server_is_overloaded: OVERLOADED,
  slow_down: OVERLOADED,
  vector_store_timeout: OVERLOADED,
  invalid_prompt: INVALID,
  data_residency_mismatch: INVALID,
  bio_policy: INVALID,
  misalignment_policy_violation: INVALID,
  failed_to_download_image: INVALID,
  invalid_encrypted_content: INVALID,
};

/** What is wrong with an image has many names. */
const IMAGE = /image/;

export const judge: Judge = (error) => {
  const known = judgeAsChat(error);
  if (known !== null) return known;
  const code = typeof error.code === 'string' ? error.code : '';
  return (Object.hasOwn(CODES, code) ? CODES[code] : undefined) ?? (IMAGE.test(code) ? INVALID : null);
};

/** Summaries of the reasoning are for verified organisations only; everything else of the request may be well. */
export const refusesSummaries = (error: WireError): boolean => error.param === 'reasoning.summary';
