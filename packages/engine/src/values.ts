import type { RunId, WaitId } from './ids.ts';

/** SHA-256 in base64url, computed outside: of a body (salted when small) or of canonical arguments. */
export type Digest = string;

/** A body beside the frame. `bytes` counts its UTF-8 length and bounds its tokens. */
export type BodyRef = { digest: Digest; bytes: number };

/** A body and the entry whose frame carries it. */
export type Located = BodyRef & { seq: number };

/** What a message holds besides text: how many images and files, and their bytes together. */
export type Media = { images: number; files: number; bytes: number };

/** Who caused an entry. */
export type Actor = { kind: 'user' | 'key' | 'agent' | 'system' | 'approver'; id: string };

export type Usage = {
  input: number;
  cachedInput: number;
  cacheWrite: number;
  output: number;
  reasoning: number;
  /** `provider`: as billed. `bound`: what was reserved, because nobody can say what was billed. */
  source: 'provider' | 'bound';
};

/** Money in integer nano-USD. `price` names the row of the catalog; `null`: the model has no known price. */
export type Cost = { nanoUsd: number; price: string | null };

/** Nano-USD per 1,000 tokens: integers, exact for every published price. */
export type Rates = { input: number; cachedInput: number; cacheWrite: number; output: number };

/** List price. `above`: what every token of a request costs whose prompt has more tokens than that. */
export type Price = Rates & { id: string; above?: Rates & { tokens: number } };

/** What a cap counts. A missing member is not capped. */
export type Caps = { tokens?: number; nanoUsd?: number };
export type Amount = { tokens: number; nanoUsd: number };

export type Limits = {
  turns: number;
  calls: number;
  deadlineMs: number;
  tokens?: number;
  nanoUsd?: number;
  /** Caps of the whole session; a run that meets one parks in a wait of kind `budget`. */
  session?: Caps;
};

/** How a tool behaves when nobody knows whether it happened (DESIGN §6). */
export type EffectClass = 'pure' | 'keyed' | 'unsafe';

/** Whose words a model has read besides its user's: the web's, files', other outside text of tools, a message of somebody untrusted. */
export type Taint = 'web' | 'file' | 'tool' | 'input';
/** What a call may do to the world: change something, or send something out of it. */
export type Act = 'write' | 'egress';

export type ToolChoice = 'auto' | 'none' | 'required' | { tool: string };
export type Mode = 'ask' | 'accept-edits' | 'read-only' | 'bypass';
/** What an argument must be: this value; or each text in it of this form (`*` is any run of characters; regex by RE2). */
export type ArgumentCondition = { equals: unknown } | { glob: string } | { regex: string };
/**
 * A rule counts for a call when all of its conditions hold. `allow` wants them of everything that the call names, `ask`
 * and `deny` of anything, and also where it cannot be told.
 */
export type PolicyRule = {
  decision: 'allow' | 'ask' | 'deny';
  /** `*` stands for any run of characters. */
  tool: string;
  /** By name, or by JSON pointer. */
  args?: { [argument: string]: ArgumentCondition };
  /** Globs of files and folders that its arguments name. */
  paths?: string[];
  /** Globs of hosts. */
  hosts?: string[];
  /** The beginning of a command, such as `git status`; of several any one. */
  command?: string | string[];
  /** Labels of the context: any of these, any at all, or none (false). */
  tainted?: boolean | Taint[];
  acts?: Act[];
  /** `allow` counts while the run has cost at most so much, `ask` and `deny` once it has cost more. */
  maxNanoUsd?: number;
  /** Wall ms; from then on it does not count. */
  expiresAt?: number;
  reason?: string;
};
export type Policies = {
  mode?: Mode;
  rules?: PolicyRule[];
  approvalTtlMs?: number;
  breaker?: ToolBreaker;
  loop?: LoopGuard;
};
/**
 * A tool whose calls failed or were denied so often in a row is denied: of a run until it ends, or for `forMs`; of a
 * session for `forMs` after the last one.
 */
export type ToolBreaker = { failures: number; within?: 'run' | 'session'; forMs?: number };
/** A call that the run has made with the same arguments so often, among its last ones, is asked for or denied. */
export type LoopGuard = { repeats: number; decision: 'ask' | 'deny' };

