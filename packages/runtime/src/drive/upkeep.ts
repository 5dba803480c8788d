import { outstanding, wakeAt } from '@perdure/engine';
import type { HostOptions } from '../host.ts';
import { LIMITS } from '../limits.ts';
import { waitsToStart } from '../log/views.ts';
import type { Parts } from '../parts.ts';
import type { Courier } from './driver.ts';

/** What a driver asks besides: what is outstanding, what is due, what must be parked or may leave memory. */
export function upkeep(
  { system, logger, redactor, sweepMs }: Pick<HostOptions, 'system' | 'logger' | 'redactor' | 'sweepMs'>,
  {
    store,
    sessions,
    streams,
    quarantine,
    holding,
  }: Pick<Parts, 'store' | 'sessions' | 'streams' | 'quarantine' | 'holding'>,
  lifted: (session: string) => void,
): Omit<Courier, 'step' | 'perform'> {
  return {
    look: async (session) =>
      sessions.exclusive(session, async () => {
        const { state } = await sessions.current(session, 0);
        // An opening that the storage did not take.
        if (state.phase === 'fresh') sessions.drop(session);
        return { effects: outstanding(state), wakeAt: waitsToStart(state) ? 0 : wakeAt(state), agent: state.agent };
      }),
    due: async (after, which) => {
      // What comes due before the next sweep is told now, so that its timer is armed in time (P7).
      const horizon = system.clock.now() + (which === 'left' ? 0 : (sweepMs ?? LIMITS.sweepMs));
      const filter = holding.filter(which !== 'mine');
      const page = await store.log.due({ now: horizon, after, limit: LIMITS.sweepPage, ...filter });
      return { sessions: page.sessions.filter((id) => !quarantine.has(id)), next: page.next };
    },
    quarantine: async (session, reason) => {
      sessions.drop(session);
      streams.forget(session);
      logger.error({ session, reason }, 'the session is quarantined');
      await quarantine.add(session, redactor.text(reason), system.clock.now());
    },
    admits: async (session) => {
      if (await quarantine.learns(session)) return 'parked';
      return quarantine.onTrial === session ? 'later' : 'admitted';
    },
    evict: async (busy) => {
      await streams.recheck(store.log);
      if (holding.isShared) for (const session of await quarantine.load()) lifted(session);
      return sessions.evict(busy);
    },
  };
}
