/** What the runtime asks of a store: five ports, and what opens them. */
import type { AccountId, Amount, Caps, Cost, Digest, RunStatus, Shortage, Usage } from '@perdure/engine';

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
  /** Its log begins as that of another session, up to this seq; missing: it does not. */
  forkedFrom?: { session: string; seq: number };
  /** Where it goes on; missing: here. */
  movedTo?: string;
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

/** What is booked on an account: its own, and that of the accounts below it since they were opened. */
export type AccountRow = { id: AccountId; parent: AccountId | null; caps: Caps; spent: Amount; reserved: Amount };
/** An account of no session's: of a budget, for a period. */
export type OpenAccount = { account: AccountId; parent: AccountId | null; caps: Caps };

/** Reserve, settle and release are keyed (effect and attempt) and idempotent: the same key twice counts once. */
export type LedgerOp =
  /** Creates the account, or sets its caps. `spent` is what counts as spent when it is created. */
  | { op: 'open'; account: AccountId; parent: AccountId | null; caps: Caps; spent: Amount }
  /** Refused when the account or one above it would pass a cap. */
  | { op: 'reserve'; key: string; account: AccountId; amount: Amount }
  /** Turns the reservation into spending of `amount`, which may be more than was reserved. */
  | { op: 'settle'; key: string; amount: Amount }
  | { op: 'release'; key: string };

/** Who may dispatch a session's attempts: the holder of its lease and that lease's epoch; holder '' where it is offered. */
export type Fence = { holder: string; epoch: number };

export type Append = {
  session: string;
  /** Compare-and-swap: both the seq and the hash must be those of the store. `{seq: 0, hash: ''}` creates the session. */
  expectedHead: Head;
  frame: Frame;
  bodies: readonly Body[];
  ledger: readonly LedgerOp[];
  index: SessionIndex;
  runs: readonly RunRow[];
  /**
   * Entries that name an attempt carry who may dispatch it; checked in the append, on the store's clock: the session's
   * lease has this holder and epoch and lives, or is offered. A session that begins in a shared store with a fence of
   * epoch 1 gets its lease row in the same transaction, held or offered as the fence says.
   */
  fence?: Fence;
  /** It stops something: it may use the room that a store keeps for when the disk is full. */
  urgent?: boolean;
};

export type AppendResult =
  | { ok: true; head: Head }
  | { ok: false; code: 'conflict'; head: Head }
  | { ok: false; code: 'refused'; shortage: Shortage }
  | { ok: false; code: 'fenced' }
  | { ok: false; code: 'key_taken'; session: string }
  /** Of a fork: its origin is not there, or has no frame that ends at the head that was named. */
  | { ok: false; code: 'no_prefix' }
  /** No space: nothing was written; reads go on; a later append may succeed. */
  | { ok: false; code: 'full' }
  /** The store stopped (a failed flush): nothing more is accepted until it is opened anew. */
  | { ok: false; code: 'unavailable'; detail: string };

/** Where a fork takes its frames from: another session, or what was staged under a name. */
export type Origin = { session: string } | { stage: string };

export type SessionRow = { id: string; head: Head } & SessionIndex;
export type Page<T> = { items: T[]; next: string | null };
export type DueSessions = { sessions: string[]; next: string | null };
export type Change = { session: string; agent: string; head: number; status: SessionIndex['status'] };
/**
 * A change as its commit tells it: also which run is the session's active one, how many effects are outstanding, and
 * whether it was committed through this very store object.
 */
export type CommittedChange = Change & { activeRun: string | null; outstanding: number; own: boolean };
export type DamageReport = {
  session: string;
  code: 'gap' | 'hash' | 'tail_lost' | 'body';
  seq: number;
  detail: string;
};

/** What was said in a session, as search finds it: the text of one entry. */
export type Said = { seq: number; at: number; run: string; role: 'user' | 'assistant'; text: string };
export type SaidHit = Omit<Said, 'text'> & {
  session: string;
  agent: string;
  /** The text around the first place that was found, on one line. */
  snippet: string;
};

/**
 * What search reads of a tenant's sessions: made from the log by whoever searches, and never in the way of an append. A
 * droppable cache: what is lost with a crash or by damage is made anew, and a session that is deleted is gone from it
 * before `delete` resolves.
 */
export interface TextIndex {
  /** The feed's cursor that it was brought up to ('' where it is new or was lost), and the last seq of each session in it. */
  progress(sessions: readonly string[]): Promise<{ cursor: string; reached: number[] }>;
  /**
   * Takes in what was said in sessions, which then reach to `upTo`, and that it is brought up to the cursor: all or
   * nothing. What a session reached already is passed over, and so is a session that was deleted.
   */
  add(
    batch: readonly { session: string; agent: string; upTo: number; said: readonly Said[] }[],
    cursor: string,
  ): Promise<void>;
  /**
   * Newest first by `at`. Each term must be in the text: its words one after another, in any case. Words are runs of
   * letters and digits; in scripts that are written without spaces each character is one. Terms without words find nothing.
   */
  search(query: { terms: readonly string[]; agent?: string; cursor?: string; limit: number }): Promise<Page<SaidHit>>;
}

/**
 * One tenant's logs. An append is all or nothing and durable when it resolves; appends of many sessions may share one
 * flush. After `close` every method rejects with `unavailable`.
 */
