import { isCallId } from './ids.ts';
import type { CallId, CompactionId, EffectId, RunId, TurnId } from './ids.ts';
import { isGated } from './call.ts';
import { deadlineAt } from './run.ts';
import type { Call, Compaction, Run, State } from './state.ts';
import { flying, isCompactionStopping, isStopping } from './state.ts';
import type { EffectClass, RunStatus } from './values.ts';

/**
 * Work for the outside world that the state says must be under way. A driver dispatches what it has not dispatched;
 * an attempt of an earlier epoch is lost and is asked about with `attempt` (reason `lost`) instead.
 */
export type Effect =
  | { type: 'generate'; id: TurnId; run: RunId; attempt: number; epoch: number; notBefore: number }
  | { type: 'call'; id: CallId; run: RunId; attempt: number; epoch: number; notBefore: number; class: EffectClass }
  /** An unsafe call whose turn it is: ask for leave with `attempt` (reason `gate`). */
  | { type: 'gate'; id: CallId; run: RunId }
  /** Ask the tool whether its attempt happened. */
  | { type: 'verify'; id: CallId; run: RunId; attempt: number; epoch: number }
  | { type: 'compact'; id: CompactionId; run: RunId | null; attempt: number; epoch: number; notBefore: number }
  /** What flies must stop; its outcome is still awaited. */
  | { type: 'abort'; id: EffectId; run: RunId | null; attempt: number; epoch: number };

export function outstanding(state: State): Effect[] {
  if (state.phase === 'moved') return [];
  const run = state.active === null ? undefined : state.runs.get(state.active);
  const effects = run === undefined ? [] : effectsOf(run);
  return state.compaction === null ? effects : [...effects, compactionEffect(state, state.compaction)];
}

function compactionEffect(state: State, { id, run, phase }: Compaction): Effect {
  const { attempt, epoch, notBefore } = phase;
  if (isCompactionStopping(state)) return { type: 'abort', id, run, attempt, epoch };
  return { type: 'compact', id, run, attempt, epoch, notBefore };
}

function effectsOf(run: Run): Effect[] {
  if (isStopping(run))
    return flying(run).map(({ effect, attempt }) => ({
      type: 'abort',
      id: effect,
      run: run.id,
      attempt,
      epoch: epochOf(run, effect),
    }));
  const effects: Effect[] = [];
  if (run.turn?.phase.at === 'flying') {
    const { attempt, epoch, notBefore } = run.turn.phase;
    effects.push({ type: 'generate', id: run.turn.id, run: run.id, attempt, epoch, notBefore });
  }
  for (const call of run.asked) {
    const effect = effectOf(run, call);
    if (effect !== null) effects.push(effect);
  }
  return effects;
}

function effectOf(run: Run, call: Call): Effect | null {
  const { phase } = call;
  if (phase.at === 'flying')
    return {
      type: 'call',
      id: call.id,
      run: run.id,
      attempt: phase.attempt,
      epoch: phase.epoch,
      notBefore: phase.notBefore,
      class: call.class,
    };
  if (phase.at === 'verifying')
    return { type: 'verify', id: call.id, run: run.id, attempt: phase.attempt, epoch: phase.epoch };
  return isGated(run, call) ? { type: 'gate', id: call.id, run: run.id } : null;
}

function epochOf(run: Run, effect: EffectId): number {
  const phase = isCallId(effect) ? run.asked.find(({ id }) => id === effect)?.phase : run.turn?.phase;
  return phase !== undefined && 'epoch' in phase ? phase.epoch : 0;
}

/** The next wall time (ms) at which something happens by itself: the wake-at effect. Null: nothing is due. */
export function wakeAt(state: State): number | null {
  if (state.phase === 'moved') return null;
  let due = Number.POSITIVE_INFINITY;
  for (const wait of state.waits.values()) if (wait.expiresAt !== null) due = Math.min(due, wait.expiresAt);
  const run = state.active === null ? undefined : state.runs.get(state.active);
  const deadline = run === undefined ? null : deadlineAt(run);
  if (deadline !== null) due = Math.min(due, deadline);
  return Number.isFinite(due) ? due : null;
}

/** A run's status as everyone sees it; ended runs are in the index, not in the state. */
export function statusOf(state: State, run: Run): RunStatus {
  if (run.held) return 'held';
  if (run.phase.at === 'queued') return 'queued';
  if (run.phase.at === 'cancelling') return 'cancelling';
  for (const wait of state.waits.values())
    if (wait.run === run.id) return outstanding(state).length > 0 ? 'running' : 'waiting';
  return 'running';
}
