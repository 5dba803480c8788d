export { searchTrials } from './search.ts';
export type { SearchOptions, SearchOutcome } from './search.ts';
export { invariant, simulation } from './simulation.ts';
export type { Fault, Invariant, Simulation, TrialLog, TrialOutcome, TrialPlan } from './simulation.ts';
export { runTrial } from './trial.ts';
export type { TrialOptions } from './trial.ts';
