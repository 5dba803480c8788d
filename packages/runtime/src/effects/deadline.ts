import type { Timers } from '../ports.ts';

export type Bounded<T> =
  | { ended: 'value'; value: T }
  | { ended: 'thrown'; error: unknown }
  | { ended: 'timeout' | 'aborted' };

/**
 * Runs work that may hang. When `timeoutMs` is over or `signal` aborts, the work's own signal aborts, for the reason
 * `timeout` or for that of `signal`; what does not come back within `graceMs` after that is given up. The reason of the
 * end is the caller's to judge.
 */
export async function bounded<T>(
  timers: Timers,
  options: { timeoutMs: number; graceMs: number; signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<Bounded<T>> {
  const controller = new AbortController();
  let stopped: 'timeout' | 'aborted' | null = null;
  let giveUp: (ended: Bounded<T>) => void = () => {};
  const givenUp = new Promise<Bounded<T>>((resolve) => {
    giveUp = resolve;
  });
  let grace: { cancel(): void } | null = null;
  const stop = (reason: 'timeout' | 'aborted'): void => {
    if (stopped !== null) return;
    stopped = reason;
    controller.abort(reason === 'timeout' ? reason : options.signal.reason);
    grace = timers.set(options.graceMs, () => giveUp({ ended: reason }));
  };
  const timer = timers.set(options.timeoutMs, () => stop('timeout'));
  const onAbort = (): void => stop('aborted');
  if (options.signal.aborted) stop('aborted');
  else options.signal.addEventListener('abort', onAbort, { once: true });
  const settled = (async (): Promise<Bounded<T>> => {
    try {
      return { ended: 'value', value: await work(controller.signal) };
    } catch (error) {
      return stopped === null ? { ended: 'thrown', error } : { ended: stopped };
    }
  })();
  const result = await Promise.race([settled, givenUp]);
  timer.cancel();
  (grace as { cancel(): void } | null)?.cancel();
  options.signal.removeEventListener('abort', onAbort);
  return result;
}
