/** What the runtime asks of a place where commands run that nobody trusts: a sandbox, a container, a machine. */

/** A folder of this machine that commands see. */
export type SandboxFolder = {
  /** Here: absolute, and the folder itself, not a link to it. */
  path: string;
  /** There: absolute. No folder lies in another. */
  at: string;
  write: boolean;
  /** What rules know it as: `NAME/…` is what it holds. Missing: paths in it begin with what it holds. */
  named?: string;
};

/** Something in a folder that commands see. `below`: as rules on paths name it; `here` and `there`: absolute. */
export type SandboxPath = { below: string; here: string; there: string };

/** Whatever reaches one is stopped or refused there; none can be lifted from inside. */
export type SandboxLimits = {
  /** At once, of the one command with all that it starts. */
  processes: number;
  /** Of each process. */
  memoryBytes: number;
  /**
   * Of the one command with all that it starts and what is in its own folders. Given, it is held or nothing begins; not
   * given, it is bounded where this machine lets a sandbox do so.
   */
  totalMemoryBytes?: number;
  /** Of each file. */
  fileBytes: number;
  /** Of folders that are there for the command alone, such as `/tmp`. */
  scratchBytes: number;
  /** Of the processor, for each process. */
  cpuSeconds: number;
  /** Of each process. */
  openFiles: number;
  /** From start to end; over, it is killed with all that it has started. */
  timeoutMs: number;
};

export type SandboxOptions = {
  folders: readonly SandboxFolder[];
  /** There: absolute. */
  cwd: string;
  /** All of its environment beside PATH, HOME and the language, which these may replace. */
  env: { readonly [name: string]: string };
  /**
   * What is kept from it of what its folders hold when it begins, by rules; a folder with all below. It stays at its path, and is
   * neither read nor changed. Pure. A sandbox that cannot keep it refuses, but for the one
   * that holds nothing and says so (`none`). Missing: nothing.
   */
  denies?: (path: SandboxPath) => boolean;
  /** What it reaches of the network: names (`example.com`, `*.example.com`, with `:PORT` where it is neither 80 nor 443). */
  hosts: readonly string[];
  /** Whether `write` works; without, it reads an empty input. */
  input: boolean;
  limits: SandboxLimits;
};

export type SandboxEnd =
  /** As a shell tells it: 128 and the signal's number where one ended it. */
  | { type: 'exited'; code: number }
  /** `timeout`: its time was over; `stopped`: by `kill`, or with whoever ran it. */
  | { type: 'killed'; reason: 'timeout' | 'stopped' };

/** A command that has begun. */
export type SandboxProcess = {
  /** To be read once each, to the end: what nobody reads makes the command wait. */
  readonly stdout: AsyncIterable<Uint8Array>;
  readonly stderr: AsyncIterable<Uint8Array>;
  /** Resolves once it is handed over; false: it takes no more input. */
  write(bytes: Uint8Array): Promise<boolean>;
  /** Ends its input. Idempotent. */
  endInput(): void;
  /** Ends it with all that it has started, at once. Idempotent. */
  kill(): void;
  /** Never rejects; by then nothing of it lives. */
  readonly ended: Promise<SandboxEnd>;
};

/** One wall of a sandbox, as it was found by trying it. */
export type SandboxWall = { wall: string; holds: boolean; detail: string };
export type SandboxReport = { kind: string; version: string | null; walls: readonly SandboxWall[] };

export interface Sandbox {
  /** `none`: commands run with all rights of this process, because the operator wants it so. */
  readonly kind: string;
  /** Tries each wall from inside. Throws SandboxError. */
  probe(): Promise<SandboxReport>;
  /**
   * Starts a command; it dies with this process. Throws SandboxError: `sandbox_unavailable` where there is no sandbox,
   * `invalid_folder` for a folder that may not be seen or is not what it was, `not_started` for anything else that kept
   * the command from beginning.
   */
  run(command: readonly [string, ...string[]], options: SandboxOptions): Promise<SandboxProcess>;
  /** Ends all that runs in it. */
  close(): Promise<void>;
}

export type SandboxErrorCode = 'sandbox_unavailable' | 'invalid_folder' | 'not_started';

/** The command has not begun; the message says what to do. */
export class SandboxError extends Error {
  override readonly name = 'SandboxError';
  readonly code: SandboxErrorCode;
  constructor(code: SandboxErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
