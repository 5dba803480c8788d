/**
 * One model call with what it asked for.
 *  T1 A turn has at most one recorded outcome (P4); an older attempt's is evidence.
 *  T2 Attempt 1 is named by `turn.requested`, every further one by `turn.attempted`, before it is dispatched (P5).
 *  T3 A lost attempt is charged at its reservation before the next one is named: it was perhaps paid.
 *  T4 An answer that does not fit its schema is repaired once a run, by a turn that is told what did not fit.
 *  T5 An answer that its provider accepted by name is asked for again under that name, and paid once; one that is gone
 *     was perhaps paid.
 */
import { retryAt } from './backoff.ts';
import type { Bill } from './budget.ts';
import {
  affordsAgain,
  billOf,
  book,
  boundUsage,
  costAmount,
  costOf,
  drawsOf,
  lacksPrice,
  overrun,
  periodOf,
  planTurn,
} from './budget.ts';
import { keepPrompt, predictCached } from './cache.ts';
import { requestCalls } from './call.ts';
import type { Command, Input, TurnOutcome } from './commands.ts';
import { ImpossibleState } from './commands.ts';
import { compactBefore, recoverOverflow, restoreFor } from './compaction.ts';
import { addItem, countTurn, flushPending } from './context.ts';
import type { Entry, Event, EventData, Spent, TurnEnd } from './events.ts';
import { turnId } from './ids.ts';
import { LIMITS } from './limits.ts';
import { isUnbounded } from './media.ts';
import { alongRoute, failedOver, memberOf, passedBy, UNAFFORDABLE } from './route.ts';
import type { Run, State, Turn } from './state.ts';
import { giveUp, isStopping } from './state.ts';
import type { Amount, Digest, LimitReason, Pin, RunEnd, Shortage } from './values.ts';
import { tokensOf } from './values.ts';
import { openWait } from './wait.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;
type Done = Extract<TurnOutcome, { type: 'turn' }>;

/** Failures of the engine's own making: the same request is not made again, another one may be. */
const LOST = 'lost';
/** The provider does not have the answer any more that it had accepted. */
const GONE = 'response_gone';
/** The context is more than its model reads. */
const TOO_LONG = 'context_length';

/** Why a turn is not an ordinary one: it is a run's last, without tools; or it repairs an answer (T4). */
type Special = { closing: LimitReason } | { repair: true };

/** The next turn of a run, or what stands in its way: a limit, or an account that somebody may raise. */
export function requestTurn(state: State, run: Run, input: Input, special?: Special): Event[] {
  const closing = special !== undefined && 'closing' in special ? special.closing : null;
  const { pin } = run;
  if (pin === null) throw new ImpossibleState(`${run.id} requests a turn and has not started`);
  const met = closing === null ? limitMet(run, pin, input) : null;
  if (met !== null) return [limitRun(run, met)];
  // A budget may have come after the run began.
  if (lacksPrice(state, pin, input.facts) !== null)
    return [endRun(run, { status: 'failed', reason: 'internal', detail: 'unpriced_model' })];
  if (isUnbounded(state, run, pin, input.facts))
    return [endRun(run, { status: 'failed', reason: 'internal', detail: 'unbounded_media' })];
  const { plan, passed, member } = alongRoute(run, pin, input.facts, (each) =>
    planTurn(state, run, each, input, closing !== null),
  );
  if (plan.ok) {
    const closed = restoreFor(state, run, member.model);
    if (closed.length > 0) return closed;
    const data: EventData['turn.requested'] = {
      epoch: input.epoch,
      fingerprint: '',
      reserve: plan.reserve,
      maxOutputTokens: plan.maxOutputTokens,
      ...drawsOf(input.facts),
      ...special,
    };
    const cached = predictCached(state.context, pin, member, input.at);
    if (cached > 0) data.cached = cached;
    if (passed.length > 0) {
      data.model = member.model;
      data.passed = [...passed];
    }
    return [{ kind: 'turn.requested', run: run.id, effect: turnId(run.id, run.turns + 1), data }];
  }
  if (closing !== null) return [endRun(run, { status: 'limited', reason: closing })];
  if (plan.owner === 'run') return [limitRun(run, plan.shortage.limit)];
  return [parkOn(state, run, plan.shortage, input)];
}

/** Parks the run until somebody raises the cap, there is room again, or the account's period is over. */
const parkOn = (state: State, run: Run, shortage: Shortage, { facts }: Input): Event =>
  openWait(state, run, { kind: 'budget', ...shortage, ...periodOf(facts, shortage.account) });

