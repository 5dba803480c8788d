/**
 * Everything the runtime asks of the outside, in one file. A store, a model, a tool or a driver is written against
 * these types alone. Failures of the outside are values with a code; only bugs throw, unless a method says otherwise.
 */
import type {
  AccountId,
  Amount,
  Caps,
  Cost,
  Digest,
  EffectClass,
  Price,
  Retry,
  RunStatus,
  Shortage,
  Spent,
  Usage,
} from '@perdure/engine';

export type { AccountId, Amount, Caps, Cost, Digest, EffectClass, Price, Retry, RunStatus, Shortage, Spent, Usage };

/** Wall time for people (`now`, integer ms) and monotonic time for durations. Leases use the store's own clock. */
export interface Clock {
  now(): number;
  monotonicMs(): number;
}

export interface Timer {
  /** Idempotent; after it `run` is never called. */
  cancel(): void;
}

export interface Timers {
  /** Calls `run` once, not before `afterMs`, never synchronously. */
  set(afterMs: number, run: () => void): Timer;
}

export interface Random {
  bytes(count: number): Uint8Array;
}

export type System = { clock: Clock; timers: Timers; random: Random };

// ---------------------------------------------------------------------------------------------------- the log

/** Where a log stands: the seq of its last entry and the hash of its last frame (hex; '' before the first). */
export type Head = { seq: number; hash: string };

/** Content beside the frame. `salt` ('' for none) goes before the text into its digest, and is erased with it. */
export type Body = { digest: Digest; salt: string; text: string };

/** The entries of one append: the unit that is stored, hashed and flushed. `hash` = SHA-256(previous hash ‖ bytes), hex. */
export type Frame = { first: number; count: number; bytes: Uint8Array; hash: string };
export type StoredFrame = Frame & { bodies: readonly Body[]; erased: boolean };

/** What lists, the sweeper and the feed read without folding. Written whole with each append. */
export type SessionIndex = {
  agent: string;
  key: string | null;
  title: string;
  status: 'idle' | 'running' | 'waiting' | 'closed' | 'quarantined';
  activeRun: string | null;
  queue: readonly string[];
  revision: number;
  usage: Usage;
  cost: Cost;
  createdAt: number;
  updatedAt: number;
  /** The next time (wall ms) at which something happens by itself; null: nothing is due. */
  dueAt: number | null;
  /** How many effects are outstanding: more than none means the session must be driven. */
  outstanding: number;
  waits: readonly { id: string; kind: string; run: string }[];
};

/** A run as lists show it; rows of runs that this append changed are upserted by (session, run). */
export type RunRow = {
  run: string;
  agent: string;
  status: RunStatus;
  reason: string | null;
  detail: string | null;
  /** Seq of `run.queued`. */
  seq: number;
  /** Where the final text is: a body in the frame of `seq`; null while there is none. */
  text: { digest: Digest; seq: number } | null;
  usage: Usage;
  cost: Cost;
  startedAt: number | null;
  endedAt: number | null;
};

/** Reserve, settle and release are keyed (effect and attempt) and idempotent: the same key twice counts once. */
export type LedgerOp =
  /** Creates the account, or sets its caps. `spent` is what counts as spent when it is created. */
  | { op: 'open'; account: AccountId; parent: AccountId | null; caps: Caps; spent: Amount }
  /** Refused when the account or one above it would pass a cap. */
  | { op: 'reserve'; key: string; account: AccountId; amount: Amount }
  /** Turns the reservation into spending of `amount`, which may be more than was reserved. */
  | { op: 'settle'; key: string; amount: Amount }
  | { op: 'release'; key: string };

export type Append = {
  session: string;
  /** Compare-and-swap: both the seq and the hash must be those of the store. `{seq: 0, hash: ''}` creates the session. */
  expectedHead: Head;
  frame: Frame;
  bodies: readonly Body[];
  ledger: readonly LedgerOp[];
  index: SessionIndex;
  runs: readonly RunRow[];
  /** Entries that name an attempt carry the epoch of who may dispatch it; checked in the append, on the store's clock. */
  fence?: { holder: string; epoch: number };
  /** It stops something: it may use the room that a store keeps for when the disk is full. */
  urgent?: boolean;
};

