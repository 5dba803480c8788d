import type { AppendResult, DamageReport, Fence, LedgerOp, OpenAccount, Snapshot } from '@perdure/runtime/ports';
import type { StoreErrorCode } from '../errors.ts';
import type { RunTuple } from '../rows.ts';

/** Of a fork: where the frames before this append are copied from. */
export type OriginTuple = [from: 'session' | 'stage', name: string];
/** A frame that comes from elsewhere; `bodies` null: erased. */
export type StagedTuple = [first: number, count: number, hash: string, frame: Uint8Array, bodies: string | null];

export type OtherWrite =
  | { op: 'tenant'; tenant: string }
  | { op: 'delete'; tenant: string; session: string }
  | { op: 'stage'; tenant: string; name: string; frames: StagedTuple[] | null }
  | { op: 'snapshot'; tenant: string; session: string; snapshot: Snapshot | null }
  | { op: 'doc'; tenant: string; kind: string; id: string; doc: string | null; words: string; expectedRevision: number }
  | { op: 'accounts'; tenant: string; accounts: readonly OpenAccount[]; keep: boolean }
  | {
      op: 'claim';
      tenant: string;
      name: string;
      holder: string;
      now: number;
      ttlMs: number | null;
      address: string | null;
    }
  | { op: 'offer'; tenant: string; name: string; unused: Fence | null; now: number }
  | { op: 'renew'; tenant: string; name: string; holder: string; epoch: number; now: number; ttlMs: number }
  | { op: 'release'; tenant: string; name: string; holder: string; epoch: number };

/** An append as the committer reads it out of a group. */
export type ReceivedAppend = {
  tenant: string;
  session: string;
  expected: { seq: number; hash: string };
  first: number;
  count: number;
  frame: Buffer;
  /** The previous hash and the frame: what the frame's hash is taken of. */
  chained: Buffer;
  hash: string;
  bodies: string;
  agent: string;
  status: string;
  key: string | null;
  due: number | null;
  doc: string;
  runs: RunTuple[] | null;
  ledger: readonly LedgerOp[] | null;
  fence: [holder: string, epoch: number, now: number] | null;
  urgent: boolean;
  origin: OriginTuple | null;
};

/** What the committer is started with. Each message to it rings the bell: one more in its only cell, and a notification. */
export type CommitterData = { directory: string; bell: Int32Array<SharedArrayBuffer> };

/** Writes that are committed together: see group.ts for how appends lie in `numbers` and `data`. */
export type Group = { type: 'group'; numbers: string; others: OtherWrite[]; data: Uint8Array };
export type ToCommitter = Group | { type: 'close' };

export type Refusal = Exclude<AppendResult, { ok: true }>;
export type WriteError = { error: StoreErrorCode; message: string };
/** What a write came to: 0 an append that is stored; else a refusal, the value of another write, or an error. */
export type Reply = 0 | { refusal: Refusal } | { value: unknown } | WriteError;

export type Opened = { type: 'opened'; epoch: number; damage: TenantDamage[] };
export type FromCommitter =
  | Opened
  | { type: 'failed'; code: StoreErrorCode | null; message: string }
  | { type: 'replies'; replies: Reply[] }
  /** A flush failed: nothing more is accepted. */
  | { type: 'stopped'; detail: string }
  | { type: 'closed' };

export type TenantDamage = { tenant: string; report: DamageReport };