/**
 * Waits for accounts above the session in which there may be room again: as far as anybody here knows. Where the ledger
 * knows better it refuses, and nothing is written (B4).
 */
export function freeWaits(state: State, input: Input): Event[] {
  const events: Event[] = [];
  for (const wait of state.waits.values()) {
    const run = state.runs.get(wait.run);
    if (wait.kind !== 'budget' || run === undefined || run.pin === null || run.held) continue;
    if (wait.shortage?.account === state.id || (wait.expiresAt ?? Infinity) <= input.at) continue;
    const { plan } = alongRoute(run, run.pin, input.facts, (each) => planTurn(state, run, each, input, false));
    // What is short by now is what people are told of.
    if (!plan.ok && plan.shortage.account === wait.shortage?.account) continue;
    events.push({ kind: 'wait.resolved', run: run.id, data: { wait: wait.id, how: 'freed' } });
  }
  return events;
}

/** The next ordinary turn of a run, or what must be done to its context first. */
export function nextTurn(state: State, run: Run, input: Input): Event[] {
  const { overflow, pin } = run;
  if (overflow?.at === 'failed') return [endRun(run, { status: 'failed', reason: 'context', detail: overflow.code })];
  if (overflow?.at === 'refused') return recover(state, run, input);
  const met = pin === null ? null : limitMet(run, pin, input);
  const compaction = met === null ? compactBefore(state, run, input) : [];
  return compaction.length > 0 ? compaction : requestTurn(state, run, input);
}

export const limitRun = (run: Run, limit: LimitReason): Event => ({
  kind: 'run.limited',
  run: run.id,
  data: { limit },
});

/** The limit that bars a run's next turn. */
function limitMet(run: Run, pin: Pin, input: Input): LimitReason | null {
  const { limits } = pin;
  if (run.turns - failedOver(passedBy(run, pin)) >= limits.turns) return 'turns';
  if (run.calls > limits.calls) return 'calls';
  return run.startedAt + limits.deadlineMs <= input.at ? 'deadline' : null;
}

/** The last entry of a run. */
export function endRun(run: Run, end: RunEnd): Event {
  const bill = { usage: run.usage, cost: run.cost };
  if (run.text === null) return { kind: 'run.ended', run: run.id, data: { ...end, ...bill } };
  return { kind: 'run.ended', run: run.id, refs: [run.text.digest], data: { ...end, ...bill, text: run.text } };
}

/** A turn's outcome arrived for the attempt that flies. */
export function settleTurn(state: State, run: Run, turn: Turn, outcome: TurnOutcome, input: Input): Event[] {
  if (outcome.type === 'turn') return settleDone(state, run, turn, outcome, input);
  const { code, detail } = outcome;
  const held = turn.response !== null && (outcome.resumable === true || code === GONE);
  const spent: Spent = held && outcome.spent.kind === 'none' ? { kind: 'bound' } : outcome.spent;
  const bill = turnBill(run, turn, spent);
  const over = overrun(state, run, run.pin, turn.reserve, bill, input);
  if (isStopping(run)) return [settle(run, turn, { outcome: 'cancelled', ...bill }), ...over];
  const retry = held && code === GONE ? 'now' : outcome.retry;
  const notBefore = retryAt(retry, turn.failures, run, `${state.id}/${turn.id}`, input.at);
  if (notBefore === null) return [failTurn(run, turn, code, detail, bill), ...over];
  const resume = outcome.resumable === true ? resumable(turn, input) : null;
  if (resume !== null)
    return [
      failedAttempt(run, turn, code, { kind: 'none' }),
      nextAttempt(run, turn, code, input, { notBefore, resume }),
    ];
  if (!affordsAgain(state, run, turn, bill, input)) return [failTurn(run, turn, UNAFFORDABLE, code, bill), ...over];
  return [failedAttempt(run, turn, code, spent), nextAttempt(run, turn, code, input, { notBefore })];
}

/** The answer to ask for again (T5): what it costs stays reserved as it is, unless an account refuses just that. */
const resumable = (turn: Turn, input: Input): string | null =>
  (input.facts.refusals ?? []).length === 0 ? turn.response : null;

const failedAttempt = (run: Run, turn: Turn, code: string, spent: Spent): Event => ({
  kind: 'turn.failed',
  run: run.id,
  effect: turn.id,
  data: { attempt: turn.phase.attempt, code, spent },
});

