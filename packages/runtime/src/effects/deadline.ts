import { begun } from '../soon.ts';
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
export function bounded<T>(
  timers: Timers,
  options: { timeoutMs: number; graceMs: number; signal: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<Bounded<T>> {
  const { signal } = options;
  const controller = new AbortController();
  const { promise, resolve } = Promise.withResolvers<Bounded<T>>();
  let stopped: 'timeout' | 'aborted' | null = null;
  let grace: { cancel(): void } | null = null;
  const end = (ended: Bounded<T>): void => {
    timer.cancel();
    grace?.cancel();
    signal.removeEventListener('abort', onAbort);
    resolve(ended);
  };
  const stop = (reason: 'timeout' | 'aborted'): void => {
    if (stopped !== null) return;
    stopped = reason;
    controller.abort(reason === 'timeout' ? reason : signal.reason);
    grace = timers.set(options.graceMs, () => end({ ended: reason }));
  };
  const timer = timers.set(options.timeoutMs, () => stop('timeout'));
  const onAbort = (): void => stop('aborted');
  if (signal.aborted) stop('aborted');
  else signal.addEventListener('abort', onAbort, { once: true });
  begun(() => work(controller.signal)).then(
    (value) => end({ ended: 'value', value }),
    (error: unknown) => end(stopped === null ? { ended: 'thrown', error } : { ended: stopped }),
  );
  return promise;
}
