/**
 * A session as a machine: `decide` on facts, `evolve` what was decided, `advance` what follows by itself, and say what
 * is `outstanding`. Pure: the same input gives the same bytes, today and with next year's code.
 */
import { expireWaits, resolveWait } from './answer.ts';
import { evolveCall, evolveCallRequested, gateCall, loseCall, promoteCalls, settleToolOutcome } from './call.ts';
import type { Command, Input, Rejection } from './commands.ts';
import { ImpossibleState } from './commands.ts';
import type { Entry, Event } from './events.ts';
import { VERSIONS } from './events.ts';
import type { EffectId } from './ids.ts';
import { isCallId, runOf } from './ids.ts';
import { LIMITS } from './limits.ts';
import {
  advanceRuns,
  cancelAll,
  decideOnRun,
  decideSend,
  evolveRunEnded,
  evolveRunQueued,
  evolveRunStarted,
  evolveRunSteered,
  expireRun,
} from './run.ts';
import { closeSession, configure, evolveSession, forget, openSession, remember } from './session.ts';
import type { Call, Run, State } from './state.ts';
import { freshState } from './state.ts';
import {
  evolveTurnAttempted,
  evolveTurnFailed,
  evolveTurnRequested,
  evolveTurnSettled,
  loseTurn,
  settleTurn,
} from './turn.ts';
import type { Receipt } from './values.ts';
import { evolveWaitOpened, evolveWaitResolved } from './wait.ts';

export type Transition =
  /** `entries` empty: the input changed nothing (a duplicate, or no longer true); the receipt is the first one's. */
  { ok: true; entries: Entry[]; receipt: Receipt } | { ok: false; rejection: Rejection };

type Decision = Event[] | Rejection | { receipt: Receipt };

/** What a command leads to, or why it is refused. Reads `state`, changes nothing. */
export function decide(state: State, input: Input): Decision {
  const { command } = input;
  if (state.phase === 'fresh' && command.kind !== 'open' && !(command.kind === 'send' && command.open !== undefined)) {
    return { code: 'not_found', message: 'no such session' };
  }
  switch (command.kind) {
    case 'open':
      return openSession(state, command);
    case 'configure':
      return configure(state, command);
    case 'send':
      return decideSend(state, command, input);
    case 'unqueue':
    case 'hold':
    case 'release':
    case 'cancel':
      return decideOnRun(state, command);
    case 'resolve':
      return decideResolve(state, command, input);
    case 'remember':
      return remember(state, command);
    case 'forget':
      return forget(state, command);
    case 'attempt':
      return decideAttempt(state, command, input);
    case 'settle':
      return decideSettle(state, command, input);
    case 'close':
      return closeSession(state, cancelAll(state));
    default: {
      const never: never = command;
      return never;
    }
  }
}

function decideResolve(state: State, command: Extract<Command, { kind: 'resolve' }>, input: Input): Decision {
  const before = state.resolved.get(command.wait);
  if (before === undefined) return resolveWait(state, command, input);
  if (before.digest === command.digest) return { receipt: before.receipt };
  return { code: 'wait_resolved', message: `wait ${command.wait} has had another answer, or has ended` };
}

type Target = { run: Run; call: Call | null };

function find(state: State, effect: EffectId): Target | null {
  const run = state.runs.get(runOf(effect));
  if (run === undefined) return null;
  if (!isCallId(effect)) return run.turn?.id === effect ? { run, call: null } : null;
  const call = run.asked.find(({ id }) => id === effect);
  return call === undefined ? null : { run, call };
}

function decideAttempt(state: State, command: Extract<Command, { kind: 'attempt' }>, input: Input): Decision {
  const target = find(state, command.effect);
  const unchanged = { receipt: { seq: state.head } };
  if (target === null) return unchanged;
  const { run, call } = target;
  if (command.reason === 'gate') return call === null ? unchanged : gateCall(run, call, input);
  const phase = call === null ? run.turn?.phase : call.phase;
  const known = phase !== undefined && 'epoch' in phase && 'attempt' in phase && phase.attempt === command.attempt;
  // An attempt of this very epoch is not lost: whoever says so has not seen that it was named here.
  if (!known || phase.epoch === input.epoch) return unchanged;
  if (call !== null) return loseCall(state, run, call, input);
  return run.turn === null ? unchanged : loseTurn(state, run, run.turn, input);
}

function decideSettle(state: State, command: Extract<Command, { kind: 'settle' }>, input: Input): Decision {
  if (command.effect === 'wake') {
    const at = Math.max(input.at, state.at);
    const expired = expireWaits(state, at);
    return expired.length > 0 ? expired : expireRun(state, at);
  }
  const { effect, attempt, outcome } = command;
  const target = find(state, effect);
  if (target !== null && target.call === null && (outcome.type === 'turn' || outcome.type === 'turn-failed')) {
    const { turn } = target.run;
    if (turn?.phase.at === 'flying' && turn.phase.attempt === attempt)
      return settleTurn(state, target.run, turn, attempt, outcome, input);
  }
  if (target?.call && outcome.type !== 'turn' && outcome.type !== 'turn-failed' && target.call.phase.at !== 'settled') {
    return settleToolOutcome(state, target.run, target.call, attempt, outcome, input);
  }
  return lateOutcome(state, command);
}

