/**
 * One model call with what it asked for.
 *  T1 A turn has at most one recorded outcome (P4); an older attempt's is evidence.
 *  T2 Attempt 1 is named by `turn.requested`, every further one by `turn.attempted`, before it is dispatched (P5).
 *  T3 A lost attempt is charged at its reservation before the next one is named: it was perhaps paid.
 */
import { retryAt } from './backoff.ts';
import { boundUsage, costOf, overrun, planTurn, spend } from './budget.ts';
import { requestCalls } from './call.ts';
import type { Input, TurnOutcome } from './commands.ts';
import { addItem, flushPending } from './context.ts';
import type { Entry, Event, EventData, Spent } from './events.ts';
import { turnId } from './ids.ts';
import type { Run, State, Turn } from './state.ts';
import type { Amount, Cost, LimitReason, RunEnd, Usage } from './values.ts';
import { addUsage, tokensOf, ZERO_USAGE } from './values.ts';
import { openWait } from './wait.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;
type Bill = { usage: Usage; cost: Cost };

const isStopping = (run: Run): boolean =>
  run.phase.at === 'cancelling' || (run.phase.at === 'closing' && run.turn?.closing === null);

/** The next turn of a run, or what stands in its way: a limit, or an account that somebody may raise. */
export function requestTurn(state: State, run: Run, input: Input, closing: LimitReason | null): Event[] {
  const plan = planTurn(state, run, input);
  if (plan.ok) {
    const data: EventData['turn.requested'] = {
      epoch: input.epoch,
      fingerprint: '',
      reserve: plan.reserve,
      maxOutputTokens: plan.maxOutputTokens,
    };
    if (closing !== null) data.closing = closing;
    return [{ kind: 'turn.requested', run: run.id, effect: turnId(run.id, run.turns + 1), data }];
  }
  if (closing !== null) return [endRun(run, { status: 'limited', reason: closing })];
  if (plan.owner === 'run') return [{ kind: 'run.limited', run: run.id, data: { limit: plan.shortage.limit } }];
  return [openWait(state, run, { kind: 'budget', ...plan.shortage })];
}

/** The last entry of a run. */
export function endRun(run: Run, end: RunEnd): Event {
  const bill = { usage: run.usage, cost: run.cost };
  if (run.text === null) return { kind: 'run.ended', run: run.id, data: { ...end, ...bill } };
  return { kind: 'run.ended', run: run.id, refs: [run.text.digest], data: { ...end, ...bill, text: run.text } };
}

/** A turn's outcome arrived for the attempt that flies. */
export function settleTurn(
  state: State,
  run: Run,
  turn: Turn,
  attempt: number,
  outcome: TurnOutcome,
  input: Input,
): Event[] {
  if (outcome.type === 'turn') return settleDone(state, run, turn, attempt, outcome, input);
  const bill = billOf(run, turn, outcome.spent);
  if (isStopping(run)) return [cancelledTurn(run, turn, attempt, bill)];
  const notBefore = retryAt(outcome.retry, turn.failures, run, `${state.id}/${turn.id}`, input.at);
  if (notBefore === null) {
    const data: EventData['turn.settled'] = { attempt, outcome: 'failed', code: outcome.code, ...bill };
    if (outcome.detail !== undefined) data.detail = outcome.detail;
    return [{ kind: 'turn.settled', run: run.id, effect: turn.id, data }];
  }
  const failed: Event = {
    kind: 'turn.failed',
    run: run.id,
    effect: turn.id,
    data: { attempt, code: outcome.code, spent: outcome.spent },
  };
  return [failed, nextAttempt(run, turn, outcome.code, input, { notBefore })];
}

function settleDone(
  state: State,
  run: Run,
  turn: Turn,
  attempt: number,
  outcome: Extract<TurnOutcome, { type: 'turn' }>,
  input: Input,
): Event[] {
  const cost = costOf(outcome.usage, run.pin?.price ?? null);
  const settled: Event = {
    kind: 'turn.settled',
    run: run.id,
    effect: turn.id,
    refs: [outcome.body.digest],
    data: {
      attempt,
      outcome: 'done',
      stop: outcome.stop,
      body: outcome.body,
      calls: outcome.calls.length,
      usage: outcome.usage,
      cost,
      ...(outcome.built === undefined ? {} : { built: outcome.built }),
    },
  };
  return [
    settled,
    ...overrun(state, run, outcome.usage, cost),
    ...requestCalls(state, run, turn, outcome.calls, input),
  ];
}

/** Nobody knows what became of the flying attempt: its process is gone. */
export function loseTurn(state: State, run: Run, turn: Turn, input: Input): Event[] {
  if (turn.phase.at !== 'flying') return [];
  const bill = billOf(run, turn, { kind: 'bound' });
  if (isStopping(run)) return [cancelledTurn(run, turn, turn.phase.attempt, bill)];
  const charged = { tokens: tokensOf(bill.usage), nanoUsd: bill.cost.nanoUsd };
  const after: Run = { ...run, spent: plus(run.spent, charged) };
  const plan = planTurn({ ...state, spent: plus(state.spent, charged) }, after, input);
  if (plan.ok && plan.maxOutputTokens === turn.maxOutputTokens)
    return [nextAttempt(run, turn, 'lost', input, { charged })];
  const data: EventData['turn.settled'] = { attempt: turn.phase.attempt, outcome: 'failed', code: 'lost', ...bill };
  return [{ kind: 'turn.settled', run: run.id, effect: turn.id, data }];
}

