/** What rules keep from a call is kept from its commands, whoever asks for them. */
import type { Sandbox, SandboxOptions, SandboxPath, SessionJobs } from '../ports.ts';
import { keeping } from '../policy/kept.ts';

/** Globs; missing: nothing is kept. */
type Kept = { kept?: readonly string[] };

function keptIn<T extends Pick<SandboxOptions, 'denies'>>(options: T, kept: readonly string[]): T {
  const { denies = () => false } = options;
  const keeps = keeping(kept);
  return { ...options, denies: (path: SandboxPath) => denies(path) || keeps(path) };
}

export function sandboxFor(sandbox: Sandbox, { kept }: Kept): Sandbox {
  if (kept === undefined) return sandbox;
  return {
    kind: sandbox.kind,
    probe: async () => sandbox.probe(),
    run: async (command, options) => sandbox.run(command, keptIn(options, kept)),
    close: async () => sandbox.close(),
  };
}

/** A job keeps to the rules of its start. */
export function jobsFor(jobs: SessionJobs, { kept }: Kept): SessionJobs {
  if (kept === undefined) return jobs;
  return { ...jobs, start: async (command, options, atEnd) => jobs.start(command, keptIn(options, kept), atEnd) };
}
