/** What a user says of a simulation of their own agents, and what a run of it comes to. */
import type { AnswerInput, Entry as WireEntry, Message, WaitView } from '@perdure/contract';
import type { ScriptedCall, ScriptedReply } from '../scripted-model.ts';

/** One session as it stands when everything has come to rest. */
export type TrialLog = {
  session: string;
  /** The message that opened it. */
  message: string;
  entries: readonly WireEntry[];
  messages: readonly Message[];
  runs: readonly { id: string; status: string; reason: string | null }[];
};

/** Something that must hold of each session and of the world outside, whatever died meanwhile. It throws, or says false. */
export type Invariant<W = unknown> = {
  name: string;
  check: (log: TrialLog, world: W) => unknown;
};

export type Simulation<W = unknown> = {
  /** Who is talked to; by default the first agent. */
  agent?: string;
  /** Each opens a session of its own. By default one call of each tool, with arguments made from its schema. */
  messages?: readonly string[];
  /**
   * Makes the outside world anew, for each seed: what tools change must be reset here, and is given to invariants. It is
   * not told of crashes: as the real one, it keeps what it was told.
   */
  world?: () => W;
  /** Answers every call to a model; by default the rules of the demo model (`call TOOL {json}`). */
  script?: (call: ScriptedCall) => ScriptedReply | Promise<ScriptedReply>;
  /** What people answer; by default they approve, take the first choice, and know what really happened. */
  answer?: (wait: WaitView) => AnswerInput | undefined;
  invariants?: readonly Invariant<W>[];
};

/** Something that must hold whatever dies: `check` throws or gives false where it does not. */
export function invariant<W>(name: string, check: Invariant<W>['check']): Invariant<W> {
  return { name, check };
}

/** What `perdure simulate` does with the agents of a configuration: export it there as `simulation`. */
export function simulation<W>(given: Simulation<W>): Simulation<W> {
  return given;
}

/**
 * What befalls the process. `before` and `after`: the nth append of all; after it, it is durable and nobody was told.
 * `called`: the nth call of a tool has done its work, and its outcome is lost. `again`: a message is delivered twice.
 */
export type Fault = { kind: 'kill'; at: 'before' | 'after' | 'called'; n: number } | { kind: 'again'; message: number };
export type TrialPlan = { messages: readonly string[]; faults: readonly Fault[] };

export type TrialOutcome = {
  plan: TrialPlan;
  /** Null: everything was kept. */
  failure: Error | null;
  /** What happened, as a person would tell it. */
  steps: readonly string[];
  appends: number;
  calls: number;
};