export type AppendResult =
  | { ok: true; head: Head }
  | { ok: false; code: 'conflict'; head: Head }
  | { ok: false; code: 'refused'; shortage: Shortage }
  | { ok: false; code: 'fenced' }
  | { ok: false; code: 'key_taken'; session: string }
  /** No space: nothing was written; reads go on; a later append may succeed. */
  | { ok: false; code: 'full' }
  /** The store stopped (a failed flush): nothing more is accepted until it is opened anew. */
  | { ok: false; code: 'unavailable'; detail: string };

export type SessionRow = { id: string; head: Head } & SessionIndex;
export type Page<T> = { items: T[]; next: string | null };
export type DueSessions = { sessions: string[]; next: string | null };
export type Change = { session: string; agent: string; head: number; status: SessionIndex['status'] };
export type DamageReport = {
  session: string;
  code: 'gap' | 'hash' | 'tail_lost' | 'body';
  seq: number;
  detail: string;
};

/**
 * One tenant's logs. An append is all or nothing and durable when it resolves; appends of many sessions may share one
 * flush. After `close` every method rejects with `unavailable`.
 */
export interface LogStore {
  append(request: Append): Promise<AppendResult>;
  /** Frames that hold any entry after `after` (exclusive), oldest first, at most `limit` frames. Damage throws StoreDamage. */
  read(session: string, options: { after: number; limit: number }): Promise<StoredFrame[]>;
  /** The head and index row; null: no such session here. */
  get(session: string): Promise<SessionRow | null>;
  find(key: string): Promise<SessionRow | null>;
  /** One body out of the frame that holds entry `seq`; null when erased or not there. */
  body(session: string, seq: number, digest: Digest): Promise<Body | null>;
  /** Calls `changed` after each commit of this process, in commit order. Returns the end of the watch. */
  watch(changed: (change: Change) => void): () => void;
  /** Newest first by creation. */
  list(query: { agent?: string; status?: string; cursor?: string; limit: number }): Promise<Page<SessionRow>>;
  runs(query: {
    agent?: string;
    status?: string;
    session?: string;
    cursor?: string;
    limit: number;
  }): Promise<Page<RunRow & { session: string }>>;
  run(session: string, run: string): Promise<RunRow | null>;
  /** Sessions with outstanding effects or a `dueAt` at or before `now`, in a stable order after `after`. */
  due(query: { now: number; after: string | null; limit: number }): Promise<DueSessions>;
  /** The newest change of each session after the cursor ('' from the start), at least once. */
  feed(after: string, limit: number): Promise<{ changes: Change[]; cursor: string } | { resync: true; cursor: string }>;
  /** Erases all bodies and snapshots of a session and leaves its frames as a tombstone; get and read answer as not found. */
  delete(session: string): Promise<boolean>;
  /** Re-reads and re-hashes the whole chain of one session (or all) and compares it with the heads journal. */
  verify(session?: string): Promise<DamageReport[]>;
}

/** Thrown by a read that meets damage: it names the session, the others go on. */
export class StoreDamage extends Error {
  readonly code = 'damaged';
  readonly report: DamageReport;
  constructor(report: DamageReport) {
    super(`session ${report.session} is damaged at seq ${report.seq}: ${report.code}, ${report.detail}`);
    this.report = report;
  }
}

/** A droppable cache of a fold: never the truth. Believed only when `engine` and the chain's hash at `seq` match. */
export type Snapshot = { seq: number; hash: string; engine: string; checksum: string; state: string; prefix: string };
export interface SnapshotStore {
  save(session: string, snapshot: Snapshot): Promise<void>;
  load(session: string): Promise<Snapshot | null>;
  drop(session: string): Promise<void>;
}

