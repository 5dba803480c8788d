/** Waiting for a run to come to rest: its end, or a wait that somebody must answer. */
import type { RunView } from '@perdure/contract';
import type { Parts } from '../parts.ts';

export const isEnded = (run: Pick<RunView, 'status'>): boolean =>
  ['completed', 'limited', 'failed', 'cancelled'].includes(run.status);
export const isAtRest = (run: Pick<RunView, 'status'>): boolean =>
  isEnded(run) || run.status === 'waiting' || run.status === 'held';

/** Before anything that is known (monotonic ms), and after what is known to be out of date. */
const LONG_AGO = Number.MIN_SAFE_INTEGER;

/** The run at its end, or when it waits or is held, or as it stands when its session is parked, the time is up or the host stops. */
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
  const since = parts.system.clock.monotonicMs();
  // An end is final whoever remembers it. That it is not over is first believed: whoever ended it is heard of.
  let asked = LONG_AGO;
  const isAborted = (): boolean => signals.some(({ aborted }) => aborted);
  try {
    const first = watch.next();
    // Who asks right after it has sent a message need not be told that it has not been answered yet.
    if (!isAborted() && parts.reads.isUnderWay(session, run)) await first;
    for (;;) {
      const change = watch.next();
      let view = await parts.reads.run(session, run, asked);
      if (asked < since && !isEnded(view) && isAtRest(view)) view = await parts.reads.run(session, run, since);
      asked = since;
      const isOver = late || isAborted() || parts.quarantine.has(session);
      if (isOver || isEnded(view) || (isAtRest(view) && (await needsPerson(parts, session, view)))) return view;
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
