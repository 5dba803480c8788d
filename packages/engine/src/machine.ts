/**
 * A session as a machine: `decide` on facts, `evolve` what was decided, `advance` what follows by itself, and say what
 * is `outstanding`. Pure: the same input gives the same bytes, today and with next year's code.
 */
import { resolveWait } from './answer.ts';
import { evolveCall, evolveCallRequested, promoteCalls } from './call.ts';
import type { Command, Input, Rejection } from './commands.ts';
import { ImpossibleState } from './commands.ts';
import { askCompaction, evolveCompaction, isOfCompaction } from './compaction.ts';
import type { Entry, Event } from './events.ts';
import { VERSIONS } from './events.ts';
import { arriveSession, evolveArrived, evolveForked, forkSession, moveSession } from './fork.ts';
import { LIMITS } from './limits.ts';
import { decideAccepted, decideAttempt, decideSettle, decideWake } from './outcome.ts';
import { cancelAll, decideOnRun, decideSend, evolveRunQueued, evolveRunSteered } from './queue.ts';
import { advanceRuns, evolveRunEnded, evolveRunStarted } from './run.ts';
import { closeSession, configure, evolveSession, forget, openSession, remember, tellChanges } from './session.ts';
import type { Run, State } from './state.ts';
import { freshState } from './state.ts';
import { evolveTurnAttempted, evolveTurnFailed, evolveTurnRequested, evolveTurnSettled } from './turn.ts';
import type { Receipt } from './values.ts';
import { evolveWaitOpened, evolveWaitResolved } from './wait.ts';

export type Transition =
  /** An input that was delivered before, or is no longer true, adds nothing; the receipt is the first one's. */
  { ok: true; entries: Entry[]; receipt: Receipt } | { ok: false; rejection: Rejection };

type Decision = Event[] | Rejection | { receipt: Receipt };

/** What a command leads to, or why it is refused. Reads `state`, changes nothing. */
export function decide(state: State, input: Input): Decision {
  const { command } = input;
  if (command.kind === 'fork') return forkSession(state, command, input);
  if (state.phase === 'fresh') return decideFirst(state, input);
  if (command.kind === 'move') return moveSession(state, command.to);
  if (command.kind === 'arrive') return arriveSession(state, input);
  if (state.phase === 'moved') return { code: 'session_closed', message: `the session has moved to ${state.movedTo}` };
  switch (command.kind) {
    case 'open':
      return openSession(state, command, input);
    case 'configure':
      return configure(state, command, input);
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
    case 'compact':
      return askCompaction(state, input);
    case 'attempt':
      return decideAttempt(state, command, input);
    case 'accepted':
      return decideAccepted(state, command, input);
    case 'changed':
      return tellChanges(state, command.effect, command.changes);
    case 'settle':
      return command.effect === 'wake' ? decideWake(state, input) : decideSettle(state, command, input);
    case 'close':
      return closeSession(state, cancelAll(state));
    default: {
      const never: never = command;
      return never;
    }
  }
}

/** A session begins by being opened, alone or in the append of its first message. */
function decideFirst(state: State, input: Input): Decision {
  const { command } = input;
  if (command.kind === 'open') return openSession(state, command, input);
  if (command.kind !== 'send' || command.open === undefined) return { code: 'not_found', message: 'no such session' };
  const opened = openSession(state, { kind: 'open', ...command.open }, input);
  if (!Array.isArray(opened)) return opened;
  // The message is decided on the session as it will be, so that a refusal opens nothing.
  const then = freshState();
  for (const event of opened) evolve(then, stamp(then, input, event));
  const sent = decideSend(then, command, input);
  return Array.isArray(sent) ? [...opened, ...sent] : sent;
}

function decideResolve(state: State, command: Extract<Command, { kind: 'resolve' }>, input: Input): Decision {
  const before = state.resolved.get(command.wait);
  if (before === undefined) return resolveWait(state, command, input);
  if (before.digest === command.digest) return { receipt: before.receipt };
  return { code: 'wait_resolved', message: `wait ${command.wait} has had another answer, or has ended` };
}