const plus = (a: Amount, b: Amount): Amount => ({ tokens: a.tokens + b.tokens, nanoUsd: a.nanoUsd + b.nanoUsd });

function nextAttempt(
  run: Run,
  turn: Turn,
  reason: string,
  input: Input,
  more: { notBefore?: number; charged?: Amount },
): Event {
  const n = turn.phase.attempt + 1;
  return { kind: 'turn.attempted', run: run.id, effect: turn.id, data: { n, reason, epoch: input.epoch, ...more } };
}

function cancelledTurn(run: Run, turn: Turn, attempt: number, bill: Bill): Event {
  return { kind: 'turn.settled', run: run.id, effect: turn.id, data: { attempt, outcome: 'cancelled', ...bill } };
}

function billOf(run: Run, turn: Turn, spent: Spent): Bill {
  const price = run.pin?.price ?? null;
  if (spent.kind === 'none') return { usage: ZERO_USAGE, cost: { nanoUsd: 0, price: price?.id ?? null } };
  if (spent.kind === 'usage') return { usage: spent.usage, cost: costOf(spent.usage, price) };
  const usage = boundUsage(turn.reserve, turn.maxOutputTokens);
  return { usage, cost: { nanoUsd: turn.reserve.nanoUsd, price: price?.id ?? null } };
}

/** What follows when a turn has settled and everything it asked for is answered; [] while it is not. */
export function followTurn(state: State, run: Run, turn: Turn, input: Input): Event[] {
  if (turn.phase.at !== 'settled') return [];
  const { outcome, code } = turn.phase;
  if (outcome === 'failed' && code !== 'lost') {
    const reason = code === 'context_length' ? 'context' : 'provider';
    return [endRun(run, { status: 'failed', reason, detail: code })];
  }
  if (outcome === 'done' && run.asked.length === 0 && run.steers.length === 0) return [endOf(run, code)];
  const limits = run.pin?.limits;
  if (limits !== undefined && run.turns >= limits.turns)
    return [{ kind: 'run.limited', run: run.id, data: { limit: 'turns' } }];
  if (limits !== undefined && run.asked.length > 0 && run.calls > limits.calls) {
    return [{ kind: 'run.limited', run: run.id, data: { limit: 'calls' } }];
  }
  return requestTurn(state, run, input, null);
}

/** How a run ends on a final answer: cut, filtered, empty or unfit is never a success. */
function endOf(run: Run, stop: string): Event {
  switch (stop) {
    case 'length':
      return endRun(run, { status: 'limited', reason: 'length' });
    case 'filtered':
    case 'empty':
    case 'invalid_output':
      return endRun(run, { status: 'failed', reason: stop });
    default:
      return endRun(run, { status: 'completed' });
  }
}

export function evolveTurnRequested(state: State, run: Run, entry: Of<'turn.requested'>): void {
  const { epoch, fingerprint, reserve, maxOutputTokens, closing } = entry.data;
  flushPending(state.context, run);
  run.turns += 1;
  run.turn = {
    id: turnId(run.id, run.turns),
    phase: { at: 'flying', attempt: 1, epoch, notBefore: 0 },
    fingerprint,
    reserve,
    maxOutputTokens,
    closing: closing ?? null,
    failures: 0,
    body: null,
  };
  state.reserved = reserve;
}

export function evolveTurnAttempted(state: State, run: Run, turn: Turn, entry: Of<'turn.attempted'>): void {
  const { n, epoch, notBefore, charged } = entry.data;
  turn.phase = { at: 'flying', attempt: n, epoch, notBefore: notBefore ?? 0 };
  if (charged === undefined) return;
  const usage = boundUsage(turn.reserve, turn.maxOutputTokens);
  book(state, run, usage, { nanoUsd: charged.nanoUsd, price: run.pin?.price?.id ?? null });
}

export function evolveTurnFailed(state: State, run: Run, turn: Turn, entry: Of<'turn.failed'>): void {
  turn.failures += 1;
  run.retries += 1;
  const bill = billOf(run, turn, entry.data.spent);
  book(state, run, bill.usage, bill.cost);
}

export function evolveTurnSettled(state: State, run: Run, turn: Turn, entry: Of<'turn.settled'>): void {
  const { data } = entry;
  if (data.attempt > 1) state.disputed.set(turn.id, { settled: data.attempt, late: [] });
  book(state, run, data.usage, data.cost);
  state.reserved = { tokens: 0, nanoUsd: 0 };
  const code = data.outcome === 'done' ? data.stop : data.outcome === 'failed' ? data.code : 'cancelled';
  turn.phase = { at: 'settled', attempt: data.attempt, outcome: data.outcome, code };
  if (data.outcome !== 'done') return;
  const model = run.pin?.model ?? '';
  turn.body = { ...data.body, seq: entry.seq };
  run.text = turn.body;
  addItem(state.context, { kind: 'turn', body: turn.body, model });
  if (data.usage.source === 'provider') {
    state.context.counted = { tokens: tokensOf(data.usage), model };
    state.context.newBytes = 0;
  }
}

function book(state: State, run: Run, usage: Usage, cost: Cost): void {
  if (tokensOf(usage) === 0 && cost.nanoUsd === 0) return;
  spend(state, run, usage, cost);
  const add = (to: Cost): Cost => ({ nanoUsd: to.nanoUsd + cost.nanoUsd, price: cost.price ?? to.price });
  run.usage = addUsage(run.usage, usage);
  run.cost = add(run.cost);
  state.usage = addUsage(state.usage, usage);
  state.cost = add(state.cost);
}
