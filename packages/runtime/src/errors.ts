/** Errors of the runtime's own that callers switch on by `code`. Errors of the API are the contract's `ApiError`. */
export class ConfigError extends Error {
  readonly code: 'invalid_config' | 'invalid_tool' | 'unknown_model' | 'duplicate_agent';
  /** Where in the configuration, e.g. `agents.0.limits.turns`. */
  readonly path: string;
  constructor(code: ConfigError['code'], path: string, message: string) {
    super(path === '' ? message : `${path}: ${message}`);
    this.name = 'ConfigError';
    this.code = code;
    this.path = path;
  }
}