/**
 * A workspace that tools find at a path. `tree`: where it stood when it was mounted; where it stands now is said by its
 * head, which others may move as well.
 */
export type Mount = { path: string; workspace: string; mode: 'read-only' | 'read-write'; tree: Digest };

/** A workspace was changed from one tree to another. */
export type TreeChanged = { workspace: string; before: Digest; after: Digest };

/** What the arguments of a tool name in the world: by name, or by JSON pointer in which `*` is any member. */
export type ArgumentNames = {
  paths?: readonly string[];
  /** Paths of which all that is below counts; one that is not given is the root. */
  trees?: readonly string[];
  /** Unified diffs: the paths in them. */
  patches?: readonly string[];
  urls?: readonly string[];
  /** Scripts of bash. */
  commands?: readonly string[];
};

/** Configuration a session or a single run may override. Instructions are content and live in a body. */
export type Config = {
  /** One model, or several in the order in which they are tried. */
  model?: string | string[];
  /** `seq` is set by the fold: the entry whose frame carries the text. */
  instructions?: BodyRef & { seq?: number };
  effort?: 'minimal' | 'low' | 'medium' | 'high';
  maxOutputTokens?: number;
  /** The provider's processing tier, where it sells several. */
  tier?: 'default' | 'flex' | 'priority';
  /** The provider goes on with an answer when nobody listens; a crash asks for it again instead of paying twice. */
  background?: boolean;
  temperature?: number;
  toolChoice?: ToolChoice;
  limits?: Partial<Limits>;
  policies?: Policies;
  compaction?: CompactionConfig;
  mounts?: Mount[];
};

/**
 * How a conversation that has grown long is compacted. `model`: who writes the summary (default: a cheap model of the same
 * provider where one is known, else the run's own); `auto: false`: only when somebody asks, or a provider refuses the
 * context as too long; `native`: by the provider of the run's model where it does that itself (default: `auto`, and
 * `never` where a model is named).
 */
export type CompactionConfig = { model?: string; auto?: boolean; native?: 'auto' | 'never' };

/** One model of a run's route, as it was known when the run started. */
export type Member = {
  model: string;
  maxOutputTokens: number;
  price: Price | null;
  /** Its provider cannot be told the schema of the answer: the instructions say it in words. */
  instructed?: true;
  media?: MediaBound;
  cache?: CacheRule;
  /** Tokens it can read and write at once; missing: nobody knows. */
  windowTokens?: number;
  /** Its provider compacts a conversation itself; missing: it does not, or is not to. */
  compacts?: CompactsBound;
};

/** The most that a provider's own compaction writes; `opaque`: no other model can read what comes of it. */
export type CompactsBound = { maxOutputTokens: number; opaque?: true };

/** A model that is sent nothing but text. */
export type PinnedModel = Pick<Member, 'model' | 'maxOutputTokens' | 'price' | 'windowTokens'>;

/**
 * When a prompt that was sent before is read from the provider's cache: from `minTokens` on, in steps of `stepTokens`,
 * for `lifetimeMs` after its last use.
 */
export type CacheRule = { minTokens: number; stepTokens: number; lifetimeMs: number };

/** What a run is bound to from its start: code may change under it, this does not. */
export type Pin = Member & {
  agent: string;
  /** Content hash of instructions, route, tools, policies and limits. */
  hash: Digest;
  /** Blob with the whole manifest: instructions, tools with schemas and classes, policies. */
  manifest: Digest;
  /** Instructions and tool declarations as sent, in bytes: part of every request's bound. */
  manifestBytes: number;
  /** Who summarises where that is another model (`cheap`: nobody named it); and whether only when asked. */
  summarizer?: PinnedModel & { cheap?: true };
  compaction?: 'asked';
  limits: Limits;
  /** Whose words stand behind its instructions: labels that its context has from the start. */
  taint?: Taint[];
  /** Where its own model does not serve: the next ones, in their order. */
  fallbacks?: Member[];
};

/**
 * What the model takes besides text: the most tokens that one image or file counts, null where nobody says; a missing
 * member is not taken. `most` bounds all of them together (the model's window).
 */
export type MediaBound = { image?: number | null; file?: number | null; most?: number };

