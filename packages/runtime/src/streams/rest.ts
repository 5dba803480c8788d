/** Waiting for a run to come to rest: its end, or a wait that somebody must answer. */
import type { RunView } from '@perdure/contract';
import type { Parts } from '../parts.ts';

export const isEnded = (run: Pick<RunView, 'status'>): boolean =>
  ['completed', 'limited', 'failed', 'cancelled'].includes(run.status);
export const isAtRest = (run: Pick<RunView, 'status'>): boolean =>
  isEnded(run) || run.status === 'waiting' || run.status === 'held';

/** The run at its end, or when it waits or is held, or as it stands when the time is up or the host stops. */
export async function untilRest(
  parts: Parts,
  session: string,
  run: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<RunView> {
  // While the session works on this very run, it is not at rest.
  const watch = parts.watches.of(session, ({ status, activeRun }) => status !== 'running' || activeRun !== run);
  let late = false;
  const isLate = (): void => {
    late = true;
    watch.stir();
  };
  const timer = parts.system.timers.set(timeoutMs, isLate);
  const signals = signal === undefined ? [parts.stopping] : [parts.stopping, signal];
  for (const each of signals) each.addEventListener('abort', isLate, { once: true });
  try {
    for (;;) {
      const change = watch.next();
      const view = await parts.reads.run(session, run);
      const isAborted = signals.some(({ aborted }) => aborted);
      if (late || isAborted || isEnded(view) || (isAtRest(view) && (await needsPerson(parts, session, view))))
        return view;
      await change;
    }
  } finally {
    timer.cancel();
    for (const each of signals) each.removeEventListener('abort', isLate);
    watch.close();
  }
}

/** A timer ends by itself, and so does the work of another session; everything else waits for somebody. */
async function needsPerson(parts: Parts, session: string, run: RunView): Promise<boolean> {
  if (run.status === 'held') return true;
  const waits = await parts.reads.waits(session);
  return waits.some((wait) => wait.run === run.id && wait.kind !== 'timer' && wait.kind !== 'child');
}
