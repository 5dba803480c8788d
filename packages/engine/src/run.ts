/**
 * One piece of work: from a message to its end.
 *  R1 At most one run of a session is active; the others wait in the queue, by priority, then in order.
 *  R2 A submission is accepted once: the same again gets the first receipt, another payload is a conflict.
 *  R3 After an accepted cancel no attempt follows; the run ends when nothing of it flies (P10).
 *  R4 A limit ends in one closing turn without tools, if the budgets allow it; then `limited`, never `completed`.
 */
import { cancelWaits } from './answer.ts';
import { stopCalls, stopCode } from './call.ts';
import { lacksPrice } from './budget.ts';
import type { Command, Input, Rejection } from './commands.ts';
import { located, mergeConfig } from './config.ts';
import { flushPending, addItem } from './context.ts';
import type { Entry, Event, EventData } from './events.ts';
import type { RunId } from './ids.ts';
import { runId } from './ids.ts';
import { LIMITS } from './limits.ts';
import type { Run, State } from './state.ts';
import { flying } from './state.ts';
import { endRun, followTurn, requestTurn } from './turn.ts';
import type { CancelReason, Pin, Receipt } from './values.ts';
import { ZERO_USAGE } from './values.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;
type Send = Extract<Command, { kind: 'send' }>;

export function decideSend(state: State, command: Send, input: Input): Event[] | Rejection | { receipt: Receipt } {
  const known = state.submissions.get(command.submission);
  if (known !== undefined) {
    if (known.payload === command.payload) return { receipt: known.receipt };
    return {
      code: 'submission_conflict',
      message: `submission ${command.submission} was accepted with another payload`,
    };
  }
  if (state.phase !== 'open') return { code: 'session_closed', message: 'the session takes no more messages' };
  const active = state.active === null ? undefined : state.runs.get(state.active);
  const { submission, payload, mode, priority, message, config } = command;
  if (mode === 'steer' && active !== undefined && active.phase.at === 'active') {
    if (active.steers.length >= LIMITS.pendingSteers)
      return { code: 'rate_limited', message: 'too many messages wait for the next turn' };
    if (config !== undefined)
      return { code: 'invalid_request', message: 'a steered message joins a run that is pinned: it takes no config' };
    return [{ kind: 'run.steered', run: active.id, refs: [message.digest], data: { submission, payload, message } }];
  }
  if (state.queue.length >= LIMITS.queuedRuns)
    return { code: 'rate_limited', message: 'the queue of this session is full' };
  const pin = input.facts.pin(mergeConfig(state.config, config ?? {}));
  if (pin === null) return { code: 'not_found', message: `agent ${state.agent} is not defined here` };
  if (lacksPrice(state, pin))
    return {
      code: 'invalid_request',
      message: `model ${pin.model} has no known price, so it cannot run under a money cap`,
    };
  const data: EventData['run.queued'] = { submission, payload, mode, priority, message };
  if (config !== undefined) data.config = config;
  const refs = config?.instructions === undefined ? [message.digest] : [message.digest, config.instructions.digest];
  const events: Event[] = [{ kind: 'run.queued', run: runId(state.lastRun + 1), refs, data }];
  if (mode === 'interrupt' && active !== undefined && active.phase.at !== 'cancelling')
    events.push(cancelling(active, 'interrupted'));
  return events;
}

const cancelling = (run: Run, reason: CancelReason): Event => ({
  kind: 'run.cancelling',
  run: run.id,
  data: { reason },
});

const endCancelled = (run: Run, reason: CancelReason): Event => endRun(run, { status: 'cancelled', reason });

/** Cancel, hold, release and unqueue. Repeated on a run already in that state they change nothing. */
export function decideOnRun(
  state: State,
  command: Extract<Command, { kind: 'unqueue' | 'hold' | 'release' | 'cancel' }>,
): Event[] | Rejection | { receipt: Receipt } {
  const run = state.runs.get(command.run);
  if (run === undefined) {
    const ended = Number(command.run.slice(1)) <= state.lastRun;
    if (ended) return { code: 'invalid_state', message: `run ${command.run} has ended` };
    return { code: 'not_found', message: `no run ${command.run} in this session` };
  }
  const nothing = { receipt: { seq: state.head, run: run.id } };
  switch (command.kind) {
    case 'cancel':
      if (run.phase.at === 'queued') return [endCancelled(run, 'requested')];
      return run.phase.at === 'cancelling' ? nothing : [cancelling(run, 'requested')];
    case 'unqueue':
      if (run.phase.at === 'queued') return [endCancelled(run, 'unqueued')];
      return { code: 'invalid_state', message: `run ${run.id} has started: cancel it instead` };
    case 'hold':
      if (run.phase.at === 'cancelling') return { code: 'invalid_state', message: `run ${run.id} is being cancelled` };
      return run.held ? nothing : [{ kind: 'run.held', run: run.id, data: {} }];
    case 'release':
      return run.held ? [{ kind: 'run.released', run: run.id, data: {} }] : nothing;
    default: {
      const never: never = command;
      return never;
    }
  }
}

/** Everything the session still has ends: for `close`. */
export function cancelAll(state: State): Event[] {
  return [...state.runs.values()].flatMap((run) => {
    if (run.phase.at === 'queued') return [endCancelled(run, 'closed')];
    return run.phase.at === 'cancelling' ? [] : [cancelling(run, 'closed')];
  });
}

/** What follows by itself from where the session stands: one noun's next step, [] when it waits. */
export function advanceRuns(state: State, input: Input): Event[] {
  if (state.active === null) return startNext(state, input);
  const run = state.runs.get(state.active);
  return run === undefined ? [] : advanceRun(state, run, input);
}