function settleDone(state: State, run: Run, turn: Turn, outcome: Done, input: Input): Event[] {
  const { stop, body, usage, calls, misfit, built } = outcome;
  const bill = { usage, cost: costOf(usage, memberOf(run)?.price ?? null) };
  const over = overrun(state, run, run.pin, turn.reserve, bill, input);
  if (calls.length > LIMITS.callsPerAnswer) {
    const detail = `${calls.length} calls, at most ${LIMITS.callsPerAnswer}`;
    return [failTurn(run, turn, 'too_many_calls', detail, bill), ...over];
  }
  const done: TurnEnd = { outcome: 'done', stop, body, calls: calls.length, ...bill };
  if (misfit !== undefined) done.misfit = misfit;
  const settled = settle(run, turn, done, built);
  return [settled, ...over, ...requestCalls(state, run, turn, calls, input)];
}

/**
 * Nobody knows what became of the flying attempt: its process is gone. It was perhaps paid (T3), unless its answer can be
 * asked for again (T5).
 */
export function loseTurn(state: State, run: Run, turn: Turn, input: Input): Event[] {
  if (turn.phase.at !== 'flying') return [];
  const resume = isStopping(run) ? null : resumable(turn, input);
  if (resume !== null) return [nextAttempt(run, turn, LOST, input, { resume })];
  const bill = turnBill(run, turn, { kind: 'bound' });
  if (isStopping(run) || !affordsAgain(state, run, turn, bill, input))
    return [failTurn(run, turn, LOST, undefined, bill)];
  return [nextAttempt(run, turn, LOST, input, { charged: costAmount(bill) })];
}

function settle(run: Run, turn: Turn, end: TurnEnd, built?: Digest): Event {
  const data: EventData['turn.settled'] = { attempt: turn.phase.attempt, ...end };
  if (built !== undefined) data.built = built;
  const event: Event = { kind: 'turn.settled', run: run.id, effect: turn.id, data };
  if (end.outcome === 'done')
    event.refs = end.misfit === undefined ? [end.body.digest] : [end.body.digest, end.misfit.digest];
  return event;
}

/** Of a turn that nobody waits for any more, and that costs nothing here. */
export function cancelTurn(run: Run, turn: Turn): Event {
  return settle(run, turn, { outcome: 'cancelled', ...turnBill(run, turn, { kind: 'none' }) });
}

function failTurn(run: Run, turn: Turn, code: string, detail: string | undefined, bill: Bill): Event {
  return settle(run, turn, { outcome: 'failed', code, ...(detail === undefined ? {} : { detail }), ...bill });
}

function nextAttempt(
  run: Run,
  turn: Turn,
  reason: string,
  input: Input,
  more: { notBefore?: number; charged?: Amount; resume?: string },
): Event {
  const n = turn.phase.attempt + 1;
  const data = { n, reason, epoch: input.epoch, ...more, ...drawsOf(input.facts) };
  return { kind: 'turn.attempted', run: run.id, effect: turn.id, data };
}

const turnBill = (run: Run, { reserve, maxOutputTokens }: Turn, spent: Spent): Bill =>
  billOf(spent, reserve, maxOutputTokens, memberOf(run)?.price ?? null);

/** What follows when a turn has settled and everything it asked for is answered; [] while it is not. */
export function followTurn(state: State, run: Run, turn: Turn, input: Input): Event[] {
  if (turn.phase.at !== 'settled') return [];
  const { outcome, code } = turn.phase;
  const another = run.pin !== null && passedBy(run, run.pin).length > run.passed.length;
  if (outcome === 'failed' && code === TOO_LONG) return recover(state, run, input);
  if (outcome === 'failed' && code !== LOST && code !== UNAFFORDABLE && !another)
    return [endRun(run, { status: 'failed', reason: 'provider', detail: code })];
  if (outcome === 'done' && run.asked.length === 0 && run.steers.length === 0) {
    const repair = code === 'invalid_output' ? repairTurn(state, run, input) : [];
    return repair.length > 0 ? repair : [endOf(run, code)];
  }
  return nextTurn(state, run, input);
}

/** The context was too long for its model: one compaction, then one more turn (M5). */
function recover(state: State, run: Run, input: Input): Event[] {
  const met = run.pin === null ? null : limitMet(run, run.pin, input);
  if (met !== null) return [limitRun(run, met)];
  const request = recoverOverflow(state, run, input);
  if (request?.ok === true) return request.events;
  if (request === null || request.shortage === null)
    return [endRun(run, { status: 'failed', reason: 'context', detail: TOO_LONG })];
  if (request.owner === 'run') return [limitRun(run, request.shortage.limit)];
  return [parkOn(state, run, request.shortage, input)];
}

