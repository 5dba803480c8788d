/**
 * Who may dispatch a session's attempts. Anybody may step: an append is compare-and-swap. Naming an attempt and
 * dispatching it belongs to one process at a time, and the fence in the append says which.
 */
import type { Fence } from '../ports.ts';

export interface Holding {
  /** Whether others may have sessions that this process steps. False: one process owns the data. */
  readonly isShared: boolean;
  /**
   * Under what an entry that is written now names an attempt: the epoch of the process that owns the store; where leases
   * decide, the live holder's, whoever that is, or an offer. `bornFor`: the agent of a session that begins with this
   * entry, else null. May be out of date: then the store refuses it.
   */
  fence(session: string, bornFor: string | null): Fence | Promise<Fence>;
  /** The session has begun with this fence. */
  born(session: string, fence: Fence): void;
  /** The store refused a fence: what was known of the session is forgotten. False where there is nothing to try again. */
  refused(session: string): boolean;
  /**
   * Makes the session this process's own where nobody else has it. The epoch to dispatch under; null: not here. Rejects
   * with `unavailable` where that cannot be told at the moment: then it is to be asked again.
   */
  hold(session: string): number | null | Promise<number | null>;
  /** The epoch held at this moment, by this process's own clock and memory: asked immediately before each dispatch. */
  held(session: string): number | null;
  /** What due work is asked for with: not what another one holds; `free`: only what nobody holds. */
  filter(free: boolean): { holder?: string; agents?: readonly string[] };
  /** Whether this process is to work on sessions of the agent at all. */
  serves(agent: string): boolean;
  /** No other process works on anything, as far as is known. */
  isAlone(): boolean;
  /** Whether it is this process that takes the session first where several could. */
  prefers(session: string): boolean;
  /**
   * Lets the session go. `unused`: nothing that is outstanding was dispatched under its epoch, so whoever comes next goes
   * on under the same one, and nothing counts as lost. Where it fails, the session stays held.
   */
  release(session: string, unused: boolean): Promise<void>;
  /** `changed`: sessions may have become free, and whoever drives should look. Rejects where the store cannot be reached. */
  start(changed: () => void): Promise<void>;
  /** Lets go of everything. Idempotent. */
  stop(): Promise<void>;
}

/** One process owns the store: its epoch is the fence, and everything is its own. `works` false: it only steps. */
export function soleHolding(epoch: number, works = true): Holding {
  const fence: Fence = { holder: `epoch ${epoch}`, epoch };
  const held = works ? epoch : null;
  return {
    isShared: false,
    fence: () => fence,
    born: () => {},
    refused: () => false,
    hold: () => held,
    held: () => held,
    filter: () => ({}),
    serves: () => works,
    isAlone: () => true,
    prefers: () => works,
    release: async () => {},
    start: async () => {},
    stop: async () => {},
  };
}
