import type { CallOutcome, Spent } from './events.ts';
import type { CallId, EffectId, RunId, WaitId } from './ids.ts';
import type {
  Actor,
  Answer,
  BodyRef,
  Budget,
  Config,
  Digest,
  EffectClass,
  GuardRuling,
  Media,
  Pin,
  Shortage,
  Taint,
  TreeChanged,
  Usage,
} from './values.ts';

export type OpenSession = { id: string; tenant: string; agent: string; key?: string; config?: Config };

export type Command =
  /** `payload`: digest of what the session is opened with; the same input with another one is a conflict. */
  | ({ kind: 'open'; payload?: Digest } & OpenSession)
  | { kind: 'configure'; ifRevision: number; config: Config }
  | {
      kind: 'send';
      submission: string;
      /** Digest of what was sent: the same submission with another payload is a conflict. */
      payload: Digest;
      mode: 'queue' | 'steer' | 'interrupt';
      priority: number;
      message: BodyRef;
      /** Images and files of the message, and the digests of their blobs. */
      media?: Media & { digests: Digest[] };
      config?: Config;
      /** Opens the session in the same append when it is fresh. */
      open?: OpenSession;
    }
  | { kind: 'unqueue'; run: RunId }
  | { kind: 'hold'; run: RunId }
  | { kind: 'release'; run: RunId }
  | { kind: 'cancel'; run: RunId }
  | { kind: 'resolve'; wait: WaitId; answer: Answer; digest: Digest }
  /** `ifRevision`: only where the slot is at that revision; 0: only where there is none. */
  | { kind: 'remember'; key: string; ref: BodyRef; ifRevision?: number }
  | { kind: 'forget'; key: string; ifRevision?: number }
  | { kind: 'compact' }
  /** Asks for leave to dispatch: the gate of an unsafe call (`gate`), or what follows an attempt that was lost. */
  | { kind: 'attempt'; effect: EffectId; attempt: number; reason: 'gate' | 'lost' }
  /** A flying model call can be asked for again by this name. Late or foreign, it changes nothing. */
  | { kind: 'accepted'; effect: EffectId; attempt: number; response: string }
  | { kind: 'settle'; effect: EffectId; attempt: number; outcome: Outcome }
  /** What a call has changed besides what was told with its outcome: by what it started, which may outlive its run. */
  | { kind: 'changed'; effect: CallId; changes: readonly TreeChanged[] }
  /** The wake-at effect came due: whatever `at` has passed happens now. */
  | { kind: 'settle'; effect: 'wake' }
  | { kind: 'close' }
  /** Decided on what a prefix of another log leads to. `payload`: the same fork with another one is a conflict. */
  | { kind: 'fork'; id: string; tenant: string; payload: Digest; config?: Config }
  /** Seals the session: it goes on where its log is imported. `to`: what people are told of that place. */
  /** `to`: what is told here of where it has gone; not given where that is of no matter. */
  | { kind: 'move'; to?: string }
  /** Decided on what a sealed log leads to, where it was imported. */
  | { kind: 'arrive' };

/** `afterMs` is a provider's Retry-After; the engine adds its own backoff to `now`. */
export type Retry = 'no' | 'now' | { afterMs: number };

/** `guards`: what hooks made of it, where not each let it pass. */
export type Outcome = (TurnOutcome | ToolOutcome | SummaryOutcome) & { guards?: readonly GuardRuling[] };

export type TurnOutcome =
  | {
      type: 'turn';
      stop: 'end' | 'calls' | 'length' | 'filtered' | 'empty' | 'invalid_output';
      body: BodyRef;
      usage: Usage;
      calls: RuledCall[];
      /** Of `invalid_output`: a message that says what does not fit, for the turn that repairs it. */
      misfit?: BodyRef;
      /** What the request was built from, where that was not the fingerprint that had been sealed. */
      built?: Digest;
    }
  | {
      type: 'turn-failed';
      code: string;
      detail?: string;
      retry: Retry;
      spent: Spent;
      /** The answer that was accepted goes on: it can be asked for again, and is billed when it comes. */
      resumable?: true;
    };