/** One turn more for an answer that does not fit, where the run's own limits leave room for it (T4). */
function repairTurn(state: State, run: Run, input: Input): Event[] {
  const { pin, misfit, repairs } = run;
  if (pin === null || misfit === null || repairs >= LIMITS.repairs || limitMet(run, pin, input) !== null) return [];
  const events = requestTurn(state, run, input, { repair: true });
  return events.some(({ kind }) => kind === 'run.limited') ? [] : events;
}

/** What a final answer leads to: one that is cut, filtered, empty or unfit is never a success. */
function endOf(run: Run, stop: string): Event {
  switch (stop) {
    case 'length':
      return limitRun(run, 'length');
    case 'filtered':
    case 'empty':
    case 'invalid_output':
      return endRun(run, { status: 'failed', reason: stop });
    default:
      return endRun(run, { status: 'completed' });
  }
}

export function evolveTurnRequested(state: State, run: Run, entry: Of<'turn.requested'>): void {
  const { epoch, fingerprint, reserve, maxOutputTokens, draws, closing, repair, passed } = entry.data;
  if (repair === true) run.repairs += 1;
  else run.misfit = null;
  flushPending(state.context, run, entry.seq);
  run.turns += 1;
  run.passed = passed ?? [];
  run.turn = {
    id: turnId(run.id, run.turns),
    phase: { at: 'flying', attempt: 1, epoch, notBefore: 0 },
    fingerprint,
    reserve,
    maxOutputTokens,
    draws: draws ?? [],
    closing: closing ?? null,
    response: null,
    sentBytes: state.context.newBytes,
    sentMedia: state.context.newMedia,
    slots: state.context.slots,
    failures: 0,
    body: null,
  };
  state.reserved = reserve;
}

export function evolveTurnAttempted(state: State, run: Run, turn: Turn, entry: Of<'turn.attempted'>): void {
  const { n, reason, epoch, notBefore, charged, draws, resume } = entry.data;
  if (reason === LOST) giveUp(state, turn.id, turn.phase.attempt);
  turn.response = resume ?? null;
  turn.draws = draws ?? [];
  turn.phase = { at: 'flying', attempt: n, epoch, notBefore: notBefore ?? 0 };
  if (charged === undefined) return;
  const usage = boundUsage(turn.reserve, turn.maxOutputTokens);
  book(state, run, { usage, cost: { nanoUsd: charged.nanoUsd, price: memberOf(run)?.price?.id ?? null } });
}

/** The provider's name for the answer that the flying attempt waits for; [] where it does not, or has it on record. */
export function acceptTurn(
  run: Run,
  turn: Turn,
  command: Extract<Command, { kind: 'accepted' }>,
  epoch: number,
): Event[] {
  const { attempt, response } = command;
  const { phase } = turn;
  // Only the process that was given leave for this attempt knows what became of it.
  if (phase.at !== 'flying' || phase.attempt !== attempt || phase.epoch !== epoch) return [];
  if (turn.response !== null || response === '' || response.length > LIMITS.responseChars) return [];
  return [{ kind: 'turn.accepted', run: run.id, effect: turn.id, data: { attempt, response } }];
}

export function evolveTurnFailed(state: State, run: Run, turn: Turn, entry: Of<'turn.failed'>): void {
  turn.failures += 1;
  run.retries += 1;
  book(state, run, turnBill(run, turn, entry.data.spent));
}

export function evolveTurnSettled(state: State, run: Run, turn: Turn, entry: Of<'turn.settled'>): void {
  const { data } = entry;
  book(state, run, data);
  state.reserved = { tokens: 0, nanoUsd: 0 };
  const code = data.outcome === 'done' ? data.stop : data.outcome === 'failed' ? data.code : 'cancelled';
  if (data.outcome === 'failed' && code === LOST) giveUp(state, turn.id, data.attempt);
  turn.phase = { at: 'settled', attempt: data.attempt, outcome: data.outcome, code };
  const member = memberOf(run);
  if (data.outcome !== 'done' || run.pin === null || member === null) return;
  turn.body = { ...data.body, seq: entry.seq };
  run.text = turn.body;
  run.overflow = null;
  if (data.misfit !== undefined) run.misfit = { ...data.misfit, seq: entry.seq };
  const item = { kind: 'turn' as const, body: turn.body, model: member.model, seq: entry.seq };
  addItem(state.context, item);
  if (data.usage.source !== 'provider') return;
  countTurn(state.context, turn, item, tokensOf(data.usage), run.pin, member);
  keepPrompt(state.context, turn, data.usage, run.pin, member, entry.at);
}
