/** Refusals and failures as the codes of the contract. */
import { ApiError } from '@perdure/contract';
import type { Rejection } from '@perdure/engine';
import type { Caller } from './api.ts';
import { NotAdmitted } from './driver.ts';
import { FrameTooLarge } from './frame.ts';
import type { Logger } from './ports.ts';
import { StoreDamage } from './ports.ts';
import { KeyTaken, StorageUnavailable } from './step.ts';

export const refused = ({ code, message, details }: Rejection): ApiError =>
  new ApiError(code, message, details === undefined ? {} : { details });

/** Failures of the outside as codes; what is left is a bug, logged and told by its request id alone (P13). */
export async function guarded<T>(parts: { logger: Logger }, caller: Caller, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ApiError) throw error;
    if (error instanceof NotAdmitted)
      throw new ApiError(error.code === 'quarantined' ? 'invalid_state' : error.code, error.message);
    if (error instanceof StorageUnavailable)
      throw new ApiError(error.code === 'storage_full' ? 'storage_full' : 'unavailable', error.message);
    if (error instanceof FrameTooLarge) throw new ApiError('too_large', error.message);
    if (error instanceof KeyTaken) throw new ApiError('invalid_state', error.message);
    if (error instanceof StoreDamage)
      throw new ApiError('unavailable', error.message, { details: { ...error.report } });
    if (error instanceof Error && 'code' in error && error.code === 'bad_cursor')
      throw new ApiError('invalid_request', error.message, { details: { path: 'cursor' } });
    parts.logger.error(
      { requestId: caller.requestId, error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
      'a request failed',
    );
    throw new ApiError('internal', 'something went wrong here; the log has the details under this request id', {
      requestId: caller.requestId,
    });
  }
}
