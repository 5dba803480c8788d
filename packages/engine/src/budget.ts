/**
 * Money and tokens: reserved before a request, settled after it.
 *  B1 At every dispatch, spent plus reserved is within each cap (P9).
 *  B2 The bound of a call is what was counted, one token a byte of what is new, and the maximum output, at list price.
 *  B3 A bill above its reservation is an entry, and closes the account: nothing is reserved on it again.
 */
import type { Input } from './commands.ts';
import { ImpossibleState } from './commands.ts';
import { boundInputTokens } from './context.ts';
import type { Event, EventData } from './events.ts';
import { LIMITS } from './limits.ts';
import { memberOf, membersOf } from './route.ts';
import type { Run, State, Turn } from './state.ts';
import type { Amount, Caps, Cost, Member, Pin, Price, Rates, Shortage, Usage } from './values.ts';
import { tokensOf } from './values.ts';

export type TurnPlan =
  | { ok: true; reserve: Amount; maxOutputTokens: number }
  | { ok: false; shortage: Shortage; owner: 'run' | 'other' };

export const runAccount = (state: State, run: Run): string => `${state.id}/${run.id}`;
export const sessionAccount = (state: State): string => state.id;

export type Bill = { usage: Usage; cost: Cost };
type Account = { id: string; owner: 'run' | 'other'; free: Caps };

const left = (cap: number | undefined, spent: number): number | undefined =>
  cap === undefined ? undefined : Math.max(0, cap - spent);

const room = (caps: Caps, spent: Amount): Caps => {
  const free: Caps = {};
  const tokens = left(caps.tokens, spent.tokens);
  const nanoUsd = left(caps.nanoUsd, spent.nanoUsd);
  if (tokens !== undefined) free.tokens = tokens;
  if (nanoUsd !== undefined) free.nanoUsd = nanoUsd;
  return free;
};

/** Caps of the session: what the run's pin says, unless an answer to a budget wait raised it. */
export function sessionCaps(state: State, run: Run): Caps {
  return { ...run.pin?.limits.session, ...state.caps };
}

function accountsOf(state: State, run: Run, refusal: Shortage | undefined): Account[] {
  const own = runAccount(state, run);
  const accounts: Account[] = [
    { id: own, owner: 'run', free: room(run.pin?.limits ?? {}, run.spent) },
    { id: sessionAccount(state), owner: 'other', free: room(sessionCaps(state, run), state.spent) },
  ];
  if (refusal === undefined) return accounts;
  const free = refusal.limit === 'tokens' ? { tokens: refusal.free } : { nanoUsd: refusal.free };
  return [...accounts, { id: refusal.account, owner: refusal.account === own ? 'run' : 'other', free }];
}

const inputRate = (rates: Rates): number => Math.max(rates.input, rates.cachedInput, rates.cacheWrite);

/** The dearest that each token of a request can cost whose prompt has at most so many. */
function ratesUpTo(price: Price, inputTokens: number): Rates {
  const { above } = price;
  if (above === undefined || inputTokens <= above.tokens) return price;
  return {
    input: Math.max(price.input, above.input),
    cachedInput: Math.max(price.cachedInput, above.cachedInput),
    cacheWrite: Math.max(price.cacheWrite, above.cacheWrite),
    output: Math.max(price.output, above.output),
  };
}

/** List price of a usage, rounded up to whole nano-USD. */
export function costOf(usage: Usage, price: Price | null): Cost {
  if (price === null) return { nanoUsd: 0, price: null };
  const { input, cachedInput, cacheWrite, output } = usage;
  const { above } = price;
  const rates = above !== undefined && input + cachedInput + cacheWrite > above.tokens ? above : price;
  const thousandfold =
    input * rates.input + cachedInput * rates.cachedInput + cacheWrite * rates.cacheWrite + output * rates.output;
  return { nanoUsd: Math.ceil(thousandfold / 1000), price: price.id };
}

function bound(inputTokens: number, outputTokens: number, price: Price | null): Amount {
  const tokens = inputTokens + outputTokens;
  if (price === null) return { tokens, nanoUsd: 0 };
  const rates = ratesUpTo(price, inputTokens);
  return { tokens, nanoUsd: Math.ceil((inputTokens * inputRate(rates) + outputTokens * rates.output) / 1000) };
}

/** The largest output an account lets this request have. */
function affordableOutput(free: Caps, inputTokens: number, wanted: number, price: Price | null): number {
  let output = wanted;
  if (free.tokens !== undefined) output = Math.min(output, free.tokens - inputTokens);
  if (free.nanoUsd !== undefined && price !== null) {
    const rates = ratesUpTo(price, inputTokens);
    const rest = free.nanoUsd * 1000 - inputTokens * inputRate(rates);
    output = rates.output > 0 ? Math.min(output, Math.floor(rest / rates.output)) : rest < 0 ? -1 : output;
  }
  return output;
}

/**
 * What the next turn reserves with this model: its maximum output shrinks before it is refused. A closing turn takes what
 * is left.
 */
