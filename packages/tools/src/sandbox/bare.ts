/** No sandbox at all: commands run with all rights of this process. For whoever asked for that in so many words. */
import { spawn } from 'node:child_process';
import process from 'node:process';
import type { Sandbox, SandboxFolder, SandboxProcess, Timers } from '@perdure/runtime/ports';
import { SandboxError } from '@perdure/runtime/ports';
import { processOf } from './child.ts';
import { isWithin, openFolders } from './folders.ts';
import { USUAL_ENV } from './layout.ts';

/**
 * Of the options, folders (where they are, and whether they may be seen), `cwd`, `env`, `input` and `timeoutMs` mean
 * something; hosts, other limits and what rules deny hold nothing. A command that leaves its process group outlives its end.
 */
export function createBare({ timers, apart = [] }: { timers: Timers; apart?: readonly string[] }): Sandbox {
  const running = new Set<SandboxProcess>();
  return {
    kind: 'none',
    probe: () => Promise.resolve({ kind: 'none', version: null, walls: [] }),
    async run([program, ...args], { folders, cwd, env, input, limits }) {
      for (const folder of openFolders(folders, apart)) folder[Symbol.dispose]();
      const child = spawn(program, args, {
        cwd: hereOf(folders, cwd),
        env: { ...USUAL_ENV, ...env },
        stdio: [input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
        detached: true,
      });
      await new Promise<void>((begun, failed) => {
        child.once('spawn', begun);
        child.once('error', (error) => failed(new SandboxError('not_started', error.message)));
      });
      const { stdout, stderr } = child;
      if (stdout === null || stderr === null) throw new SandboxError('not_started', 'the command has no output');
      const end = (): void => endGroup(child.pid);
      // What it has left behind in its group ends with it, as it would in a sandbox.
      child.once('exit', end);
      const gone = async (): Promise<void> => {};
      const started = processOf({ child, stdout, stderr, stdin: child.stdin, end, gone }, timers, limits.timeoutMs);
      running.add(started);
      void started.ended.then(() => running.delete(started));
      return started;
    },
    async close() {
      const all = [...running];
      for (const each of all) each.kill();
      await Promise.all(all.map(async ({ ended }) => ended));
    },
  };
}

/** Where a place inside is here; what is in no folder is what it says. */
function hereOf(folders: readonly SandboxFolder[], cwd: string): string {
  const found = folders.find(({ at }) => isWithin(at, cwd));
  return found === undefined ? cwd : found.path + cwd.slice(found.at.length);
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone.
  }
}