function startNext(state: State, input: Input): Event[] {
  if (state.phase !== 'open') return [];
  for (const id of state.queue) {
    const run = state.runs.get(id);
    if (run === undefined || run.held) continue;
    const pin = input.facts.pin(mergeConfig(state.config, run.config));
    if (pin === null) return [];
    if (lacksPrice(state, pin)) {
      return [endRun(run, { status: 'failed', reason: 'internal', detail: 'unpriced_model' })];
    }
    return [
      {
        kind: 'run.started',
        run: id,
        refs: [pin.manifest],
        data: samePin(state.lastPin, pin) ? { hash: pin.hash } : { hash: pin.hash, pin },
      },
    ];
  }
  return [];
}

/** `hash` covers the whole pin but its price, which the catalog may change. */
const samePin = (a: Pin | null, b: Pin): boolean =>
  a !== null && a.hash === b.hash && JSON.stringify(a.price) === JSON.stringify(b.price);

function advanceRun(state: State, run: Run, input: Input): Event[] {
  const { phase } = run;
  if (phase.at === 'cancelling') {
    const stopping = stop(state, run);
    return stopping.length > 0 || flying(run).length > 0 ? stopping : [endCancelled(run, phase.reason)];
  }
  if (phase.at === 'closing') return advanceClosing(state, run, phase.limit, input);
  if (run.held || flying(run).length > 0 || isParked(state, run)) return [];
  if (run.asked.some((call) => call.phase.at !== 'settled')) return [];
  return run.turn === null ? requestTurn(state, run, input, null) : followTurn(state, run, run.turn, input);
}

/** R4: first everything stops, then one closing turn, then the end. */
function advanceClosing(
  state: State,
  run: Run,
  limit: Extract<Run['phase'], { at: 'closing' }>['limit'],
  input: Input,
): Event[] {
  const stopping = stop(state, run);
  if (stopping.length > 0 || flying(run).length > 0 || run.held) return stopping;
  const closed = run.turn?.closing !== null && run.turn?.phase.at === 'settled';
  return closed ? [endRun(run, { status: 'limited', reason: limit })] : requestTurn(state, run, input, limit);
}

const stop = (state: State, run: Run): Event[] => [...cancelWaits(state, run, stopCode(run)), ...stopCalls(run)];

const isParked = (state: State, run: Run): boolean => {
  for (const wait of state.waits.values()) if (wait.run === run.id && wait.call === null) return true;
  return false;
};

/** The deadline of the active run, wall ms; null when none counts. */
export function deadlineAt(run: Run): number | null {
  return run.phase.at === 'active' && run.pin !== null ? run.startedAt + run.pin.limits.deadlineMs : null;
}

export function expireRun(state: State, at: number): Event[] {
  const run = state.active === null ? undefined : state.runs.get(state.active);
  const deadline = run === undefined ? null : deadlineAt(run);
  if (run === undefined || deadline === null || deadline > at) return [];
  return [{ kind: 'run.limited', run: run.id, data: { limit: 'deadline' } }];
}

export function evolveRunQueued(state: State, entry: Of<'run.queued'>, id: RunId): void {
  const { data } = entry;
  state.lastRun += 1;
  const run: Run = {
    id,
    submission: data.submission,
    priority: data.priority,
    message: { ...data.message, seq: entry.seq },
    trusted: entry.by.kind === 'user' || entry.by.kind === 'key',
    config: located(data.config ?? {}, entry.seq),
    phase: { at: 'queued' },
    held: false,
    pin: null,
    startedAt: 0,
    turns: 0,
    calls: 0,
    retries: 0,
    turn: null,
    asked: [],
    text: null,
    steers: [],
    overrun: false,
    spent: { tokens: 0, nanoUsd: 0 },
    usage: ZERO_USAGE,
    cost: { nanoUsd: 0, price: null },
  };
  state.runs.set(id, run);
  remember(state, entry, id);
  const place = data.mode === 'interrupt' ? 0 : placeOf(state, data.priority);
  state.queue.splice(place, 0, id);
}

/** Behind everything of the same or a higher priority. */
function placeOf(state: State, priority: number): number {
  let place = state.queue.length;
  while (place > 0) {
    const before = state.queue[place - 1];
    const other = before === undefined ? undefined : state.runs.get(before);
    if (other === undefined || other.priority >= priority) break;
    place -= 1;
  }
  return place;
}

function remember(state: State, entry: Of<'run.queued' | 'run.steered'>, run: RunId): void {
  const { submission, payload } = entry.data;
  state.submissions.set(submission, { payload, receipt: { seq: entry.seq, run } });
}

export function evolveRunSteered(state: State, run: Run, entry: Of<'run.steered'>): void {
  const trusted = entry.by.kind === 'user' || entry.by.kind === 'key';
  run.steers.push({ body: { ...entry.data.message, seq: entry.seq }, trusted });
  remember(state, entry, run.id);
}

export function evolveRunStarted(state: State, run: Run, entry: Of<'run.started'>): void {
  state.queue = state.queue.filter((id) => id !== run.id);
  state.active = run.id;
  run.phase = { at: 'active' };
  run.config = mergeConfig(state.config, run.config);
  run.pin = entry.data.pin ?? state.lastPin;
  state.lastPin = run.pin;
  run.startedAt = entry.at;
  addItem(state.context, { kind: 'message', body: run.message, trusted: run.trusted });
}

export function evolveRunEnded(state: State, run: Run): void {
  flushPending(state.context, run);
  state.queue = state.queue.filter((id) => id !== run.id);
  state.runs.delete(run.id);
  if (state.active === run.id) state.active = null;
}
