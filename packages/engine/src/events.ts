import type { CallId, EffectId, RunId, WaitId } from './ids.ts';
import type {
  AccountId,
  Actor,
  Amount,
  Answer,
  BodyRef,
  CancelReason,
  CompactedBy,
  CompactionCause,
  Caps,
  Config,
  Cost,
  Digest,
  EffectClass,
  GuardRuling,
  LimitReason,
  Located,
  Media,
  Pin,
  RunEnd,
  Taint,
  TreeChanged,
  Usage,
  WaitKind,
} from './values.ts';

/**
 * Every kind of entry with its data. Events are small and flat: refs, counts, ids; their size never grows with the
 * conversation. Content is in bodies, named by `refs`. A kind whose data changes gets a new `v` and an upcaster.
 */
export type EventData = {
  /** `payload`: digest of what a session without a first message was opened with. */
  'session.opened': { id: string; tenant: string; agent: string; key?: string; config?: Config; payload?: Digest };
  'session.configured': { revision: number; config: Config };
  'session.closing': Record<string, never>;
  'session.closed': Record<string, never>;
  /** The entries up to `seq` are those of session `from`; from here on the log is that of `id`. `payload`: how it was asked for. */
  'session.forked': { id: string; tenant: string; from: string; seq: number; payload: Digest };
  'session.moved': { to: string };
  /** A sealed log goes on here; `epoch`: who may dispatch what had leave to. */
  'session.arrived': { epoch: number };

  'run.queued': {
    submission: string;
    payload: Digest;
    mode: 'queue' | 'steer' | 'interrupt';
    priority: number;
    message: BodyRef;
    /** Missing: text only. The blobs are among the refs. */
    media?: Media;
    config?: Config;
  };
  'run.steered': { submission: string; payload: Digest; message: BodyRef; media?: Media };
  /** `hash` alone says: bound as the last run that started was. */
  'run.started': { hash: Digest; pin?: Pin };
  'run.held': Record<string, never>;
  'run.released': Record<string, never>;
  'run.cancelling': { reason: CancelReason };
  'run.limited': { limit: LimitReason };
  /** `text` is the body of the last turn that was done: what the run has to say, whatever its status. */
  'run.ended': RunEnd & { usage: Usage; cost: Cost; text?: Located };

  'turn.requested': {
    /** Who may dispatch attempt 1: an attempt of an earlier epoch is lost. */
    epoch: number;
    /** Digest of the neutral context, sealed by the step. */
    fingerprint: Digest;
    reserve: Amount;
    maxOutputTokens: number;
    /** The accounts above its session that it is reserved on, too; missing: none. */
    draws?: AccountId[];
    /** Tokens of its prompt that the provider should read from its cache; missing: none. */
    cached?: number;
    closing?: LimitReason;
    /**
     * Where the turn is not with the first model of its run's route: which one it is with, and why each one before it was
     * passed over: the code of its failure, `breaker:` and the code that opened its breaker, or `unaffordable`.
     */
    model?: string;
    passed?: string[];
    /** It repairs the answer before it: what did not fit stands at the end of its context. */
    repair?: true;
  };
  /** The provider took the attempt's request, and can be asked for its answer again by this name. */
  'turn.accepted': { attempt: number; response: string };
  /** `resume`: it asks for that answer instead of a new one, so that the attempt before it was not charged. */
  'turn.attempted': {
    n: number;
    reason: string;
    epoch: number;
    notBefore?: number;
    charged?: Amount;
    draws?: AccountId[];
    resume?: string;
  };
  'turn.failed': { attempt: number; code: string; spent: Spent };
  /** A turn that failed as `lost` or `unaffordable` is followed by another one, if the limits allow it. */
  'turn.settled': TurnEnd & { attempt: number; built?: Digest; guards?: readonly GuardRuling[] };

  'call.requested': {
    name: string;
    /** The provider's own id of this call: the answer is sent back under it. */
    providerId: string;
    digest: Digest;
    /** Position of its arguments in the turn's body. */
    index: number;
    class: EffectClass;
    timeoutMs: number;
    verify?: true;
    /** Labels that every result of it carries. */
    taint?: Taint[];
    /** The blob with the documents of rules that were in force; missing: there were none. */
    policy?: Digest;
    /** The rule that decided, as people read it in an explanation. */
    rule: string;
    decision: 'allow' | 'ask' | 'deny' | 'invalid';
    epoch: number;
  };
  'call.attempted': { n: number; reason: string; epoch: number; notBefore?: number };
  'call.failed': { attempt: number; code: string };
  'call.unknown': { attempt: number; reason: string; epoch: number };
  /** `attempt`: whose outcome this is; 0: of none (it never flew, a person said so, it was given up). */
  'call.settled': {
    attempt: number;
    outcome: CallOutcome;
    code?: string;
    result?: BodyRef;
    /** Whose words the result holds: from the next turn on they are in the context (see taint.ts). */
    taint?: Taint[];
    /** Deferred tools that a search found: from the next turn on they can be called. */
    found?: string[];
    /** A rule denied it right before it ran; `policy`: the blob with the documents that stood in force by then. */
    rule?: string;
    policy?: Digest;
    guards?: readonly GuardRuling[];
  };

  'wait.opened': {
    wait: WaitId;
    kind: WaitKind;
    call?: CallId;
    expiresAt?: number;
    digest?: Digest;
    prompt?: BodyRef;
    account?: AccountId;
    limit?: 'tokens' | 'money';
    needed?: number;
    free?: number;
  };
  'wait.resolved': {
    wait: WaitId;
    /** `freed`: what it waited for is there again. */
    how: 'answered' | 'expired' | 'cancelled' | 'freed';
    answer?: Answer;
    digest?: Digest;
    /** Set where the answer lets a call go ahead: who may dispatch its first attempt. */
    epoch?: number;
  };

  'budget.raised': { account: AccountId; cap: Caps };
  'budget.overrun': { account: AccountId; limit: 'tokens' | 'money'; over: Amount };

  'context.set': { key: string; ref: BodyRef; revision?: number };
  'context.unset': { key: string };
  /** What entered the context up to `upTo` (a seq) is read as `summary` from here on; the log keeps it. In bytes. */
  'context.compacted': {
    upTo: number;
    summary: BodyRef;
    before?: number;
    after?: number;
    /** Only this model can read it: for another one the compaction is undone (`context.restored`). */
    model?: string;
  };
  /** What a compaction stood for that `model` cannot read is read again in its place. */
  'context.restored': { model: string };

  /** It is done at the next boundary between two turns. */
  'compaction.asked': Record<string, never>;
  'compaction.requested': {
    epoch: number;
    /** Digest of what it is built from, sealed by the step. */
    fingerprint: Digest;
    cause: CompactionCause;
    upTo: number;
    /** Who compacts, where that is neither who was named for it nor the first model of the route. */
    model?: string;
    /** Missing: a summary, written by who was named for it or by the model of the conversation. */
    by?: CompactedBy;
    reserve: Amount;
    maxOutputTokens: number;
    draws?: AccountId[];
    /** It is sent at most so many bytes of the conversation, as a text: its model may not take the whole as it stands. */
    inputBytes?: number;
  };
  'compaction.attempted': {
    n: number;
    reason: string;
    epoch: number;
    notBefore?: number;
    charged?: Amount;
    draws?: AccountId[];
    inputBytes?: number;
  };
  'compaction.failed': { attempt: number; code: string; spent: Spent };
  /** `attempt` 0: none was made. Where it is done, `context.compacted` follows in the same append. */
  'compaction.settled': CompactionEnd & {
    attempt: number;
    usage: Usage;
    cost: Cost;
    built?: Digest;
    guards?: readonly GuardRuling[];
  };

  /**
   * A call has changed a workspace. It stands beside how the call ended; what a job did that the call had started, behind
   * that, and even behind the end of the run.
   */
  'workspace.changed': TreeChanged;

  /** An outcome that came after another was recorded: evidence, never state (P4). */
  'effect.late': { attempt: number; outcome: string; result?: BodyRef; spent?: Spent };
};

