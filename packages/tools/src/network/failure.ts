/** Why a request did not leave, or its answer was not taken. */
export type GuardCode =
  /** No URL, or one that holds credentials. */
  | 'invalid_url'
  /** Its scheme or its port is not granted. */
  | 'forbidden_url'
  /** The operator's lists do not let it through. */
  | 'forbidden_host'
  /** It leads to an address that nobody may reach. */
  | 'forbidden_address'
  | 'unresolved'
  | 'unreachable'
  | 'too_many_redirects'
  | 'too_large'
  /** What came back is no answer of HTTP, or is packed in a way that was not asked for. */
  | 'invalid_answer';

/** The message says what was refused and, where it is for the operator to allow, which option does. */
export class GuardFailure extends Error {
  readonly code: GuardCode;
  constructor(code: GuardCode, message: string) {
    super(message);
    this.code = code;
  }
}
