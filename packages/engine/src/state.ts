import type { CallOutcome } from './events.ts';
import type { CallId, CompactionId, EffectId, RunId, TurnId, WaitId } from './ids.ts';
import type {
  AccountId,
  Actor,
  Amount,
  CancelReason,
  Caps,
  CompactedBy,
  CompactionCause,
  Config,
  Cost,
  Digest,
  EffectClass,
  LimitReason,
  Located,
  Media,
  Pin,
  PinnedModel,
  Receipt,
  Taint,
  Usage,
  WaitKind,
} from './values.ts';
import { NO_MEDIA, ZERO_USAGE } from './values.ts';

/**
 * One item of the context, in the order the model reads them. `code` stands for a text the assembler supplies (an
 * answer that has no body: cancelled, denied, expired). `trusted` is set for what a person of this tenant wrote.
 */
/** `seq`: of the entry that put it there. */
export type Item = { seq: number } & ItemContent;
export type ItemContent =
  | { kind: 'message'; run: RunId; body: Located; trusted: boolean; media?: Media }
  | { kind: 'turn'; body: Located; model: string }
  /** What did not fit in the answer before it, told to the model once. */
  | { kind: 'repair'; body: Located }
  | {
      kind: 'result';
      call: CallId;
      providerId: string;
      name: string;
      outcome: CallOutcome;
      code: string | null;
      body: Located | null;
    }
  /** Stands for everything before it; `held` keeps that, where only one model can read the summary. */
  | { kind: 'summary'; body: Located; held?: { model: string; items: readonly Item[] } };

/** A catalog that every request carries under its key. `by` says whose words they are: what trust they have. */
export type Slot = Located & { key: string; revision: number; at: number; by: Actor };

/** A label of the context, and what brought it first: a call, a run (its message), or a slot (`slot KEY`). */
export type TaintSource = { label: Taint; from: string; seq: number };

/** What became of the last calls: what a policy sees a tool that fails, or a model that turns in circles, by. */
export type Habits = {
  /** Tools of which the last calls failed or were denied, one after another; the newest last. `at`: wall ms. */
  streaks: readonly { tool: string; failed: number; run: RunId; at: number }[];
  /** The newest last. */
  recent: readonly { digest: Digest; run: RunId }[];
};

export type Context = {
  items: Item[];
  /** Never changed in place: a turn keeps the ones it was sealed with. */
  slots: readonly Slot[];
  /** Counts what was set in any slot: no slot has the same revision twice, also not after it was taken away. */
  revision: number;
  /** Seq of the last compaction, 0: none. A prefix that was rendered before it is another context's. */
  compactedAt: number;
  /** Bytes that have come since the last compaction, also one that failed; null: there was none. */
  sinceCompaction: number | null;
  /** Tokens of the prefix as the provider last counted them, with the model and the pin it was sent under, and what that took. */
  counted: { tokens: number; model: string; pin: Digest; takes: string } | null;
  /** The last prompt that a provider counted: what it may have kept (see cache.ts). */
  prompt: { tokens: number; model: string; pin: Digest; takes: string; slots: string; at: number } | null;
  /** Bytes added since then (all of them while nothing was counted): one token a byte bounds them. */
  newBytes: number;
  totalBytes: number;
  /** The same for images and files. */
  newMedia: Media;
  totalMedia: Media;
  /** Deferred tools that were searched for and found, each once. They stay: a compaction takes none away. */
  found: readonly string[];
  /** Each label once. It stays: what was read is not unread by a compaction. */
  taint: readonly TaintSource[];
};

export type TurnPhase =
  | { at: 'flying'; attempt: number; epoch: number; notBefore: number }
  | { at: 'settled'; attempt: number; outcome: 'done' | 'failed' | 'cancelled'; code: string };

export type Turn = {
  id: TurnId;
  phase: TurnPhase;
  /** Digest of the neutral context this turn is built from. */
  fingerprint: Digest;
  reserve: Amount;
  maxOutputTokens: number;
  /** Above the session, the accounts that the flying attempt is reserved on. */
  draws: readonly AccountId[];
  closing: LimitReason | null;
  /** The answer that the flying attempt asked for or was given the name of; null: it has none. */
  response: string | null;
  /** Of the context's bytes that nobody has counted, those that this turn sends. */
  sentBytes: number;
  sentMedia: Media;
  /** What is set while it is under way is read by the next one. */
  slots: Context['slots'];
  failures: number;
  body: Located | null;
};

