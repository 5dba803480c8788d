/** Time, chance and the log lines of the process: everything a part may not take for itself. */

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

export interface Logger {
  debug(fields: { [key: string]: unknown }, message: string): void;
  info(fields: { [key: string]: unknown }, message: string): void;
  warn(fields: { [key: string]: unknown }, message: string): void;
  error(fields: { [key: string]: unknown }, message: string): void;
}