export type RunStatus =
  | 'queued'
  | 'running'
  | 'waiting'
  | 'held'
  | 'cancelling'
  | 'completed'
  | 'limited'
  | 'failed'
  | 'cancelled';
export type LimitReason = 'turns' | 'calls' | 'deadline' | 'tokens' | 'money' | 'length';
export type FailReason = 'provider' | 'filtered' | 'empty' | 'invalid_output' | 'context' | 'quarantined' | 'internal';
export type CancelReason = 'requested' | 'interrupted' | 'unqueued' | 'closed' | 'fork';
export type RunEnd =
  | { status: 'completed' }
  | { status: 'limited'; reason: LimitReason }
  | { status: 'failed'; reason: FailReason; detail?: string }
  | { status: 'cancelled'; reason: CancelReason };

/** Why a context is compacted: somebody asked, its model's window fills, or its provider refused it as too long. */
export type CompactionCause = 'asked' | 'window' | 'overflow';
/** Who compacts where nobody was named: the model's own provider, or a cheap model of the same one. */
export type CompactedBy = 'native' | 'cheap';

export type WaitKind = 'approval' | 'question' | 'timer' | 'callback' | 'child' | 'outcome' | 'budget' | 'tool';

/** What a wait is answered with. Content a person typed is a body; `digest` is what an approver saw. */
export type Answer =
  | {
      kind: 'approval';
      decision: 'approve' | 'deny';
      digest: Digest;
      edited?: { digest: Digest; ref: BodyRef };
      note?: BodyRef;
      /** The grant that came with it: like calls are not asked for from then on. */
      grant?: string;
    }
  | { kind: 'question'; ref: BodyRef }
  | { kind: 'callback'; ref: BodyRef }
  | { kind: 'outcome'; outcome: 'done' | 'failed' | 'retry'; ref?: BodyRef }
  | { kind: 'budget'; decision: 'raise'; cap: Caps }
  | { kind: 'budget'; decision: 'deny' }
  | { kind: 'child'; ref: BodyRef }
  | { kind: 'tool'; decision: 'back' | 'gone' };

/** Which account a cap belongs to: a run's, its session's, or one of a budget above them. */
export type AccountId = string;
/**
 * A budget of a session, an agent or a tenant as it stands at a time: its accounts, from the day's up. What is reserved on
 * `account`, the lowest, counts on all. `endsAt`: when the period of one is over, wall ms; null: never.
 */
export type Budget = { account: AccountId; accounts: readonly BudgetAccount[] };
export type BudgetAccount = { id: AccountId; caps: Caps; endsAt: number | null };
export type Shortage = { account: AccountId; limit: 'tokens' | 'money'; needed: number; free: number };

export type Receipt = { seq: number; run?: RunId; wait?: WaitId };

export const NO_MEDIA: Media = { images: 0, files: 0, bytes: 0 };

export function addMedia(a: Media, b: Media): Media {
  return { images: a.images + b.images, files: a.files + b.files, bytes: a.bytes + b.bytes };
}

export function lessMedia(a: Media, b: Media): Media {
  return { images: a.images - b.images, files: a.files - b.files, bytes: a.bytes - b.bytes };
}

export const ZERO_USAGE: Usage = {
  input: 0,
  cachedInput: 0,
  cacheWrite: 0,
  output: 0,
  reasoning: 0,
  source: 'provider',
};

export function addUsage(a: Usage, b: Usage): Usage {
  return {
    input: a.input + b.input,
    cachedInput: a.cachedInput + b.cachedInput,
    cacheWrite: a.cacheWrite + b.cacheWrite,
    output: a.output + b.output,
    reasoning: a.reasoning + b.reasoning,
    source: a.source === 'bound' || b.source === 'bound' ? 'bound' : 'provider',
  };
}

/** Usage counts every input token once: `input` is what was neither read from nor written to a cache. */
export function tokensOf(usage: Usage): number {
  return usage.input + usage.cachedInput + usage.cacheWrite + usage.output;
}

/** What a hook made of an outcome before it was submitted; missing: each let it pass. */
export type GuardRuling = {
  guard: string;
  /** `denied`: calls that the answer asked for. */
  verdict: 'sanitised' | 'rejected' | 'quarantined' | 'denied';
  reason?: string;
};