/** Larger bodies, by unsalted SHA-256 (base64url), flushed before `put` resolves. `put` renews the age, always. */
export interface BlobStore {
  put(bytes: Uint8Array): Promise<Digest>;
  get(digest: Digest): Promise<Uint8Array | null>;
  has(digest: Digest): Promise<boolean>;
  list(options: {
    after: string | null;
    limit: number;
  }): Promise<{ digest: Digest; bytes: number; renewedAt: number }[]>;
  delete(digest: Digest): Promise<void>;
}

export type Doc = { id: string; revision: number; doc: unknown };
/** Small documents with revisions. `expectedRevision` 0 creates; a wrong one gives `conflict`; `doc: null` removes. */
export interface DocStore {
  get(kind: string, id: string): Promise<Doc | null>;
  put(
    kind: string,
    id: string,
    doc: unknown,
    expectedRevision: number,
  ): Promise<{ ok: true; revision: number } | { ok: false; code: 'conflict'; revision: number }>;
  list(kind: string, options: { after: string | null; limit: number }): Promise<Doc[]>;
  /** Documents of the kind whose text holds every word of the query. */
  search(kind: string, query: string, limit: number): Promise<Doc[]>;
}

/** Leases on the store's own clock. An epoch only grows; a lease that ran out can be claimed by anyone. */
export interface LeaseStore {
  claim(
    name: string,
    holder: string,
    ttlMs: number,
  ): Promise<{ ok: true; epoch: number } | { ok: false; holder: string }>;
  renew(name: string, holder: string, epoch: number, ttlMs: number): Promise<boolean>;
  release(name: string, holder: string, epoch: number): Promise<void>;
}