export type CallPhase =
  /** Asked for, and not yet allowed. */
  | { at: 'asked' }
  /** Allowed; waits for its turn, or (unsafe) for its gate. */
  | { at: 'ready'; epoch: number }
  | { at: 'flying'; attempt: number; epoch: number; notBefore: number }
  | { at: 'parked'; wait: WaitId; attempt: number }
  /** It may have happened, and its tool is asked: that question is numbered as an attempt. */
  | { at: 'verifying'; attempt: number; epoch: number }
  | {
      at: 'settled';
      attempt: number;
      outcome: CallOutcome;
      code: string | null;
      result: Located | null;
      taint?: readonly Taint[];
    };

export type Call = {
  id: CallId;
  name: string;
  providerId: string;
  class: EffectClass;
  timeoutMs: number;
  verify: boolean;
  taint?: readonly Taint[];
  digest: Digest;
  /** What decided on it, for people. */
  rule: string;
  /** The documents of rules that it was ruled by; missing: there were none. */
  policy?: Digest;
  /** The arguments: a place in the turn's body, or an approver's edit. */
  arguments: { at: 'turn'; body: Located; index: number } | { at: 'edit'; body: Located };
  failures: number;
  phase: CallPhase;
};

export type Phase =
  | { at: 'queued' }
  | { at: 'active' }
  /** A limit was met: what flies is stopped, then one closing turn without tools. */
  | { at: 'closing'; limit: LimitReason }
  | { at: 'cancelling'; reason: CancelReason };

export type Run = {
  id: RunId;
  submission: string;
  priority: number;
  message: Located;
  media?: Media;
  trusted: boolean;
  config: Config;
  phase: Phase;
  held: boolean;
  pin: Pin | null;
  startedAt: number;
  /** Why each model of the route before the one in use was passed over. */
  passed: readonly string[];
  /** Turns requested so far. */
  turns: number;
  calls: number;
  retries: number;
  turn: Turn | null;
  /** Calls of the current turn, in the order the model asked. */
  asked: Call[];
  /** The body of the last turn that was done. */
  text: Located | null;
  steers: { body: Located; trusted: boolean; media?: Media }[];
  /** Its provider refused the context as too long: one compaction, and then one more turn, or the end. */
  overflow: { at: 'refused' | 'recovering' } | { at: 'failed'; code: string } | null;
  /** What did not fit in the last answer, for the turn that may repair it. */
  misfit: Located | null;
  repairs: number;
  /** What a bill passed its reservation in: this run reserves nothing more. */
  overrun: 'tokens' | 'money' | null;
  spent: Amount;
  usage: Usage;
  cost: Cost;
};

export type Wait = {
  id: WaitId;
  kind: WaitKind;
  run: RunId;
  call: CallId | null;
  openedAt: number;
  openedSeq: number;
  expiresAt: number | null;
  digest: Digest | null;
  prompt: Located | null;
  shortage: { account: AccountId; limit: 'tokens' | 'money'; needed: number; free: number } | null;
};

/** The one compaction that is under way. Its session's turns wait for it. */
export type Compaction = {
  id: CompactionId;
  /** Whose turn asked for it; null: it was asked for between two runs. */
  run: RunId | null;
  cause: CompactionCause;
  phase: { attempt: number; epoch: number; notBefore: number };
  /** Seq of its request: what enters the context later is no part of it. */
  seq: number;
  upTo: number;
  fingerprint: Digest;
  pin: Pin;
  /** Who compacts, and whether because nobody was named for it. */
  model: PinnedModel;
  by: CompactedBy | null;
  /** As they were when it was requested. */
  slots: readonly Slot[];
  reserve: Amount;
  maxOutputTokens: number;
  draws: readonly AccountId[];
  inputBytes: number | null;
  failures: number;
};

