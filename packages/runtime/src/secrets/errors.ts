/** Why secrets cannot be kept or read: a stable code, and what to do. */
export type SecretsErrorCode =
  /** There is no key to seal with, and none that may be made here. */
  | 'secret_key_missing'
  /** The key is there and cannot be used: its form, or who else may read it. */
  | 'secret_key_invalid'
  /** What is stored was sealed with a key that is not here. */
  | 'secret_key_unknown'
  /** What is stored is not what was sealed for this name, or is an older one that was put back. */
  | 'secret_damaged'
  /** Somebody else has set it meanwhile. */
  | 'secret_conflict';

export class SecretsError extends Error {
  override readonly name = 'SecretsError';
  readonly code: SecretsErrorCode;
  constructor(code: SecretsErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
