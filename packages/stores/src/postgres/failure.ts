/** What went wrong with a statement, sorted by what follows from it. */
import { StoreError, type StoreErrorCode } from '../errors.ts';

/**
 * - `lost`: the connection went away before the answer: what was asked may have happened
 * - `again`: two transactions were in each other's way, and this one was undone: it may be tried again
 * - `full`, `unavailable`: it was undone, and the server cannot do it now
 * - `wrong`: it was undone, and would be for ever
 */
export type Failure = 'lost' | 'again' | 'full' | 'unavailable' | 'wrong';

/** A deadlock, a serialisation failure, and two rows of one key: whoever comes second sees what is there by then. */
const AGAIN = new Set(['40001', '40P01', '23505']);
/** Classes of SQLSTATE: connection, insufficient resources, operator intervention, system error, internal error, read-only. */
const UNAVAILABLE = /^(?:08|53|57|58|XX|25006|55P03)/;
/** Insufficient privilege: an operator has to grant something, and nothing is wrong with the data. */
const NOT_ALLOWED = '42501';
const DISK_FULL = '53100';

/** Anything that the server did not answer with a plain ERROR leaves open what came of the statement. */
export function failureOf(error: unknown): Failure {
  if (!(error instanceof Error) || !('severity' in error) || error.severity !== 'ERROR') return 'lost';
  const state = sqlState(error);
  if (AGAIN.has(state)) return 'again';
  if (state === DISK_FULL) return 'full';
  return UNAVAILABLE.test(state) || state === NOT_ALLOWED ? 'unavailable' : 'wrong';
}

export function sqlState(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** The error that a port's method rejects with. What Postgres says names tables and hosts, never a password. */
export function storeErrorOf(error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const codes: { readonly [failure in Failure]: StoreErrorCode } = {
    lost: 'unavailable',
    again: 'unavailable',
    unavailable: 'unavailable',
    full: 'full',
    wrong: 'damaged',
  };
  const hint = sqlState(error) === NOT_ALLOWED ? ': grant it to the role that Perdure connects as' : '';
  return new StoreError(codes[failureOf(error)], messageOf(error) + hint);
}

/** An AggregateError (each address of a host refused) says nothing itself. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  const state = sqlState(error);
  const message = error instanceof Error ? error.message : String(error);
  return state === '' || message.includes(state) ? message : `${message} (${state})`;
}
