/** What the parts of one simulation share. */
import type { Amount, Append, AppendResult, Clock, Store, ToolDefinition } from '@perdure/runtime/ports';
import type { Bug } from './bugs.ts';
import type { Coverage } from './coverage.ts';
import type { KeepCopy } from './crafts.ts';
import type { FaultName, Plan } from './plan.ts';
import type { Grants } from './grants.ts';
import type { Heads } from './heads.ts';
import type { Purses } from './purses.ts';
import type { Prng } from './random.ts';
import type { Scheduler } from './scheduler.ts';
import type { Truth } from './truth.ts';

/** Data that outlives its stores: each opening takes it from the one before, and sees exactly what that committed. */
export type Disk = {
  open(clock: Clock): Store;
  /** Opens it beside whoever has it open: these stores share the data, and hear each other. */
  share(clock: Clock): Store;
  /** A lease as it lies there. */
  lease(name: string): { holder: string | null; epoch: number; expiresAt: number | null } | undefined;
  /** What its ledger has of an account; undefined where it was never opened. */
  account(id: string): { spent: Amount; reserved: Amount } | undefined;
  /** A content as it lies there. */
  blob(digest: string): Uint8Array | undefined;
};

/** What the storage is like at the moment, for every process. */
export type Weather = {
  full: boolean;
  /** An account above the session's has nothing left. */
  short: boolean;
  refuses(request: Append): AppendResult | null;
};

export type Sim = {
  readonly plan: Plan;
  readonly random: Prng;
  readonly scheduler: Scheduler;
  readonly truth: Truth;
  readonly coverage: Coverage;
  readonly clock: Clock;
  /** Of the store: what leases go by. */
  readonly storeClock: Clock;
  readonly disk: Disk;
  readonly purses: Purses;
  readonly heads: Heads;
  readonly grants: Grants;
  /** The tools that change files, as they are. */
  readonly files: readonly ToolDefinition[];
  /** How a job keeps what it has changed; null: there are no such jobs. */
  readonly keep: KeepCopy | null;
  readonly bug: Bug | null;
  readonly weather: Weather;
  /** Whether faults are still injected. */
  faulty(): boolean;
  /** Draws whether a fault happens here and now; counts it, against what `session` (or all) was doing. */
  fault(name: FaultName, session?: string): boolean;
  /** The same for what befalls one attempt: drawn for it alone. */
  befalls(name: FaultName, draw: Prng, session: string): boolean;
  /** Ends the simulation as failed; the first failure counts. */
  fail(error: unknown): void;
  /** Runs what a client does by itself: a rejection fails the simulation. */
  spawn(work: Promise<void>): void;
};
