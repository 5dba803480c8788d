/**
 * One piece of work: from its start to its end. How it comes to be and waits stands in queue.ts.
 *  R3 After an accepted cancel no attempt follows; the run ends when nothing of it flies (P10).
 *  R4 A limit ends in one closing turn without tools, if the budgets allow it; then `limited`, never `completed`.
 *  R5 `run.ended` is the last entry of its run, and only then another one starts.
 */
import { cancelWaits } from './answer.ts';
import { lacksPrice } from './budget.ts';
import { stopCalls, stopCode } from './call.ts';
import type { Input } from './commands.ts';
import { advanceIdle } from './compaction.ts';
import { isUnfit, runConfig } from './config.ts';
import { addItem, flushPending } from './context.ts';
import type { Entry, Event } from './events.ts';
import type { RunId } from './ids.ts';
import { membersOf } from './route.ts';
import type { Item, Run, State } from './state.ts';
import { markTaint } from './taint.ts';
import { flying } from './state.ts';
import { endRun, followTurn, limitRun, nextTurn, requestTurn } from './turn.ts';
import type { CancelReason, LimitReason, Member, Pin } from './values.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

export const endCancelled = (run: Run, reason: CancelReason): Event => endRun(run, { status: 'cancelled', reason });

/** What follows by itself from where the session stands: one noun's next step, [] when it waits. */
export function advanceRuns(state: State, input: Input): Event[] {
  if (state.active === null) {
    const compaction = advanceIdle(state, input);
    return compaction.length > 0 ? compaction : startNext(state, input);
  }
  const run = state.runs.get(state.active);
  return run === undefined ? [] : advanceRun(state, run, input);
}

function startNext(state: State, input: Input): Event[] {
  if (state.phase !== 'open') return [];
  for (const id of state.queue) {
    const run = state.runs.get(id);
    if (run === undefined || run.held) continue;
    const pin = input.facts.pin(runConfig(state.config, run.config));
    if (pin === null) return [];
    // It was accepted for what this agent or its models no longer give.
    if (isUnfit(pin)) return [endRun(run, { status: 'failed', reason: 'internal', detail: `unfit_${pin.path}` })];
    if (lacksPrice(state, pin, input.facts) !== null)
      return [endRun(run, { status: 'failed', reason: 'internal', detail: 'unpriced_model' })];
    const data = samePin(state.lastPin, pin) ? { hash: pin.hash } : { hash: pin.hash, pin };
    const started: Event = { kind: 'run.started', run: id, data };
    // The manifest is named where it is new to this log: once is enough for whoever collects.
    if (data.pin !== undefined) started.refs = [pin.manifest];
    return [started];
  }
  return [];
}

/** `hash` covers the whole pin but what the catalog says of its models, which may change. */
const samePin = (a: Pin | null, b: Pin): boolean => a !== null && a.hash === b.hash && factsOf(a) === factsOf(b);
const factsOf = (pin: Pin): string =>
  JSON.stringify([pin.summarizer ?? null, pin.compaction ?? null, ...membersOf(pin).map(factsOfMember)]);

const factsOfMember = ({
  price,
  maxOutputTokens,
  instructed,
  media,
  cache,
  windowTokens,
  compacts,
}: Member): unknown[] => [price, maxOutputTokens, instructed, media, cache, windowTokens, compacts];

function advanceRun(state: State, run: Run, input: Input): Event[] {
  const { phase } = run;
  if (phase.at === 'cancelling') {
    const stopping = stop(state, run);
    return stopping.length > 0 || isBusy(state, run) ? stopping : [endCancelled(run, phase.reason)];
  }
  if (phase.at === 'closing') return advanceClosing(state, run, phase.limit, input);
  if (run.held || isBusy(state, run) || isParked(state, run)) return [];
  if (run.asked.some((call) => call.phase.at !== 'settled')) return [];
  return run.turn === null ? nextTurn(state, run, input) : followTurn(state, run, run.turn, input);
}

/** Something of it is under way; its turns wait for a compaction, whoever asked for that (M1). */
const isBusy = (state: State, run: Run): boolean => flying(run).length > 0 || state.compaction !== null;

/** R4: first everything stops, then one closing turn, then the end. */
function advanceClosing(state: State, run: Run, limit: LimitReason, input: Input): Event[] {
  const stopping = stop(state, run);
  if (stopping.length > 0 || isBusy(state, run) || run.held) return stopping;
  const closed = run.turn !== null && run.turn.closing !== null;
  return closed
    ? [endRun(run, { status: 'limited', reason: limit })]
    : requestTurn(state, run, input, { closing: limit });
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
  return [limitRun(run, 'deadline')];
}

export function evolveRunStarted(state: State, run: Run, entry: Of<'run.started'>): void {
  leaveQueue(state, run.id);
  state.active = run.id;
  run.phase = { at: 'active' };
  run.config = runConfig(state.config, run.config);
  run.pin = entry.data.pin ?? state.lastPin;
  state.lastPin = run.pin;
  run.startedAt = entry.at;
  const { id, message, trusted, media } = run;
  const item: Item = { kind: 'message', run: id, body: message, trusted, seq: entry.seq };
  addItem(state.context, media === undefined ? item : { ...item, media });
  if (run.pin?.taint !== undefined) markTaint(state.context, run.pin.taint, id, entry.seq);
}

export function evolveRunEnded(state: State, run: Run, seq: number): void {
  // Nobody repairs it any more: the next run is not told of it.
  run.misfit = null;
  flushPending(state.context, run, seq);
  if (state.active === run.id) state.active = null;
  else leaveQueue(state, run.id);
  state.runs.delete(run.id);
}

function leaveQueue(state: State, id: RunId): void {
  const place = state.queue.indexOf(id);
  if (place >= 0) state.queue.splice(place, 1);
}
