/** Many trials of one simulation: a death at every point, then seeds with several; a failure is made as small as it gets. */
import { Prng } from '../simulator/random.ts';
import { sampleOf } from './sample.ts';
import type { Fault, Simulation, TrialOutcome, TrialPlan } from './simulation.ts';
import type { TrialOptions } from './trial.ts';
import { runTrial } from './trial.ts';

export type SearchOptions = Omit<TrialOptions, 'plan'> & {
  /** Seeds with several faults each, after each fault was tried alone. */
  seeds: number;
  /** The first seed. */
  from: number;
  progress?: (done: number, of: number) => void;
};
export type SearchOutcome = {
  trials: number;
  /** The smallest trial that fails; null: none does. `seed`: which one found it, null where one fault alone did. */
  found: (TrialOutcome & { seed: number | null }) | null;
  messages: readonly string[];
};

const FAULTS_MAX = 4;
const SHRINKS_MAX = 200;

export async function searchTrials(options: SearchOptions): Promise<SearchOutcome> {
  const { seeds, from, simulation, progress = () => {} } = options;
  const messages = simulation.messages ?? messagesOf(options);
  const tryOut = async (plan: TrialPlan): Promise<TrialOutcome> => runTrial({ ...options, plan });
  let trials = 1;
  const calm = await tryOut({ messages, faults: [] });
  if (calm.failure !== null) return { trials, found: { ...(await shrink(calm, tryOut)), seed: null }, messages };
  const single = everyFault(calm, messages.length);
  const total = 1 + single.length + seeds;
  const plans = function* (): Generator<{ seed: number | null; faults: Fault[] }> {
    for (const fault of single) yield { seed: null, faults: [fault] };
    for (let seed = from; seed < from + seeds; seed += 1) yield { seed, faults: drawn(seed, calm, messages.length) };
  };
  for (const { seed, faults } of plans()) {
    const outcome = await tryOut({ messages, faults });
    trials += 1;
    progress(trials, total);
    if (outcome.failure !== null) return { trials, found: { ...(await shrink(outcome, tryOut)), seed }, messages };
  }
  return { trials, found: null, messages };
}

/** One call of each tool, for the rules of the demo model. */
function messagesOf({ simulation, agents }: Pick<SearchOptions, 'agents'> & { simulation: Simulation }): string[] {
  const agent = agents.find(({ name }) => name === simulation.agent) ?? agents[0];
  const calls = (agent?.tools ?? []).map(({ name, input }) => `call ${name} ${JSON.stringify(sampleOf(input))}`);
  return calls.length === 0 ? ['say hello'] : calls;
}

function everyFault({ appends, calls }: TrialOutcome, messages: number): Fault[] {
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
  return [
    ...upTo(calls).map((n): Fault => ({ kind: 'kill', at: 'called', n })),
    ...upTo(appends).flatMap((n): Fault[] => [
      { kind: 'kill', at: 'after', n },
      { kind: 'kill', at: 'before', n },
    ]),
    ...upTo(messages).map((n): Fault => ({ kind: 'again', message: n - 1 })),
  ];
}

/** Several faults, the later ones where the earlier ones have led. */
function drawn(seed: number, { appends, calls }: TrialOutcome, messages: number): Fault[] {
  const random = new Prng(`trial ${seed}`);
  return Array.from({ length: random.between(2, FAULTS_MAX) }, (): Fault => {
    const what = random.next();
    if (what < 0.1) return { kind: 'again', message: random.between(0, messages - 1) };
    if (what < 0.4 && calls > 0) return { kind: 'kill', at: 'called', n: random.between(1, calls * 2) };
    return { kind: 'kill', at: what < 0.7 ? 'after' : 'before', n: random.between(1, appends * 2) };
  });
}

/** Leaves out what is not needed for it to fail: messages, then faults, then distance. */
async function shrink(
  failing: TrialOutcome,
  tryOut: (plan: TrialPlan) => Promise<TrialOutcome>,
): Promise<TrialOutcome> {
  let best = failing;
  for (let tries = 0, better = true; better && tries < SHRINKS_MAX;) {
    better = false;
    for (const plan of smaller(best.plan)) {
      tries += 1;
      if (tries >= SHRINKS_MAX) break;
      const outcome = await tryOut(plan);
      if (outcome.failure === null) continue;
      best = outcome;
      better = true;
      break;
    }
  }
  return best;
}

function* smaller({ messages, faults }: TrialPlan): Generator<TrialPlan> {
  if (messages.length > 1)
    for (let at = 0; at < messages.length; at += 1) {
      const left = messages.toSpliced(at, 1);
      yield { messages: left, faults: faults.filter((fault) => fault.kind !== 'again' || fault.message < left.length) };
      // With fewer messages the same place comes sooner.
      for (const [index, fault] of faults.entries())
        for (let n = 1; fault.kind === 'kill' && n < fault.n && n <= 12; n += 1)
          yield { messages: left, faults: faults.with(index, { ...fault, n }) };
    }
  for (let at = 0; at < faults.length; at += 1) yield { messages, faults: faults.toSpliced(at, 1) };
}
