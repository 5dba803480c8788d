/** Reads all data again from time to time, in a thread of the store's own: damage is found before it is needed. */
import type { DamageReport, LogStore, Logger, Timer, Timers } from '@perdure/runtime/ports';

export type Scrub = { stop(): void };

/**
 * Verifies every chain, first after `firstMs` and then each `everyMs`. What it finds is told once a session: the session
 * answers as damaged, the others go on. A pass that fails is logged, and the next one comes all the same.
 */
export function startScrub(
  log: Pick<LogStore, 'verify'>,
  { timers, logger, firstMs, everyMs }: { timers: Timers; logger: Logger; firstMs: number; everyMs: number },
): Scrub {
  const told = new Set<string>();
  let timer: Timer;
  let stopped = false;
  const tell = (report: DamageReport): void => {
    const name = `${report.session} ${report.code} ${report.seq}`;
    if (told.has(name)) return;
    told.add(name);
    logger.error({ ...report }, 'a session is damaged; the others go on');
  };
  const pass = async (): Promise<void> => {
    try {
      for (const report of await log.verify()) tell(report);
    } catch (error) {
      if (!stopped) logger.warn({ error: String(error) }, 'the data could not be verified; it is tried again later');
    }
    if (!stopped) timer = timers.set(everyMs, () => void pass());
  };
  timer = timers.set(firstMs, () => void pass());
  return {
    stop() {
      stopped = true;
      timer.cancel();
    },
  };
}
