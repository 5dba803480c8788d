import type { GuardCode } from './network/failure.ts';

/** What the first word of a failed result says; a model and a test switch on it, never on the text after it. */
export type ToolFailureCode =
  | 'invalid_arguments'
  | 'invalid_path'
  | 'invalid_pattern'
  | 'outside_root'
  | 'hidden'
  | 'not_found'
  | 'not_a_file'
  | 'not_a_directory'
  | 'hard_linked'
  | 'link_loop'
  | 'changed'
  | 'leads_elsewhere'
  | 'not_readable'
  | 'binary'
  | 'too_large'
  | GuardCode
  | 'http_status'
  | 'unsupported_type'
  | 'unreadable'
  | 'not_configured'
  | 'past_end'
  | 'out_of_range'
  | 'not_read'
  | 'stale'
  | 'no_match'
  | 'many_matches'
  | 'invalid_patch'
  | 'protected'
  | 'not_writable'
  | 'no_space'
  | 'sandbox_unavailable'
  | 'invalid_folder'
  | 'not_started'
  | 'too_many_jobs'
  | 'not_running';

/** Ends a tool's run with an error result: the message tells the model what to do, and names nothing outside the root. */
export class ToolFailure extends Error {
  readonly code: ToolFailureCode;
  constructor(code: ToolFailureCode, message: string) {
    super(message);
    this.code = code;
  }
}

export type ToolOptionsCode =
  | 'invalid_options'
  | 'invalid_root'
  | 'invalid_prefix'
  | 'invalid_host'
  | 'invalid_secret'
  | 'invalid_port'
  | 'invalid_origin'
  | 'invalid_proxy'
  | 'invalid_endpoint'
  | 'invalid_skill';

/** Thrown where tools are made with options that cannot be obeyed. */
export class ToolOptionsError extends Error {
  readonly code: ToolOptionsCode;
  constructor(code: ToolOptionsCode, message: string) {
    super(message);
    this.code = code;
  }
}
