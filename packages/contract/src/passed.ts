/** Why a turn is not with the first model of its run's route, in words. */
import type { Pin } from '@perdure/engine';
import { z } from 'zod';

export const passedSchema = z.strictObject({
  model: z.string(),
  /** The code of its failure, `breaker:` and the code that opened its breaker, or `unaffordable`. */
  code: z.string(),
});
/** A model that was passed over. */
export type Passed = z.output<typeof passedSchema>;

export const routeOf = (pin: Pin): string[] => [pin.model, ...(pin.fallbacks ?? []).map(({ model }) => model)];

/** `codes` are those of the route's first models, in their order. */
export const passedOn = (route: readonly string[], codes: readonly string[]): Passed[] =>
  codes.map((code, n) => ({ model: route[n] ?? '', code }));

const BREAKER = 'breaker:';
const WORDS: { readonly [code: string]: string | undefined } = {
  overloaded: 'is overloaded',
  rate_limited: 'takes no more requests for now',
  connection: 'cannot be reached',
  timeout: 'did not answer in time',
  stream_cut: 'breaks its answers off',
  stream_error: 'breaks its answers off',
  malformed: 'does not speak its protocol',
  auth: 'refuses the key',
  quota: 'has no quota left',
  model_not_found: 'is not offered',
  model_unavailable: 'cannot be asked from here',
  unaffordable: 'costs more than the budget has left',
};

/** As a half sentence: "because A is overloaded"; '' where nothing was passed over. */
export function becauseOf(passed: readonly Passed[]): string {
  const clauses = passed.map(({ model, code }) => {
    const broken = code.startsWith(BREAKER);
    const failure = broken ? code.slice(BREAKER.length) : code;
    return `${model} ${WORDS[failure] ?? `failed (${failure})`}${broken ? ' (its circuit breaker is open)' : ''}`;
  });
  return clauses.length === 0 ? '' : `because ${clauses.join(', and ')}`;
}
