/**
 * A log that goes on as another session, or in another place.
 *  F1 A fork answers, in the append that makes it, all that was open in its prefix: nothing of that is ever dispatched
 *     under the fork's name (P5, P10).
 *  F2 What may have happened for the session it comes from is not denied by the fork (P6), and is not paid by it.
 *  F3 Neither submissions nor answers of the prefix speak for the fork, and the key stays where it was.
 *  F4 A session moves when nothing of it flies: no outcome is on its way to where it no longer is. It arrives once.
 */
import { settleCall } from './call.ts';
import type { Command, Input, Rejection } from './commands.ts';
import { mergeConfig, refusalOfConfig } from './config.ts';
import type { Entry, Event, EventData } from './events.ts';
import { cancelCompaction } from './compaction.ts';
import { outstanding } from './outstanding.ts';
import { cancelling } from './queue.ts';
import { endCancelled } from './run.ts';
import { configured } from './session.ts';
import type { Run, State } from './state.ts';
import { cancelTurn } from './turn.ts';
import type { Receipt } from './values.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;
type Decided = Event[] | Rejection | { receipt: Receipt };

/** `state` is what the prefix leads to, or the fork itself where this command made it before. */
export function forkSession(state: State, command: Extract<Command, { kind: 'fork' }>, input: Input): Decided {
  const { id, tenant, payload, config } = command;
  if (state.id === id) return forkedBefore(state, payload);
  if (state.phase === 'fresh') return { code: 'not_found', message: 'there is no session to fork' };
  const refusal = config === undefined ? null : refusalOfConfig(input.facts, mergeConfig(state.config, config));
  if (refusal !== null) return refusal;
  const data: EventData['session.forked'] = { id, tenant, from: state.id, seq: state.head, payload };
  const forked: Event = { kind: 'session.forked', data };
  const changed = config === undefined ? [] : [configured(state.revision + 1, config)];
  return [forked, ...changed, ...[...state.runs.values()].flatMap(endForked), ...cancelCompaction(state)];
}

function forkedBefore({ id, forked }: State, payload: string): Rejection | { receipt: Receipt } {
  if (forked?.payload === payload) return { receipt: forked.receipt };
  return { code: 'submission_conflict', message: `session ${id} was forked from another place, or another way` };
}

/** F1, F2: what flies belongs to the session it comes from; the rest of a run's end follows by itself. */
function endForked(run: Run): Event[] {
  if (run.phase.at === 'queued') return [endCancelled(run, 'fork')];
  const events: Event[] = [cancelling(run, 'fork')];
  if (run.turn?.phase.at === 'flying') events.push(cancelTurn(run, run.turn));
  for (const call of run.asked) {
    if (call.phase.at !== 'flying') continue;
    events.push(settleCall(run, call, 0, call.class === 'pure' ? 'cancelled' : 'unknown', 'fork'));
  }
  return events;
}

/** Seals a session here: from its entry on it takes nothing, dispatches nothing and wakes for nothing (F4). */
export function moveSession(state: State, to: string | undefined): Decided {
  const { movedTo } = state;
  if (state.phase === 'moved' && (to === undefined || to === movedTo)) return { receipt: { seq: state.head } };
  if (state.phase === 'moved' && movedTo !== null) {
    const message = `session ${state.id} has moved to ${movedTo} before: leave the place out to export it again`;
    return { code: 'invalid_state', message, details: { movedTo } };
  }
  if (state.phase !== 'open') return { code: 'session_closed', message: 'a closed session stays where it is' };
  const [flies] = outstanding(state).filter(({ type }) => type !== 'gate');
  if (flies === undefined) return [{ kind: 'session.moved', data: { to: to ?? 'elsewhere' } }];
  return {
    code: 'invalid_state',
    message: `${flies.id} is under way: a session moves when nothing is; wait, or hold or cancel ${flies.run === null ? 'what runs' : `run ${flies.run}`}`,
    details: { effect: flies.id },
  };
}

/** A sealed log goes on where it has come to. */
export function arriveSession(state: State, input: Input): Decided {
  if (state.phase !== 'moved') return { code: 'invalid_state', message: `session ${state.id} is not sealed` };
  return [{ kind: 'session.arrived', data: { epoch: input.epoch } }];
}

export function evolveForked(state: State, { seq, at, data }: Of<'session.forked'>): void {
  state.id = data.id;
  state.tenant = data.tenant;
  state.key = null;
  state.phase = 'open';
  state.movedTo = null;
  state.createdAt = at;
  state.forked = { from: data.from, seq: data.seq, payload: data.payload, receipt: { seq } };
  // F3.
  state.submissions = new Map();
  state.resolved = new Map();
  state.opened = null;
  state.configured = null;
  state.compactionAsked = null;
  state.compactorsTried = [];
}

export function evolveArrived(state: State, { data }: Of<'session.arrived'>): void {
  state.phase = 'open';
  state.movedTo = null;
  // What has leave to fly and did not has it from here.
  for (const run of state.runs.values())
    for (const call of run.asked) if (call.phase.at === 'ready') call.phase = { at: 'ready', epoch: data.epoch };
}
