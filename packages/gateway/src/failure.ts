import { ApiError } from '@perdure/contract';
import type { Logger } from '@perdure/runtime/ports';

/** What a request failed with, as it may be told: what nobody foresaw is logged, and told by its request id alone. */
export function told(error: unknown, requestId: string, logger: Logger): ApiError {
  if (error instanceof ApiError) return error;
  logger.error({ requestId, error: error instanceof Error ? error.stack : String(error) }, 'a request failed');
  return new ApiError('internal', `something went wrong here; the server's log says more under ${requestId}`);
}
