/** What a request can be refused or fail with: a stable code, its HTTP status, and text for people. */
import { z } from 'zod';

/** Each code with its status (DESIGN §13). What is special about one case goes into `details`. */
export const ERROR_STATUS = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  /** Also for what exists and is not the caller's. */
  not_found: 404,
  method_not_allowed: 405,
  submission_conflict: 409,
  revision_conflict: 409,
  wait_resolved: 409,
  session_closed: 409,
  invalid_state: 409,
  data_in_use: 409,
  too_large: 413,
  unsupported_media_type: 415,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
  storage_full: 507,
} as const;
export type ErrorCode = keyof typeof ERROR_STATUS;
export type ErrorDetails = { [key: string]: unknown };

const codes = Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]];

/** `{error: {code, message, details?, requestId}}`, the body of every answer that is not a success. */
export const errorBodySchema = z.strictObject({
  error: z.strictObject({
    code: z.enum(codes),
    message: z.string(),
    details: z.record(z.string(), z.unknown()).exactOptional(),
    requestId: z.string().exactOptional(),
  }),
});
export type ErrorBody = z.output<typeof errorBodySchema>;

/** Refused or failed, with a code to switch on. `message` says what is wrong and what to do. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: ErrorDetails | undefined;
  readonly requestId: string | undefined;

  constructor(code: ErrorCode, message: string, more: { details?: ErrorDetails; requestId?: string } = {}) {
    super(message);
    this.code = code;
    this.status = ERROR_STATUS[code];
    this.details = more.details;
    this.requestId = more.requestId;
  }

  /** The body on the wire; `requestId` is the one of the answering request where this error has none of its own. */
  toBody(requestId?: string): ErrorBody {
    const error: ErrorBody['error'] = { code: this.code, message: this.message };
    if (this.details !== undefined) error.details = this.details;
    const id = this.requestId ?? requestId;
    if (id !== undefined) error.requestId = id;
    return { error };
  }

  /** Reads an answer's body; what is not in the shape (a proxy's page) becomes `unavailable` or `internal` by its status. */
  static fromBody(status: number, body: unknown): ApiError {
    const parsed = errorBodySchema.safeParse(body);
    if (!parsed.success) {
      const code = codes.find((candidate) => ERROR_STATUS[candidate] === status) ?? fallback(status);
      return new ApiError(code, `the server answered ${status} without an error body`, { details: { status } });
    }
    const { code, message, details, requestId } = parsed.data.error;
    const more: { details?: ErrorDetails; requestId?: string } = {};
    if (details !== undefined) more.details = details;
    if (requestId !== undefined) more.requestId = requestId;
    return new ApiError(code, message, more);
  }
}

const fallback = (status: number): ErrorCode => {
  if (status >= 502 && status <= 504) return 'unavailable';
  return status >= 400 && status < 500 ? 'invalid_request' : 'internal';
};
