/** Which fault met which state of a run, and how often: a pair that never fired proves nothing. */
import type { State } from '@perdure/engine';
import type { FaultName } from './plan.ts';
import { FAULT_NAMES } from './plan.ts';

/** What is no fault, and is to happen in every state as well: acts of people and clients, a load from a snapshot. */
export const ACTIONS = [
  'queue',
  'steer',
  'interrupt',
  'cancel',
  'hold',
  'release',
  'fork',
  'compact',
  'close',
  'approve',
  'restore',
  'always',
  'revoke',
  'push',
  'undo',
  'craft',
] as const;
export type Happening = FaultName | (typeof ACTIONS)[number];

export const STATES = [
  'idle',
  'thinking',
  'compacting',
  'calling',
  'approval',
  'question',
  'timer',
  'callback',
  'outcome',
  'budget',
  'tool',
  'held',
  'closing',
  'cancelling',
] as const;
export type RunState = (typeof STATES)[number];

/** Where something cannot be met at all: it happens to what is under way, or to what waits. */
const ONLY: Partial<Record<Happening, readonly RunState[]>> = {
  crashBeforeEffect: ['thinking', 'compacting', 'calling'],
  crashAfterEffect: ['calling', 'cancelling', 'closing', 'held'],
  crashBeforeOutcome: ['thinking', 'compacting', 'calling', 'cancelling', 'closing', 'held'],
  toolThrows: ['calling'],
  toolHangs: ['calling'],
  answerLost: ['calling', 'thinking'],
  answerGone: ['thinking'],
  deafToAbort: ['calling'],
  modelFails: ['thinking', 'compacting'],
  modelHangs: ['thinking', 'compacting'],
  oddAnswer: ['thinking', 'compacting'],
  overrun: ['thinking'],
  wrongDigest: ['approval', 'calling', 'held'],
  edit: ['approval', 'calling', 'held'],
  always: ['approval', 'calling', 'held'],
  approve: ['approval', 'calling', 'held'],
  deny: ['approval', 'calling', 'budget', 'outcome', 'held'],
};

export class Coverage {
  readonly counts = new Map<string, number>();

  hit(what: Happening, state: RunState): void {
    const name = `${what} × ${state}`;
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  add(other: Coverage): void {
    for (const [name, count] of other.counts) this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }

  total(what: Happening): number {
    return STATES.reduce((sum, state) => sum + (this.counts.get(`${what} × ${state}`) ?? 0), 0);
  }

  /** Pairs that never fired. */
  missing(): string[] {
    const all = [...FAULT_NAMES, ...ACTIONS];
    return all
      .flatMap((what) => (ONLY[what] ?? STATES).map((state) => `${what} × ${state}`))
      .filter((name) => !this.counts.has(name));
  }
}

/** What a session, or its active run, is doing. */
export function stateOf(state: State): RunState {
  const run = state.active === null ? undefined : state.runs.get(state.active);
  if (run === undefined) return state.compaction === null ? 'idle' : 'compacting';
  if (run.phase.at === 'cancelling') return 'cancelling';
  if (run.phase.at === 'closing') return 'closing';
  if (run.held) return 'held';
  if (state.compaction !== null) return 'compacting';
  if (run.turn?.phase.at === 'flying') return 'thinking';
  if (run.asked.some(({ phase }) => phase.at === 'flying' || phase.at === 'verifying' || phase.at === 'ready'))
    return 'calling';
  for (const wait of state.waits.values()) {
    if (wait.run === run.id && wait.kind !== 'child') return wait.kind;
  }
  return 'calling';
}
