/** The session that the process before died in is stepped alone, as its driver would begin with it, or parked for good. */
import type { Effect } from '@perdure/engine';
import type { Courier } from './driver.ts';
import type { Holding } from './holding.ts';
import { LIMITS } from '../limits.ts';
import type { Marks, Suspect } from '../log/marks.ts';
import type { Logger, System, Timer } from '../ports.ts';
import type { Quarantine } from './quarantine.ts';
import type { StepCommand } from '../log/step.ts';

export type TrialOptions = {
  marks: Marks;
  courier: Pick<Courier, 'look' | 'step' | 'quarantine'>;
  holding: Pick<Holding, 'hold' | 'release' | 'isShared'>;
  quarantine: Pick<Quarantine, 'onTrial'>;
  system: Pick<System, 'timers'>;
  logger: Logger;
  /** The session is free for whoever takes it. */
  passed(): void;
};

/**
 * `start` comes before anything else is stepped. Where another process has the session (of a shared store: at least the one
 * that died, until its lease is over), it is tried later, and until then not taken here in any other way.
 */
export type Trial = { start(): Promise<void>; stop(): void };

export function createTrial(options: TrialOptions): Trial {
  const { marks, courier, holding, quarantine, system, logger } = options;
  let timer: Timer | null = null;
  let isStopped = false;
  const again = async (suspect: Suspect): Promise<void> => {
    try {
      await attempt(suspect);
    } catch (error) {
      logger.warn({ session: suspect.session, error: String(error) }, 'a session could not be tried alone');
      later(suspect);
    }
  };
  const later = (suspect: Suspect): void => {
    quarantine.onTrial = suspect.session;
    // What is counted so far is not forgotten where the process dies before.
    marks.accuse(suspect);
    if (!isStopped) timer = system.timers.set(LIMITS.holdAgainMs, () => void again(suspect));
  };
  const attempt = async (suspect: Suspect): Promise<void> => {
    const { session, trials } = suspect;
    const epoch = await holding.hold(session);
    if (epoch === null) return later(suspect);
    logger.warn({ session, trials }, 'the process before died while it stepped this session: it is tried alone');
    marks.accuse({ session, trials: trials + 1 });
    await tried(courier, session, trials, epoch, logger);
    marks.acquit();
    if (quarantine.onTrial === null) return;
    quarantine.onTrial = null;
    // Nothing was dispatched: whoever comes first for it goes on.
    await holding.release(session, true);
    options.passed();
  };
  return {
    async start() {
      const suspect = marks.left();
      if (suspect === null) return;
      const { session, trials } = suspect;
      if (trials < LIMITS.deathsToQuarantine) return again(suspect);
      await courier.quarantine(session, `the process died ${trials} times while it stepped this session alone`);
      marks.acquit();
    },
    stop() {
      isStopped = true;
      timer?.cancel();
    },
  };
}

async function tried(
  courier: TrialOptions['courier'],
  session: string,
  trials: number,
  epoch: number,
  logger: Logger,
): Promise<void> {
  try {
    const { effects } = await courier.look(session);
    for (const command of firstOf(effects, epoch))
      await courier.step(session, { id: `trial ${trials}`, by: { kind: 'system', id: 'driver' }, bodies: [], command });
  } catch (error) {
    // It fails and kills nobody: whoever steps it from here on counts that.
    logger.warn({ session, error: String(error) }, 'the session that was tried fails');
  }
}

function* firstOf(effects: readonly Effect[], epoch: number): Generator<StepCommand> {
  for (const effect of effects)
    if (effect.type !== 'gate' && effect.epoch < epoch)
      yield { kind: 'attempt', effect: effect.id, attempt: effect.attempt, reason: 'lost' };
  yield { kind: 'settle', effect: 'wake' };
}
