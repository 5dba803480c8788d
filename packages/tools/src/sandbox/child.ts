/** A child process as the port has it. */
import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import type { SandboxEnd, SandboxProcess, Timers } from '@perdure/runtime/ports';
import { constants } from 'node:os';

export type Started = {
  child: ChildProcess;
  stdout: Readable;
  stderr: Readable;
  /** Null: it has none. */
  stdin: Writable | null;
  /** Ends it with all that it has started. */
  end(): void;
  /** Resolves, once it has ended, when nothing of it is left; never rejects. */
  gone(): Promise<void>;
};

/** `timeoutMs` counts from here. */
export function processOf(started: Started, timers: Timers, timeoutMs: number): SandboxProcess {
  const { child, stdin } = started;
  let reason: 'timeout' | 'stopped' | null = null;
  const kill = (why: 'timeout' | 'stopped'): void => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    reason ??= why;
    started.end();
  };
  const timer = timers.set(timeoutMs, () => kill('timeout'));
  // A command that no longer reads is no error of ours.
  stdin?.on('error', () => {});
  const ended = new Promise<SandboxEnd>((resolve) => {
    const settle = (code: number | null, signal: NodeJS.Signals | null): void => {
      timer.cancel();
      // Without a code the sandbox itself was ended, by somebody else.
      const exit = code ?? 128 + constants.signals[signal ?? 'SIGKILL'];
      const end: SandboxEnd = reason === null ? { type: 'exited', code: exit } : { type: 'killed', reason };
      void started.gone().then(() => resolve(end));
    };
    if (child.exitCode !== null || child.signalCode !== null) settle(child.exitCode, child.signalCode);
    else child.once('exit', settle);
  });
  return {
    stdout: started.stdout,
    stderr: started.stderr,
    write: async (bytes) =>
      new Promise((resolve) => {
        if (stdin === null || !stdin.writable) resolve(false);
        else stdin.write(bytes, (error) => resolve(error === null || error === undefined));
      }),
    endInput: () => stdin?.end(),
    kill: () => kill('stopped'),
    ended,
  };
}