export interface LogStore {
  append(request: Append): Promise<AppendResult>;
  /**
   * Copies the frames of `origin` up to the head that `append` expects, with their bodies, into a session that is not
   * there yet, and appends to it: all or nothing. Neither depends on the other afterwards; what was staged is used up.
   * `conflict`, with its head, where the session is there or was deleted; `no_prefix`.
   */
  fork(origin: Origin, append: Append): Promise<AppendResult>;
  /**
   * Keeps frames that come from elsewhere for a `fork`, behind those that were staged before under this name; null lets
   * them go. Nobody reads them, and they are gone when the data is opened anew.
   */
  stage(name: string, frames: readonly StoredFrame[] | null): Promise<void>;
  /** Frames that hold any entry after `after` (exclusive), oldest first, at most `limit` frames. Damage throws StoreDamage. */
  read(session: string, options: { after: number; limit: number }): Promise<StoredFrame[]>;
  /** The head and index row; null: no such session here. */
  get(session: string): Promise<SessionRow | null>;
  find(key: string): Promise<SessionRow | null>;
  /** One body out of the frame that holds entry `seq`; null when erased or not there. */
  body(session: string, seq: number, digest: Digest): Promise<Body | null>;
  /**
   * Calls `changed` after each commit of this store object (`own`), in commit order and before the append resolves. A
   * shared store also tells what it hears of the commits of others: the newest of a session suffices, it may come twice,
   * out of order, late, or not at all; polling and the sweeper close each gap. Returns the end of the watch.
   */
  watch(changed: (change: CommittedChange) => void): () => void;
  /**
   * Opens accounts that no session has: parents first, with nothing spent. Those that are there get the caps, unless `keep`;
   * what is booked on them stays. From then on every append that reserves on them is held to these caps.
   */
  openAccounts(accounts: readonly OpenAccount[], options: { keep: boolean }): Promise<void>;
  /** What is booked on these accounts, in the order asked for; those that were never opened are left out. */
  accounts(ids: readonly AccountId[]): Promise<AccountRow[]>;
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
  /**
   * Sessions with outstanding effects or a `dueAt` at or before `now`, in a stable order after `after`. With `holder`
   * those are left out that another one holds by a live lease; with `agents` only sessions of these agents come.
   */
  due(query: {
    now: number;
    after: string | null;
    limit: number;
    holder?: string;
    agents?: readonly string[];
  }): Promise<DueSessions>;
  /** The newest change of each session after the cursor ('' from the start), at least once. */
  feed(after: string, limit: number): Promise<{ changes: Change[]; cursor: string } | { resync: true; cursor: string }>;
  /** What was said in the sessions of this log, for search. */
  readonly texts: TextIndex;
  /** Erases all bodies, snapshots and indexed texts of a session and leaves its frames as a tombstone; get and read answer as not found. */
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

/** A droppable cache of a fold: never the truth. Believed only when `engine` (which engine, and in which form it is written) and the chain's hash at `seq` match. */
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

/** A lease that lives, as lists show it. */
export type HeldLease = { name: string; holder: string; epoch: number; address: string | null };

/** The name of the lease that says who may dispatch a session's attempts. */
export const sessionLease = (session: string): string => `session/${session}`;

/**
 * Leases on the store's own clock. An epoch only grows; a lease that ran out can be claimed by anyone. A process that
 * works keeps one lease of its own by renewing it (a node's, named as its holder), and those of its sessions live by
 * that one: they are claimed without a time of their own.
 */
export interface LeaseStore {
  /**
   * `ttlMs` null: it lives as long as the live lease whose name is `holder`; refused with holder '' where there is none.
   * The holder itself gets a new epoch, as after its restart. An offered lease is taken with its epoch as it is: nobody
   * can have dispatched under it. `address`: where the holder is reached.
   */
  claim(
    name: string,
    holder: string,
    ttlMs: number | null,
    address?: string,
  ): Promise<{ ok: true; epoch: number } | { ok: false; holder: string }>;
  /** False where it is not this holder's with this epoch, or ran out: then it is lost for good. */
  renew(name: string, holder: string, epoch: number, ttlMs: number): Promise<boolean>;
  /** The next claim gets the epoch after this one. Of a lease that somebody else has by now nothing changes. */
  release(name: string, holder: string, epoch: number): Promise<void>;
  /**
   * Who may dispatch now. Where nobody lives under it, it is offered: holder '' and a new epoch that the next claim keeps.
   * `unused`: what the asker itself holds, and has dispatched nothing under that is outstanding. That is offered with its
   * epoch as it is, so that nothing counts as lost.
   */
  offer(name: string, unused?: Fence): Promise<Fence>;
  /** The leases that live and whose names begin so, by name. */
  list(prefix: string): Promise<HeldLease[]>;
}

/** What a store module opens: the five ports, scoped to a tenant (the tenant is part of every key). */
export type TenantStore = {
  log: LogStore;
  snapshots: SnapshotStore;
  blobs: BlobStore;
  docs: DocStore;
  leases: LeaseStore;
};
/** What can be asked of a tenant's data beside whoever owns it. */
export type ReadTenant = {
  log: Pick<LogStore, 'get' | 'read' | 'list' | 'due' | 'body'>;
  blobs: Pick<BlobStore, 'get'>;
  docs: Pick<DocStore, 'get' | 'list'>;
};
export interface Store {
  /** Grows with each opening of the data: the epoch of a store that one process owns. */
  readonly epoch: number;
  readonly name: string;
  /** False: this process alone has the data, and its `epoch` is the fence. True: others write, too, and leases decide. */
  readonly shared: boolean;
  tenant(tenant: string): TenantStore;
  tenants(): Promise<string[]>;
  /** What opening found wrong, session by session. */
  readonly damage: readonly DamageReport[];
  /** Why nothing is accepted any more (a flush failed, another owner): it must be opened anew. Null while it works. */
  unavailable(): string | null;
  /** Why it did not answer the last time that it was asked, where that may heal by itself; null, or missing: it does. */
  away?(): string | null;
  /** Waits for what is under way, flushes, lets go of the data. Idempotent. */
  close(): Promise<void>;
}