/** What a store module opens: the five ports, scoped to a tenant (the tenant is part of every key). */
export type TenantStore = {
  log: LogStore;
  snapshots: SnapshotStore;
  blobs: BlobStore;
  docs: DocStore;
  leases: LeaseStore;
};
export interface Store {
  /** Grows with each opening of the data: the epoch of a store that one process owns. */
  readonly epoch: number;
  readonly name: string;
  tenant(tenant: string): TenantStore;
  tenants(): Promise<string[]>;
  /** What opening found wrong, session by session. */
  readonly damage: readonly DamageReport[];
  /** Why nothing is accepted any more (a flush failed, another owner): it must be opened anew. Null while it works. */
  unavailable(): string | null;
  /** Waits for what is under way, flushes, lets go of the data. Idempotent. */
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------- models

export type JsonSchema = { [key: string]: unknown };
export type Part =
  | { type: 'text'; text: string }
  | { type: 'image'; digest: Digest; mediaType: string }
  | { type: 'file'; digest: Digest; mediaType: string; name: string };

/** The context as every provider understands it. `native` goes back verbatim to the provider it came from. */
export type NeutralItem =
  | { kind: 'message'; parts: readonly Part[] }
  | { kind: 'turn'; model: string; text: string; calls: readonly AskedCall[]; native: unknown }
  | { kind: 'result'; providerId: string; name: string; outcome: string; content: string };
export type AskedCall = { id: string; name: string; arguments: string };

export type ToolDeclaration = { name: string; description: string; input: JsonSchema };
export type GenerateParams = {
  maxOutputTokens: number;
  temperature?: number;
  effort?: string;
  toolChoice?: 'auto' | 'none' | 'required' | { tool: string };
};

/** All of one model call. `rendered` is the adapter's own text of the items, kept from turn to turn (see `render`). */
export type GenerateRequest = {
  model: string;
  instructions: string;
  tools: readonly ToolDeclaration[];
  rendered: string;
  params: GenerateParams;
  /** JSON Schema the final answer must fit, where the provider can be told. */
  output?: JsonSchema;
  key: string;
  attempt: number;
};

export type Delta =
  | { part: 'text' | 'reasoning'; text: string }
  | { part: 'arguments'; call: number; name: string; text: string };

export type GenerateOutcome =
  /** Only on the provider's own terminal event: a cut stream is `failed`, whatever had arrived. */
  | {
      type: 'done';
      stop: 'end' | 'calls' | 'length' | 'filtered';
      text: string;
      reasoning: string;
      calls: AskedCall[];
      usage: Usage;
      native: unknown;
    }
  | { type: 'failed'; code: string; detail: string; retry: Retry; spent: Spent };

export type GenerateContext = {
  /** Aborts the request; the outcome is then `failed` with code `aborted`. The caller owns it. */
  signal: AbortSignal;
  /** Called synchronously and in order; never after the outcome. Must not throw. */
  delta(delta: Delta): void;
};

export type ModelInfo = {
  /** `provider/model`, as an agent names it. */
  id: string;
  provider: string;
  windowTokens: number | null;
  maxOutputTokens: number;
  price: (Price & { source: string; date: string }) | null;
  /** In the catalog; a model that is not is accepted, unpriced, with a default maximum output. */
  known: boolean;
};

export interface ModelAdapter {
  /** One item as this provider reads it, pure: JSON text of the elements it adds, comma-joined; '' adds nothing. */
  render(item: NeutralItem, model: string): string;
  /** Exactly the bytes that `generate` sends. */
  body(request: GenerateRequest): string;
  /** Never throws for an outcome; one request, no retries of its own. */
  generate(request: GenerateRequest, context: GenerateContext): Promise<GenerateOutcome>;
}

export type ResolvedModel = { info: ModelInfo; adapter: ModelAdapter };
export interface ModelSource {
  /** `message` says what to do: which key is missing, which provider is unknown. */
  resolve(model: string): ({ ok: true } & ResolvedModel) | { ok: false; message: string };
  list(): ModelInfo[];
  close(): Promise<void>;
}

// ---------------------------------------------------------------------------------------------------- tools

export type ToolContent = string | { [key: string]: unknown } | readonly unknown[];
export type ToolResult = {
  /** For the model. */
  content: ToolContent;
  /** For people; never sent to the model. */
  details?: unknown;
  isError?: boolean;
};
/** Parks the call; the answer of the wait is its result. Made by `wait()`. */
export type ToolParks = {
  wait:
    | { kind: 'question'; question: string; choices?: readonly string[]; expiresInMs?: number }
    | { kind: 'timer'; afterMs: number }
    | { kind: 'callback'; note?: string; expiresInMs?: number };
};

export type ToolContext = {
  /** The same for every attempt at this call, after any crash, and never the same for two calls. */
  key: string;
  attempt: number;
  signal: AbortSignal;
  session: string;
  run: string;
  call: string;
  /** For whoever watches the process (its own log, level debug); never in the session's log. */
  progress(text: string): void;
  /** A URL path and token that resolve this call's callback wait; derived from the key. */
  callback(): { path: string; token: string };
  blobs: { put(bytes: Uint8Array): Promise<Digest>; get(digest: Digest): Promise<Uint8Array | null> };
  secret(name: string): string | undefined;
};

export type ToolDefinition = {
  name: string;
  description: string;
  input: JsonSchema;
  effect: EffectClass;
  approval: 'always' | 'never';
  timeoutMs: number;
  /** `arguments` have passed the schema. A throw is a typed error result to the model. */
  run(args: unknown, context: ToolContext): Promise<ToolResult | ToolParks | ToolContent>;
  /** Did the call with this key happen? `unknown` asks a person. Only read, never act. */
  verify?(
    key: string,
    args: unknown,
    context: ToolContext,
  ): Promise<
    { outcome: 'done'; content: ToolContent } | { outcome: 'failed'; message: string } | { outcome: 'unknown' }
  >;
};

export interface Logger {
  debug(fields: { [key: string]: unknown }, message: string): void;
  info(fields: { [key: string]: unknown }, message: string): void;
  warn(fields: { [key: string]: unknown }, message: string): void;
  error(fields: { [key: string]: unknown }, message: string): void;
}