/** A session: what the fold of its log says. `evolve` may mutate it; only its fold owns it. */
export type State = {
  id: string;
  tenant: string;
  agent: string;
  key: string | null;
  phase: 'fresh' | 'open' | 'closing' | 'closed' | 'moved';
  head: number;
  at: number;
  createdAt: number;
  revision: number;
  config: Config;
  /** The input that opened the session, with the digest of its payload where no message came with it. */
  opened: { input: string; payload: Digest | null } | null;
  /** Where its log begins: as that of another session, up to `seq`. `payload` is what was asked for. */
  forked: { from: string; seq: number; payload: Digest; receipt: Receipt } | null;
  /** Where it has gone to, in phase `moved`. */
  movedTo: string | null;
  /** The input that made the last revision: delivered again, it is no conflict. */
  configured: { input: string; receipt: Receipt } | null;
  /** Runs that have not ended: the active one and those that wait. */
  runs: Map<RunId, Run>;
  queue: RunId[];
  active: RunId | null;
  lastRun: number;
  lastWait: number;
  /** What the last run was bound to: the next one under the same pin repeats only its hash. */
  lastPin: Pin | null;
  submissions: Map<string, { payload: Digest; receipt: Receipt }>;
  waits: Map<WaitId, Wait>;
  resolved: Map<WaitId, { digest: Digest | null; call: CallId | null; receipt: Receipt }>;
  /** Attempts that were given up before anybody heard their outcome: one that comes now is evidence, once (P4). */
  unheard: Map<EffectId, number[]>;
  context: Context;
  habits: Habits;
  /** Where each workspace that is mounted stood when this session mounted it, or last changed it. */
  trees: Map<string, Digest>;
  /** Which workspaces each call is on record to have changed: that is told once. */
  changed: Map<CallId, readonly string[]>;
  compaction: Compaction | null;
  /** The last time somebody asked for one; `open`: it has not been requested yet. */
  compactionAsked: { input: string; seq: number; open: boolean } | null;
  /** Who has failed at the one that is due: somebody else tries it. */
  compactorsTried: readonly string[];
  lastCompaction: number;
  spent: Amount;
  reserved: Amount;
  /** Session caps raised by an answer to a budget wait, over what the run's pin says. */
  caps: Caps;
  usage: Usage;
  cost: Cost;
};

export function freshState(): State {
  return {
    id: '',
    tenant: '',
    agent: '',
    key: null,
    phase: 'fresh',
    head: 0,
    at: 0,
    createdAt: 0,
    revision: 0,
    config: {},
    opened: null,
    forked: null,
    movedTo: null,
    configured: null,
    runs: new Map(),
    queue: [],
    active: null,
    lastRun: 0,
    lastWait: 0,
    lastPin: null,
    submissions: new Map(),
    waits: new Map(),
    resolved: new Map(),
    unheard: new Map(),
    context: {
      items: [],
      slots: [],
      revision: 0,
      compactedAt: 0,
      sinceCompaction: null,
      counted: null,
      prompt: null,
      newBytes: 0,
      totalBytes: 0,
      newMedia: NO_MEDIA,
      totalMedia: NO_MEDIA,
      found: [],
      taint: [],
    },
    habits: { streaks: [], recent: [] },
    trees: new Map(),
    changed: new Map(),
    compaction: null,
    compactionAsked: null,
    compactorsTried: [],
    lastCompaction: 0,
    spent: { tokens: 0, nanoUsd: 0 },
    reserved: { tokens: 0, nanoUsd: 0 },
    caps: {},
    usage: ZERO_USAGE,
    cost: { nanoUsd: 0, price: null },
  };
}

/** The last attempt a call was named with; 0 where it never flew. */
export function attemptsOf(call: Call): number {
  return 'attempt' in call.phase ? call.phase.attempt : 0;
}

/** What of a run is under way outside: its flying turn and calls. */
export function flying(run: Run): { effect: EffectId; attempt: number }[] {
  const list: { effect: EffectId; attempt: number }[] = [];
  if (run.turn?.phase.at === 'flying') list.push({ effect: run.turn.id, attempt: run.turn.phase.attempt });
  for (const call of run.asked) {
    if (call.phase.at === 'flying') list.push({ effect: call.id, attempt: call.phase.attempt });
  }
  return list;
}

/** Whether what flies of a run is to be aborted. A closing turn is what the run stops with, so it flies on. */
export function isStopping(run: Run): boolean {
  return run.phase.at === 'cancelling' || (run.phase.at === 'closing' && (run.turn?.closing ?? null) === null);
}

/** Whether the compaction that flies is to be aborted: its session closes, or the run that waits for it stops. */
export function isCompactionStopping(state: State): boolean {
  const run = state.active === null ? undefined : state.runs.get(state.active);
  return state.phase === 'closing' || (run !== undefined && isStopping(run));
}

/** An attempt is given up unheard: its outcome may still come. */
export function giveUp(state: State, effect: EffectId, attempt: number): void {
  const known = state.unheard.get(effect);
  if (known === undefined) state.unheard.set(effect, [attempt]);
  else if (!known.includes(attempt)) known.push(attempt);
}

/** The outcome of an attempt is on record, as what settled its effect or as evidence. */
export function hear(state: State, effect: EffectId, attempt: number): void {
  const rest = state.unheard.get(effect)?.filter((n) => n !== attempt);
  if (rest === undefined) return;
  if (rest.length === 0) state.unheard.delete(effect);
  else state.unheard.set(effect, rest);
}