export function planTurn(state: State, run: Run, member: Member, input: Input, closing: boolean): TurnPlan {
  const { pin } = run;
  if (pin === null) throw new ImpossibleState(`${run.id} plans a turn and has not started`);
  const { price, maxOutputTokens } = member;
  const inputTokens = boundInputTokens(state.context, run, pin, member);
  const least = Math.min(closing ? LIMITS.minClosingTokens : LIMITS.minOutputTokens, maxOutputTokens);
  if (run.overrun !== null) {
    const closed = { tokens: 0, nanoUsd: 0 };
    const account = { id: runAccount(state, run), owner: 'run' as const, free: closed };
    return {
      ok: false,
      shortage: { ...shortageOf(account, inputTokens, least, price), limit: run.overrun },
      owner: 'run',
    };
  }
  let output = maxOutputTokens;
  for (const account of accountsOf(state, run, input.facts.refusal)) {
    const affordable = affordableOutput(account.free, inputTokens, output, price);
    if (affordable < least)
      return { ok: false, shortage: shortageOf(account, inputTokens, least, price), owner: account.owner };
    output = affordable;
  }
  return { ok: true, reserve: bound(inputTokens, output, price), maxOutputTokens: output };
}

/** Whether a turn's request can be made once more after what its last attempt cost. */
export function affordsAgain(state: State, run: Run, turn: Turn, bill: Bill, input: Input): boolean {
  const cost = { tokens: tokensOf(bill.usage), nanoUsd: bill.cost.nanoUsd };
  const member = memberOf(run);
  if (member === null || overrunOf(state, run, turn, bill) !== null) return false;
  const after = { ...state, spent: plus(state.spent, cost) };
  const plan = planTurn(after, { ...run, spent: plus(run.spent, cost) }, member, input, turn.closing !== null);
  return plan.ok && plan.maxOutputTokens >= turn.maxOutputTokens;
}

const plus = (a: Amount, b: Amount): Amount => ({ tokens: a.tokens + b.tokens, nanoUsd: a.nanoUsd + b.nanoUsd });

function shortageOf(account: Account, inputTokens: number, least: number, price: Price | null): Shortage {
  const needed = bound(inputTokens, least, price);
  const { tokens, nanoUsd } = account.free;
  if (tokens !== undefined && tokens < needed.tokens)
    return { account: account.id, limit: 'tokens', needed: needed.tokens, free: tokens };
  return { account: account.id, limit: 'money', needed: needed.nanoUsd, free: nanoUsd ?? 0 };
}

export const unpricedOf = (pin: Pin): Member | null => membersOf(pin).find(({ price }) => price === null) ?? null;

/** A run under a money cap with a model that has no price cannot be bounded, so it cannot run: which one. */
export function lacksPrice(state: State, pin: Pin): Member | null {
  const capped =
    pin.limits.nanoUsd !== undefined || pin.limits.session?.nanoUsd !== undefined || state.caps.nanoUsd !== undefined;
  return capped ? unpricedOf(pin) : null;
}

/** Whether a run with this pin has a cap at all. */
export function isCappedBy(state: State, { limits }: Pin): boolean {
  const { caps } = state;
  return [limits, limits.session ?? {}, caps].some(({ tokens, nanoUsd }) => (tokens ?? nanoUsd) !== undefined);
}

/** Usage that stands for a reservation nobody can settle exactly. */
export function boundUsage(reserve: Amount, maxOutputTokens: number): Usage {
  return {
    input: Math.max(0, reserve.tokens - maxOutputTokens),
    cachedInput: 0,
    cacheWrite: 0,
    output: maxOutputTokens,
    reasoning: 0,
    source: 'bound',
  };
}

type Overrun = EventData['budget.overrun'];

/** By how much a bill passes what was reserved, in what a cap counts; null: it does not. */
function overrunOf(state: State, run: Run, turn: Turn, bill: Bill): Overrun | null {
  const over = {
    tokens: Math.max(0, tokensOf(bill.usage) - turn.reserve.tokens),
    nanoUsd: Math.max(0, bill.cost.nanoUsd - turn.reserve.nanoUsd),
  };
  const caps = capsOf(state, run);
  const account = runAccount(state, run);
  if (over.nanoUsd > 0 && caps.money) return { account, limit: 'money', over };
  return over.tokens > 0 && caps.tokens ? { account, limit: 'tokens', over } : null;
}

/** The entry for a bill above what was reserved (B3); none where no cap was at stake. */
export function overrun(state: State, run: Run, turn: Turn, bill: Bill): Event[] {
  const data = overrunOf(state, run, turn, bill);
  return data === null ? [] : [{ kind: 'budget.overrun', run: run.id, data }];
}

function capsOf(state: State, run: Run): { tokens: boolean; money: boolean } {
  const limits = run.pin?.limits;
  const session = sessionCaps(state, run);
  return {
    tokens: (limits?.tokens ?? session.tokens) !== undefined,
    money: (limits?.nanoUsd ?? session.nanoUsd) !== undefined,
  };
}

/** Whether any cap binds this run: only then does the ledger hold accounts for it. */
export function isCapped(state: State, run: Run): boolean {
  const caps = capsOf(state, run);
  return caps.tokens || caps.money;
}

export function spend(state: State, run: Run, usage: Usage, cost: Cost): void {
  for (const account of [state.spent, run.spent]) {
    account.tokens += tokensOf(usage);
    account.nanoUsd += cost.nanoUsd;
  }
}
