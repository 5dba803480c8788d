/** Data that another process has for a moment: a server that starts or stops, a command that runs without one. */
import { DataInUseError } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import { time } from './time.ts';

/**
 * `open` again and again while the data is somebody else's, for a few seconds. `elsewhere` is asked before each further
 * try: who has the data may be a server by then, and that is as good. Throws DataInUseError when the time is up, or at
 * once where the error names a server.
 */
export async function whenFree<T>(open: () => Promise<T>, elsewhere: () => Promise<T | null>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof DataInUseError)) throw error;
      const other = await elsewhere();
      if (other !== null) return other;
      if (error.server !== null || tries === LIMITS.ownerTries) throw error;
    }
    await new Promise<void>((resolve) => void time.timers.set(LIMITS.ownerRetryMs, resolve));
  }
}
