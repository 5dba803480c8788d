/** What becomes of runs, told line by line to who runs the process. */
import type { Entry } from '@perdure/engine';
import type { Logger } from '../ports.ts';

/** Beginnings, ends, waits, and what is tried again. */
const TOLD: ReadonlySet<Entry['kind']> = new Set([
  'run.started',
  'run.ended',
  'turn.failed',
  'call.failed',
  'wait.opened',
]);

/** At level `debug`, each with its session and run: what is in the log of the session is told once it is there. */
export function tellRuns(logger: Logger, session: string, entries: readonly Entry[]): void {
  for (const { kind, run, seq, effect, data } of entries) {
    if (!TOLD.has(kind)) continue;
    const { status, code } = data as { status?: string; code?: string };
    logger.debug({ session, run, seq, effect, status, code }, kind);
  }
}
