/** What a spec begins with. */
import type { Actor, Pin } from '@perdure/engine';
import { DEFAULT_LIMITS } from '@perdure/engine';

/**
 * `pin`: what the agent is (its limits, its model and price), in place of a plain one; null: no agent is defined here.
 * `by`: who sends. `quick`: only the entries are checked, for sessions too long to compare their whole state at each step.
 */
export type World = { pin?: Partial<Pin> | null; by?: Actor; quick?: boolean };

export const PIN: Pin = {
  agent: 'clerk',
  hash: 'hash-of-the-agent',
  manifest: 'manifest-of-the-agent',
  manifestBytes: 400,
  model: 'demo/one',
  maxOutputTokens: 1_000,
  price: null,
  limits: DEFAULT_LIMITS,
};
