/** Refusals and failures as the codes of the contract. */
import { ApiError } from '@perdure/contract';
import type { Rejection } from '@perdure/engine';
import type { Caller } from './api.ts';
import { NotCanonical } from './log/digest.ts';
import { NotAdmitted } from './drive/driver.ts';
import { FrameTooLarge, UnknownEntry } from './log/frame.ts';
import { LIMITS } from './limits.ts';
import type { Logger } from './ports.ts';
import { StoreDamage } from './ports.ts';
import { NoBoundary } from './log/prefix.ts';
import { BodyMissing } from './log/sessions.ts';
import { KeyTaken } from './log/refused.ts';
import { BadExport } from './transfer/format.ts';
import { storageTrouble } from './log/storage.ts';
import type { Redactor } from './secrets/redact.ts';

export const refused = ({ code, message, details }: Rejection): ApiError =>
  new ApiError(code, message, details === undefined ? {} : { details });

type Telling = { logger: Logger; redactor: Redactor };

/** Failures of the outside as codes; what is left is a bug, logged and told by its request id alone (P13). */
export async function guarded<T>(parts: Telling, caller: Caller, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const known = error instanceof ApiError ? error : knownFailure(error);
    if (known !== null) throw clean(known, parts.redactor);
    parts.logger.error(
      { requestId: caller.requestId, error: error instanceof Error ? (error.stack ?? error.message) : String(error) },
      'a request failed',
    );
    throw new ApiError('internal', 'something went wrong here; the log has the details under this request id', {
      requestId: caller.requestId,
    });
  }
}

/** The same for a stream: what breaks it off is told in the same codes. */
export async function* guardedStream<T>(parts: Telling, caller: Caller, stream: AsyncGenerator<T>): AsyncGenerator<T> {
  try {
    for (;;) {
      const next = await guarded(parts, caller, async () => stream.next());
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await stream.return(undefined);
  }
}

/** What it says back may be what was asked with. */
function clean(error: ApiError, redactor: Redactor): ApiError {
  const told = { message: error.message, details: error.details };
  const { message, details } = redactor.value(told);
  if (message === told.message && details === told.details) return error;
  const more = details === undefined ? {} : { details };
  const { code, requestId } = error;
  return new ApiError(code, message, requestId === undefined ? more : { ...more, requestId });
}

/** Null: nobody foresaw this. */
function knownFailure(error: unknown): ApiError | null {
  const later = { details: { retryMs: LIMITS.retryMs } };
  if (error instanceof NotAdmitted)
    return error.code === 'quarantined'
      ? new ApiError('invalid_state', error.message)
      : new ApiError(error.code, error.message, later);
  const trouble = storageTrouble(error);
  if (trouble !== null)
    return new ApiError(trouble.code === 'storage_full' ? 'storage_full' : 'unavailable', trouble.message, later);
  if (error instanceof FrameTooLarge) return new ApiError('too_large', error.message);
  if (error instanceof KeyTaken) return new ApiError('invalid_state', error.message);
  if (error instanceof NotCanonical) return new ApiError('invalid_request', error.message);
  if (error instanceof UnknownEntry || error instanceof BodyMissing)
    return new ApiError('invalid_state', error.message);
  if (error instanceof BadExport)
    return new ApiError('invalid_request', error.message, { details: { line: error.line } });
  if (error instanceof NoBoundary)
    return new ApiError('invalid_request', error.message, { details: { path: 'at', ...error.details } });
  if (error instanceof StoreDamage) return new ApiError('unavailable', error.message, { details: { ...error.report } });
  if (error instanceof Error && 'code' in error && error.code === 'bad_cursor')
    return new ApiError('invalid_request', error.message, { details: { path: 'cursor' } });
  return null;
}
