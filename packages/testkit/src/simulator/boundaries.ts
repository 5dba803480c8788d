/**
 * Small scope, all of it: one run with two tools, and at every completion of it a crash, an orderly end, a cancel, a
 * steered message, an interruption, an approval given twice, a fork, or a compaction; then every cancel and every
 * compaction with every crash after it.
 */
import type { Act, Intervention, Plan } from './plan.ts';
import { CHANGING } from './heads.ts';
import { ACTS, noFaults } from './plan.ts';
import type { Ground, Outcome } from './simulate.ts';
import { simulate } from './simulate.ts';

/** Two calls in one turn: of every class, asking and not, parked and not. */
export const SCENARIOS: readonly (readonly [string, string])[] = [
  ['fire', 'look'],
  ['wire', 'pay'],
  ['wipe', 'post'],
  ['ask', 'nap'],
  ['job', 'order'],
  ['write_file', 'edit_file'],
];

export type Boundaries = { runs: number; failures: { name: string; error: Error }[] };

const planWith = (calls: readonly string[], interventions: readonly Intervention[]): Plan => ({
  nodes: null,
  order: 'first',
  faults: noFaults(),
  // A crash is followed by a restart, and a person looks by then.
  healAtMs: 5_000,
  sessions: [{ limits: {}, ops: [], subscribers: 1 }],
  // Appends take their time and messages none, so that what is done falls into the middle of them.
  storeMs: 5,
  networkMs: 0,
  peopleMs: 6_000,
  effects: 512,
  calls: 1,
  knobs: {},
  approvalTtlMs: null,
  structured: false,
  background: false,
  route: ['scripted'],
  windowTokens: null,
  budgets: null,
  workspaces: calls.some((name) => CHANGING.has(name)) ? { mode: 'read-write', pushEachMs: null } : null,
  grants: null,
  compacts: 'opaque',
  script: { calls, interventions },
});

/** Does one thing at each place: `stride` 1 is every one. */
export async function eachBoundary(ground: Ground, calls: readonly string[], stride = 1): Promise<Boundaries> {
  const { play, result, length } = await enumerate(ground, calls);
  for (const act of ACTS) for (let event = 1; event <= length; event += stride) await play([{ event, act }]);
  return result;
}

/** Does `first` at one place and crashes at a later one, for all pairs of places that the strides leave. */
export async function eachPair(
  ground: Ground,
  calls: readonly string[],
  first: Act,
  strides: { acts: number; crashes: number },
): Promise<Boundaries> {
  const { play, result, length } = await enumerate(ground, calls);
  for (let event = 1; event <= length; event += strides.acts) {
    for (let then = event + 1; then <= length + strides.crashes; then += strides.crashes)
      await play([
        { event, act: first },
        { event: then, act: 'crash' },
      ]);
  }
  return result;
}

type Enumeration = {
  play: (interventions: readonly Intervention[]) => Promise<Outcome>;
  result: Boundaries;
  /** Completions of the run when nothing is done to it. */
  length: number;
};

async function enumerate(ground: Ground, calls: readonly string[]): Promise<Enumeration> {
  const result: Boundaries = { runs: 0, failures: [] };
  const play = async (interventions: readonly Intervention[]): Promise<Outcome> => {
    const outcome = await simulate({ seed: calls.join('+'), ...ground, plan: planWith(calls, interventions) });
    const name = `${calls.join('+')} ${interventions.map(({ event, act }) => `${act}@${event}`).join(' ')}`;
    result.runs += 1;
    if (outcome.failure !== null) result.failures.push({ name, error: outcome.failure });
    return outcome;
  };
  const { restAt } = await play([]);
  return { play, result, length: restAt };
}
