/** Exit codes of the command: a script switches on them. */
export const EXIT = {
  /** The run completed; of other commands: done. */
  ok: 0,
  /** The run failed or met a limit; of other commands: refused, or not to be had. */
  failed: 1,
  /** The time or the number of events was up; the run goes on. */
  timeout: 2,
  /** The message was not accepted. */
  notAccepted: 3,
  /** The stream was lost and could not be taken up again. */
  streamLost: 4,
  /** The command was not understood. */
  usage: 5,
  cancelled: 6,
  /** A person must answer, and there is no terminal to ask at. */
  needsPerson: 7,
  /** Stopped at once by a second interrupt, as a shell counts it. */
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The command was not understood: `message` says what of it, and the help of the command follows. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The command cannot do what was asked; the message says why and what to do. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exit: ExitCode;
  constructor(exit: ExitCode, message: string) {
    super(message);
    this.exit = exit;
  }
}