/** What an attempt cost: nothing, an exact bill, or what was reserved because nobody can say. */
export type Spent = { kind: 'none' } | { kind: 'bound' } | { kind: 'usage'; usage: Usage };

export type CallOutcome = 'done' | 'failed' | 'denied' | 'cancelled' | 'unknown';

export type TurnEnd =
  | {
      outcome: 'done';
      stop: 'end' | 'calls' | 'length' | 'filtered' | 'empty' | 'invalid_output';
      body: BodyRef;
      calls: number;
      misfit?: BodyRef;
      usage: Usage;
      cost: Cost;
    }
  | { outcome: 'failed'; code: string; detail?: string; usage: Usage; cost: Cost }
  | { outcome: 'cancelled'; usage: Usage; cost: Cost };

export type CompactionEnd =
  | { outcome: 'done' }
  /** `again`: somebody else tries it at once. */
  | { outcome: 'failed'; code: string; detail?: string; again?: true }
  | { outcome: 'cancelled' };

export type EventKind = keyof EventData;
type Of<K extends EventKind> = { kind: K; run?: RunId; effect?: EffectId; refs?: Digest[]; data: EventData[K] };
/** An event as the engine decides it. */
export type Event = { [K in EventKind]: Of<K> }[EventKind];
/** An event in its envelope. `at` is integer ms for people only: order is `seq`. */
export type Entry = Event & { seq: number; at: number; v: number; input: string; by: Actor };

/** The version each kind is written with today; a kind not named here is at 1. */
export const VERSIONS: Partial<Record<EventKind, number>> = {};
