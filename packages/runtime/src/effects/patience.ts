/** What was paid for is not thrown away because the storage is away for a while. */
import { backoffMs } from '../drive/faults.ts';
import { storageTrouble } from '../log/storage.ts';
import type { Timers } from '../ports.ts';
import type { Soon } from '../soon.ts';

/** Asks the store until it answers. Throws what it threw where that is no trouble of the storage, or `signal` is aborted. */
export async function patiently<T>(timers: Timers, signal: AbortSignal, ask: () => Soon<T>): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      const asked = ask();
      return asked instanceof Promise ? await asked : asked;
    } catch (error) {
      if (storageTrouble(error) === null || signal.aborted) throw error;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = timers.set(backoffMs(failures), resolve);
    const stop = (): void => resolve();
    signal.addEventListener('abort', stop, { once: true });
    await promise;
    timer.cancel();
    signal.removeEventListener('abort', stop);
  }
}
