/**
 * Why a store refused, by code:
 * - `unavailable`: closed, or stopped by a failed flush; nothing is accepted until it is opened anew
 * - `full`: no space; nothing was written, reads go on, a later write may succeed
 * - `data_in_use`: another process owns this data
 * - `data_too_new`: a newer version wrote this data
 * - `data_too_old`: an older version wrote this data, and somebody must say when it is to be brought up to date
 * - `damaged`: the database file itself cannot be read (damage of one session is a `StoreDamage`)
 * - `bad_cursor`: not a cursor that this list gave
 * - `overloaded`: more requests wait than the store keeps (`LIMITS.pendingWrites`)
 * - `invalid_append`: a bug of the caller: a gap, a broken chain, a ledger operation on what was never opened
 */
export type StoreErrorCode =
  | 'unavailable'
  | 'full'
  | 'data_in_use'
  | 'data_too_new'
  | 'data_too_old'
  | 'damaged'
  | 'bad_cursor'
  | 'overloaded'
  | 'invalid_append';

/** Everything a store method rejects with, except `StoreDamage`. Switch on `code`, never on the text. */
export class StoreError extends Error {
  readonly code: StoreErrorCode;
  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