/** What became of a compaction: what stands for the conversation from now on. */
export type SummaryOutcome =
  /** `opaque`: only the model that made it can read it. */
  | { type: 'summary'; body: BodyRef; usage: Usage; built?: Digest; opaque?: true }
  | { type: 'summary-failed'; code: string; detail?: string; retry: Retry; spent: Spent };

/** A call the model asked for, after the step has ruled on it: facts, not code. */
export type RuledCall = {
  name: string;
  providerId: string;
  digest: Digest;
  class: EffectClass;
  timeoutMs: number;
  verify: boolean;
  /** Labels that every result of it carries. */
  taint?: readonly Taint[];
  /** The documents of rules that it was ruled by, as a blob. */
  policy?: Digest;
  rule: string;
  decision:
    | { verdict: 'allow' }
    | { verdict: 'ask'; expiresAt?: number }
    /** `result`: what the model is told of it. */
    | { verdict: 'deny'; result?: BodyRef; code?: string }
    /** Unknown tool, broken JSON, arguments that do not fit: answered at once with a typed error. */
    | { verdict: 'invalid'; code: string; result: BodyRef };
};

export type ToolOutcome =
  | {
      type: 'call';
      outcome: Extract<CallOutcome, 'done' | 'failed'>;
      code?: string;
      result: BodyRef;
      /** The blob with all of a result that was cut. */
      whole?: Digest;
      /** Deferred tools that the call, a search for them, has found. */
      found?: readonly string[];
      /** Labels of what it holds, besides those of its tool. */
      taint?: readonly Taint[];
      retry?: Retry;
      /** Workspaces that the call has changed, whichever of its attempts did. */
      changed?: readonly TreeChanged[];
    }
  /** Not run: a rule denies it that was not there, or did not count, when it was allowed. `policy`: the blob with the documents. */
  | { type: 'call-denied'; rule: string; policy?: Digest; result: BodyRef }
  | { type: 'call-unknown'; reason: string; changed?: readonly TreeChanged[] }
  | { type: 'call-waits'; wait: ToolWait }
  /** The tool is not in this process: the call parks until it is (or a person answers). */
  | { type: 'call-homeless' };

export type ToolWait =
  | { kind: 'question'; prompt: BodyRef; expiresAt?: number }
  | { kind: 'timer'; dueAt: number }
  | { kind: 'callback'; prompt?: BodyRef; expiresAt?: number };

export type Unfit = { unfit: string; path: string };

export type Facts = {
  /**
   * What a run that starts now with this configuration is bound to; null: its agent is not defined here; `unfit`: why
   * the configuration cannot be obeyed, and which member of it.
   */
  pin: (config: Config) => Pin | Unfit | null;
  /** Why the circuit breaker of a model is open; null or missing: it is not. */
  breaker?: (model: string) => string | null;
  /** The ledger refused the append of this same input: these accounts are short. */
  refusals?: readonly Shortage[];
  /** What requests draw on above their session, each of them; missing: nothing. */
  budgets?: readonly Budget[];
};

/** One input, one append. Time, ids, digests and the epoch come in; nothing else is looked up. */
export type Input = { id: string; at: number; by: Actor; epoch: number; command: Command; facts: Facts };

export type RejectionCode =
  | 'not_found'
  | 'invalid_request'
  | 'invalid_state'
  | 'submission_conflict'
  | 'revision_conflict'
  | 'wait_resolved'
  | 'session_closed'
  | 'too_large'
  | 'rate_limited';
/** Refused: a value with a code, and nothing changed. */
export type Rejection = { code: RejectionCode; message: string; details?: Record<string, string | number> };

/** Impossible: a bug or damage. The session stops with its log clean. */
export class ImpossibleState extends Error {
  readonly code = 'impossible_state';
}
