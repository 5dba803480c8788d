/** How a process is asked to stop. */
import { LIMITS } from '../limits.ts';
import { EXIT } from './exit.ts';
import { time } from './time.ts';

/**
 * Resolves at the first SIGINT, SIGTERM or SIGHUP. Interrupts close together are one, as a terminal and a parent process
 * may both pass one on; a later one ends the process at once, and so does any of `atOnce` that comes later.
 */
export function untilStopped(atOnce: readonly NodeJS.Signals[] = ['SIGINT']): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let firstMs: number | null = null;
    const stop = (signal: NodeJS.Signals): void => {
      const now = time.monotonicMs();
      if (firstMs === null) {
        firstMs = now;
        resolve(signal);
      } else if (atOnce.includes(signal) && now - firstMs > LIMITS.interruptMs) {
        process.exit(EXIT.interrupted);
      }
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  });
}
