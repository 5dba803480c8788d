/**
 * What comes back from the world: leave to dispatch, outcomes, the time.
 *  O1 The first outcome recorded is the outcome (P4); one of an attempt that was given up is evidence, recorded once.
 *  O2 What was delivered before changes nothing.
 */
import { expireWaits } from './answer.ts';
import { gateCall, loseCall, settleLate, settleToolOutcome, withTrees } from './call.ts';
import type { Command, Input, Outcome } from './commands.ts';
import { loseCompaction, settleCompaction } from './compaction.ts';
import type { Event, EventData } from './events.ts';
import type { EffectId } from './ids.ts';
import { isCallId, isCompactionId, runOf } from './ids.ts';
import { expireRun } from './run.ts';
import type { Call, Run, State } from './state.ts';
import { acceptTurn, freeWaits, loseTurn, settleTurn } from './turn.ts';
import type { GuardRuling } from './values.ts';

type Attempt = Extract<Command, { kind: 'attempt' }>;
type Settle = Extract<Command, { kind: 'settle'; attempt: number }>;
type Target = { run: Run; call: Call | null };

function find(state: State, effect: EffectId): Target | null {
  if (isCompactionId(effect)) return null;
  const run = state.runs.get(runOf(effect));
  if (run === undefined) return null;
  if (!isCallId(effect)) return run.turn?.id === effect ? { run, call: null } : null;
  const call = run.asked.find(({ id }) => id === effect);
  return call === undefined ? null : { run, call };
}

/** Leave for the first attempt of an unsafe call, or what follows an attempt whose process is gone; [] when neither is due. */
export function decideAttempt(state: State, command: Attempt, input: Input): Event[] {
  const { compaction } = state;
  if (compaction?.id === command.effect) {
    const { attempt, epoch } = compaction.phase;
    return attempt === command.attempt && epoch < input.epoch ? loseCompaction(state, compaction, input) : [];
  }
  const target = find(state, command.effect);
  if (target === null) return [];
  const { run, call } = target;
  if (command.reason === 'gate') return call === null ? [] : gateCall(run, call, input);
  const phase = call === null ? run.turn?.phase : call.phase;
  const known = phase !== undefined && 'epoch' in phase && 'attempt' in phase && phase.attempt === command.attempt;
  // An attempt of this very epoch is not lost: whoever says so has not seen that it was named here. One of a later
  // epoch is not either: it is the asker who was replaced.
  if (!known || phase.epoch >= input.epoch) return [];
  if (call !== null) return loseCall(state, run, call, input);
  return run.turn === null ? [] : loseTurn(state, run, run.turn, input);
}

/** The provider has given the answer of a flying model call a name. */
export function decideAccepted(state: State, command: Extract<Command, { kind: 'accepted' }>, input: Input): Event[] {
  const target = find(state, command.effect);
  if (target === null || target.call !== null || target.run.turn === null) return [];
  return acceptTurn(target.run, target.run.turn, command, input.epoch);
}

/** What came due: the deadline of a run first, for it ends its waits too; and what waited for a budget looks again. */
export function decideWake(state: State, input: Input): Event[] {
  const limited = expireRun(state, input.at);
  return limited.length > 0 ? limited : [...expireWaits(state, input.at), ...freeWaits(state, input)];
}

export function decideSettle(state: State, command: Settle, input: Input): Event[] {
  const { guards } = command.outcome;
  const events = withTrees(state, command.effect, command.outcome, settled(state, command, input));
  if (guards === undefined || guards.length === 0) return events;
  return events.map((event) => (event.effect === command.effect ? ruledBy(event, guards) : event));
}

/** How an effect ended says what hooks made of its outcome. */
function ruledBy(event: Event, guards: readonly GuardRuling[]): Event {
  switch (event.kind) {
    case 'turn.settled':
      return { ...event, data: { ...event.data, guards } };
    case 'call.settled':
      return { ...event, data: { ...event.data, guards } };
    case 'compaction.settled':
      return { ...event, data: { ...event.data, guards } };
    default:
      return event;
  }
}

function settled(state: State, command: Settle, input: Input): Event[] {
  const { effect, attempt, outcome } = command;
  if (outcome.type === 'summary' || outcome.type === 'summary-failed') {
    const { compaction } = state;
    return compaction?.id === effect && compaction.phase.attempt === attempt
      ? settleCompaction(state, compaction, outcome, input)
      : lateOutcome(state, command);
  }
  const target = find(state, effect);
  if (target === null) return lateOutcome(state, command);
  const { run, call } = target;
  if (outcome.type === 'turn' || outcome.type === 'turn-failed') {
    const turn = call === null ? run.turn : null;
    return turn?.phase.at === 'flying' && turn.phase.attempt === attempt
      ? settleTurn(state, run, turn, outcome, input)
      : lateOutcome(state, command);
  }
  if (call === null || call.phase.at === 'settled') return lateOutcome(state, command);
  const { phase } = call;
  if ((phase.at === 'flying' || phase.at === 'verifying') && phase.attempt === attempt)
    return settleToolOutcome(state, run, call, attempt, outcome, input);
  const late = outcome.type === 'call' ? settleLate(state, run, call, attempt, outcome) : null;
  return late ?? lateOutcome(state, command);
}

/** O1: [] where this attempt was heard before, or says nothing about what happened. */
function lateOutcome(state: State, command: Settle): Event[] {
  const { effect, attempt, outcome } = command;
  const evidence = evidenceOf(outcome);
  if (evidence === null || state.unheard.get(effect)?.includes(attempt) !== true) return [];
  const event: Event = { kind: 'effect.late', effect, data: { attempt, ...evidence } };
  if (!isCompactionId(effect)) event.run = runOf(effect);
  if (evidence.result !== undefined) event.refs = [evidence.result.digest];
  return [event];
}

type Evidence = Omit<EventData['effect.late'], 'attempt'>;

function evidenceOf(outcome: Outcome): Evidence | null {
  switch (outcome.type) {
    case 'turn':
      return { outcome: 'done', result: outcome.body, spent: { kind: 'usage', usage: outcome.usage } };
    case 'summary':
      return { outcome: 'done', result: outcome.body, spent: { kind: 'usage', usage: outcome.usage } };
    case 'turn-failed':
    case 'summary-failed':
      return { outcome: 'failed', spent: outcome.spent };
    case 'call':
      return { outcome: outcome.outcome, result: outcome.result };
    case 'call-denied':
    case 'call-unknown':
    case 'call-waits':
    case 'call-homeless':
      return null;
    default: {
      const never: never = outcome;
      return never;
    }
  }
}