/** Folds one entry into the state it is given, which it may change in place. Total: it never refuses. */
export function evolve(state: State, entry: Entry): State {
  state.head = entry.seq;
  state.at = entry.at;
  const run = entry.run === undefined ? undefined : state.runs.get(entry.run);
  if (entry.kind === 'run.queued' && entry.run !== undefined) evolveRunQueued(state, entry, entry.run);
  else if (entry.kind === 'session.forked') evolveForked(state, entry);
  else if (entry.kind === 'session.arrived') evolveArrived(state, entry);
  else if (isOfCompaction(entry)) evolveCompaction(state, run ?? null, entry);
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
      promoteCalls(run);
      return;
    case 'run.cancelling':
      run.phase = { at: 'cancelling', reason: entry.data.reason };
      return;
    case 'run.limited':
      run.phase = { at: 'closing', limit: entry.data.limit };
      return;
    case 'run.ended':
      return evolveRunEnded(state, run, entry.seq);
    case 'turn.requested':
      return evolveTurnRequested(state, run, entry);
    case 'turn.accepted':
      if (turn !== null) turn.response = entry.data.response;
      return;
    case 'turn.attempted':
      return turn === null ? undefined : evolveTurnAttempted(state, run, turn, entry);
    case 'turn.failed':
      return turn === null ? undefined : evolveTurnFailed(state, run, turn, entry);
    case 'turn.settled':
      return turn === null ? undefined : evolveTurnSettled(state, run, turn, entry);
    case 'budget.overrun':
      run.overrun = entry.data.limit;
      return;
    default:
      evolveCallsOf(state, run, entry);
  }
}

function evolveCallsOf(state: State, run: Run, entry: Entry): void {
  switch (entry.kind) {
    case 'call.requested':
      evolveCallRequested(state, run, entry);
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
  if (next.length > 0 || state.phase !== 'closing' || state.runs.size > 0 || state.compaction !== null) return next;
  return [{ kind: 'session.closed', data: {} }];
}

/**
 * Decides, folds and advances to the fixpoint: everything one input leads to, for one append. A refusal leaves `state`
 * as it was; else it is what the entries lead to: a caller whose append fails drops it and folds the log again.
 */
export function transition(state: State, given: Input): Transition {
  // Time does not go back: what a clock said before it was set back holds.
  const input = given.at < state.at ? { ...given, at: state.at } : given;
  const decided = decide(state, input);
  if ('code' in decided) return { ok: false, rejection: decided };
  const entries: Entry[] = [];
  // Also what changes nothing by itself goes on to what follows: facts may have changed since the last input.
  let events = Array.isArray(decided) ? decided : [];
  for (let round = 0; round === 0 || events.length > 0; round += 1) {
    if (round > LIMITS.advanceRounds)
      throw new ImpossibleState(`no fixpoint after ${round} rounds at seq ${state.head}`);
    for (const event of events) {
      const entry = stamp(state, input, event);
      evolve(state, entry);
      entries.push(entry);
    }
    events = advance(state, input);
  }
  return { ok: true, entries, receipt: Array.isArray(decided) ? receiptOf(state, input, entries) : decided.receipt };
}

function stamp(state: State, input: Input, event: Event): Entry {
  const { id, at, by } = input;
  return { ...event, seq: state.head + 1, at, v: VERSIONS[event.kind] ?? 1, input: id, by } as Entry;
}

function receiptOf(state: State, input: Input, entries: readonly Entry[]): Receipt {
  const { command } = input;
  if (command.kind === 'send') return state.submissions.get(command.submission)?.receipt ?? { seq: state.head };
  const seq = entries[0]?.seq ?? state.head;
  // W1: the receipt that the same answer gets again.
  if (command.kind === 'resolve') return state.resolved.get(command.wait)?.receipt ?? { seq, wait: command.wait };
  return 'run' in command ? { seq, run: command.run } : { seq };
}

/** Folds entries into a state; without one, from the beginning. */
export function fold(entries: Iterable<Entry>, state: State = freshState()): State {
  for (const entry of entries) evolve(state, entry);
  return state;
}
