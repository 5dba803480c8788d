import type { Usage } from '@perdure/runtime/ports';

/** What nobody counted is charged as: a byte of the request is at least a token, and the output is all it may be. */
export type UsageBound = { inputBytes: number; maxOutputTokens: number };

export function boundOf({ inputBytes, maxOutputTokens }: UsageBound): Usage {
  return { input: inputBytes, cachedInput: 0, cacheWrite: 0, output: maxOutputTokens, reasoning: 0, source: 'bound' };
}

/** A number of tokens as a provider may send it. */
export const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
export const countOf = (value: unknown): number => (isCount(value) ? value : 0);
