/** What turns have used and cost, added up. */
import type { Cost, Usage } from '@perdure/engine';

export const sumCost = (a: Cost, b: Cost): Cost => ({ nanoUsd: a.nanoUsd + b.nanoUsd, price: b.price ?? a.price });

/** So far; the run's end says it exactly, retries included. */
export function sumUsage(a: Usage, b: Usage): Usage {
  return {
    input: a.input + b.input,
    cachedInput: a.cachedInput + b.cachedInput,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
    source: a.source === 'bound' || b.source === 'bound' ? 'bound' : 'provider',
  };
}