/** An outcome for what is settled already: recorded once as evidence where another attempt had settled it, else a duplicate. */
function lateOutcome(state: State, command: Extract<Command, { kind: 'settle'; attempt: number }>): Decision {
  const { effect, attempt, outcome } = command;
  const disputed = state.disputed.get(effect);
  if (disputed === undefined || disputed.settled === attempt || disputed.late.includes(attempt))
    return { receipt: { seq: state.head } };
  const event: Extract<Event, { kind: 'effect.late' }> = {
    kind: 'effect.late',
    run: runOf(effect),
    effect,
    data: { attempt, outcome: outcome.type },
  };
  const body = outcome.type === 'turn' ? outcome.body : outcome.type === 'call' ? outcome.result : undefined;
  if (body !== undefined) {
    event.refs = [body.digest];
    event.data.result = body;
  }
  return [event];
}

/** Folds one entry into the state it is given, which it may change in place. Total: it never refuses. */
export function evolve(state: State, entry: Entry): State {
  state.head = entry.seq;
  state.at = entry.at;
  const run = entry.run === undefined ? undefined : state.runs.get(entry.run);
  if (entry.kind === 'run.queued' && entry.run !== undefined) evolveRunQueued(state, entry, entry.run);
  else if (run !== undefined) evolveInRun(state, run, entry);
  else evolveSession(state, entry);
  return state;
}

function evolveInRun(state: State, run: Run, entry: Entry): void {
  const turn = run.turn;
  switch (entry.kind) {
    case 'run.steered':
      return evolveRunSteered(state, run, entry);
    case 'run.started':
      return evolveRunStarted(state, run, entry);
    case 'run.held':
      run.held = true;
      return;
    case 'run.released':
      run.held = false;
      return;
    case 'run.cancelling':
      run.phase = { at: 'cancelling', reason: entry.data.reason };
      return;
    case 'run.limited':
      run.phase = { at: 'closing', limit: entry.data.limit };
      return;
    case 'run.ended':
      return evolveRunEnded(state, run);
    case 'turn.requested':
      return evolveTurnRequested(state, run, entry);
    case 'turn.attempted':
      return turn === null ? undefined : evolveTurnAttempted(state, run, turn, entry);
    case 'turn.failed':
      return turn === null ? undefined : evolveTurnFailed(state, run, turn, entry);
    case 'turn.settled':
      return turn === null ? undefined : evolveTurnSettled(state, run, turn, entry);
    case 'budget.overrun':
      run.overrun = true;
      return;
    default:
      evolveCallsOf(state, run, entry);
  }
}

function evolveCallsOf(state: State, run: Run, entry: Entry): void {
  switch (entry.kind) {
    case 'call.requested':
      evolveCallRequested(run, entry);
      break;
    case 'call.attempted':
    case 'call.failed':
    case 'call.unknown':
    case 'call.settled': {
      const call = run.asked.find(({ id }) => id === entry.effect);
      if (call !== undefined) evolveCall(state, run, call, entry);
      break;
    }
    case 'wait.opened':
      evolveWaitOpened(state, run, entry);
      break;
    case 'wait.resolved':
      evolveWaitResolved(state, run, entry);
      break;
    default:
      evolveSession(state, entry);
      return;
  }
  promoteCalls(run);
}

/** What follows by itself; [] when the session waits for the world. */
export function advance(state: State, input: Input): Event[] {
  const next = advanceRuns(state, input);
  if (next.length > 0 || state.phase !== 'closing' || state.runs.size > 0) return next;
  return [{ kind: 'session.closed', data: {} }];
}

/**
 * Decides, folds and advances to the fixpoint: everything one input leads to, for one append. It changes `state`: a
 * caller whose append fails drops it and folds the log again.
 */
export function transition(state: State, input: Input): Transition {
  const first = decideFirst(state, input);
  if (!Array.isArray(first)) {
    return 'code' in first ? { ok: false, rejection: first } : { ok: true, entries: [], receipt: first.receipt };
  }
  const entries: Entry[] = [];
  const apply = (events: readonly Event[]): void => {
    for (const event of events) entries.push(stamp(state, input, event));
  };
  apply(first);
  if (input.command.kind === 'send' && input.command.open !== undefined && state.lastRun === 0) {
    const sent = decideSend(state, input.command, input);
    if (!Array.isArray(sent))
      return 'code' in sent ? { ok: false, rejection: sent } : { ok: true, entries: [], receipt: sent.receipt };
    apply(sent);
  }
  for (let round = 0; ; round += 1) {
    if (round > LIMITS.advanceRounds)
      throw new ImpossibleState(`no fixpoint after ${round} rounds at seq ${state.head}`);
    const events = advance(state, input);
    if (events.length === 0) break;
    apply(events);
  }
  return { ok: true, entries, receipt: receiptOf(state, input, entries) };
}

/** A first message opens its session in the same append. */
function decideFirst(state: State, input: Input): Decision {
  const { command } = input;
  if (state.phase === 'fresh' && command.kind === 'send' && command.open !== undefined) {
    return openSession(state, { kind: 'open', ...command.open });
  }
  return decide(state, input);
}

function stamp(state: State, input: Input, event: Event): Entry {
  const at = Math.max(input.at, state.at);
  const entry = {
    ...event,
    seq: state.head + 1,
    at,
    v: VERSIONS[event.kind] ?? 1,
    input: input.id,
    by: input.by,
  } as Entry;
  evolve(state, entry);
  return entry;
}

function receiptOf(state: State, input: Input, entries: readonly Entry[]): Receipt {
  const { command } = input;
  if (command.kind === 'send') return state.submissions.get(command.submission)?.receipt ?? { seq: state.head };
  const first = entries[0];
  const receipt: Receipt = { seq: first?.seq ?? state.head };
  if ('run' in command) receipt.run = command.run;
  if (command.kind === 'resolve') receipt.wait = command.wait;
  return receipt;
}

/** Folds entries into a state; without one, from the beginning. */
export function fold(entries: Iterable<Entry>, state: State = freshState()): State {
  for (const entry of entries) evolve(state, entry);
  return state;
}
