/**
 * Money and tokens: reserved before a request, settled after it.
 *  B1 At every dispatch, spent plus reserved is within each cap (P9).
 *  B2 The bound of a call is what was counted, one token a byte of what is new, and the maximum output, at list price.
 *  B3 A bill above its reservation is an entry, and closes the account: nothing is reserved on it again.
 *  B4 Budgets above the session are the ledger's: what a request draws on is on record with it, and what they refuse is a
 *     fact of the next fold.
 */
import type { Facts, Input } from './commands.ts';
import { ImpossibleState } from './commands.ts';
import { boundInputTokens } from './context.ts';
import type { Event, EventData, Spent } from './events.ts';
import { LIMITS } from './limits.ts';
import { memberOf, membersOf } from './route.ts';
import type { Run, State, Turn } from './state.ts';
import type {
  AccountId,
  Amount,
  Caps,
  Cost,
  Member,
  Pin,
  PinnedModel,
  Price,
  Rates,
  Shortage,
  Usage,
} from './values.ts';
import { addUsage, tokensOf, ZERO_USAGE } from './values.ts';

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

/** Caps of the session: what the pin says, unless an answer to a budget wait raised it. */
export function sessionCaps(state: State, pin: Pin | null): Caps {
  return { ...pin?.limits.session, ...state.caps };
}

/** What a request draws on: its run's account below the session's, or the session's alone. */
function accountsOf(state: State, run: Run | null, pin: Pin, refusals: readonly Shortage[] = []): Account[] {
  const session = sessionAccount(state);
  const accounts: Account[] = [{ id: session, owner: 'other', free: room(sessionCaps(state, pin), state.spent) }];
  const own = run === null ? null : runAccount(state, run);
  if (run !== null && own !== null) accounts.unshift({ id: own, owner: 'run', free: room(pin.limits, run.spent) });
  for (const { account, limit, free } of refusals) {
    const owner = account === own ? 'run' : 'other';
    accounts.push({ id: account, owner, free: limit === 'tokens' ? { tokens: free } : { nanoUsd: free } });
  }
  return accounts;
}

/** B4: the accounts above the session that a request is reserved on from now. */
export function drawsOf({ budgets = [] }: Facts): { draws?: AccountId[] } {
  return budgets.length === 0 ? {} : { draws: budgets.map(({ account }) => account) };
}

/** Which limits are capped above the session. */
function cappedAbove({ budgets = [] }: Pick<Facts, 'budgets'>): { tokens: boolean; money: boolean } {
  const caps = budgets.flatMap(({ accounts }) => accounts.map((account) => account.caps));
  return { tokens: caps.some((cap) => cap.tokens !== undefined), money: caps.some((cap) => cap.nanoUsd !== undefined) };
}

/** When the period is over in which an account is short; nothing where it has none. */
export function periodOf({ budgets = [] }: Facts, account: AccountId): { expiresAt?: number } {
  const endsAt = budgets.flatMap(({ accounts }) => accounts).find(({ id }) => id === account)?.endsAt ?? null;
  return endsAt === null ? {} : { expiresAt: endsAt };
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
  const { price, maxOutputTokens: output } = member;
  const inputTokens = boundInputTokens(state.context, run, pin, member);
  const least = Math.min(closing ? LIMITS.minClosingTokens : LIMITS.minOutputTokens, output);
  return planRequest(state, run, pin, input, { inputTokens, output, least, price });
}

export type Wanted = { inputTokens: number; output: number; least: number; price: Price | null };

/** What one request reserves in each account it draws on. `run` null: it is the session's. */
export function planRequest(state: State, run: Run | null, pin: Pin, input: Input, wanted: Wanted): TurnPlan {
  const { inputTokens, least, price } = wanted;
  if (run !== null && run.overrun !== null) {
    const closed = { tokens: 0, nanoUsd: 0 };
    const account = { id: runAccount(state, run), owner: 'run' as const, free: closed };
    const shortage = { ...shortageOf(account, inputTokens, least, price), limit: run.overrun };
    return { ok: false, shortage, owner: 'run' };
  }
  let { output } = wanted;
  for (const account of accountsOf(state, run, pin, input.facts.refusals)) {
    const affordable = affordableOutput(account.free, inputTokens, output, price);
    if (affordable < least)
      return { ok: false, shortage: shortageOf(account, inputTokens, least, price), owner: account.owner };
    output = affordable;
  }
  return { ok: true, reserve: bound(inputTokens, output, price), maxOutputTokens: output };
}

/** Whether what was reserved can be reserved once more after what the last attempt cost. */
export function affordsReserve(
  state: State,
  run: Run | null,
  pin: Pin,
  reserve: Amount,
  bill: Bill,
  input: Input,
): boolean {
  if (overrunOf(state, run, pin, reserve, bill, input) !== null || (run !== null && run.overrun !== null)) return false;
  const cost = costAmount(bill);
  const after = { ...state, spent: plus(state.spent, cost) };
  const drawn = run === null ? null : { ...run, spent: plus(run.spent, cost) };
  return accountsOf(after, drawn, pin, input.facts.refusals).every(
    ({ free }) =>
      (free.tokens === undefined || free.tokens >= reserve.tokens) &&
      (free.nanoUsd === undefined || free.nanoUsd >= reserve.nanoUsd),
  );
}

export const costAmount = ({ usage, cost }: Bill): Amount => ({ tokens: tokensOf(usage), nanoUsd: cost.nanoUsd });

/** Whether a turn's request can be made once more after what its last attempt cost. */
export function affordsAgain(state: State, run: Run, turn: Turn, bill: Bill, input: Input): boolean {
  const { pin } = run;
  const member = memberOf(run);
  const cost = costAmount(bill);
  if (pin === null || member === null || overrunOf(state, run, pin, turn.reserve, bill, input) !== null) return false;
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

/** Of a run's models, and of who summarises for it, the first that has no price. */
export const unpricedOf = (pin: Pin): PinnedModel | null =>
  membersOf(pin).find(({ price }) => price === null) ?? (pin.summarizer?.price === null ? pin.summarizer : null);

/** A run under a money cap with a model that has no price cannot be bounded, so it cannot run: which one. */
export function lacksPrice(state: State, pin: Pin, above: Pick<Facts, 'budgets'>): PinnedModel | null {
  const capped =
    pin.limits.nanoUsd !== undefined || pin.limits.session?.nanoUsd !== undefined || state.caps.nanoUsd !== undefined;
  return capped || cappedAbove(above).money ? unpricedOf(pin) : null;
}

/** Whether a run with this pin has a cap at all. */
export function isBound(state: State, pin: Pin, facts: Facts): boolean {
  const above = cappedAbove(facts);
  return isCappedBy(state, pin) || above.tokens || above.money;
}

/** The same, in its own accounts. */
function isCappedBy({ caps }: State, { limits }: Pin): boolean {
  return isCap(limits) || isCap(caps) || (limits.session !== undefined && isCap(limits.session));
}

const isCap = ({ tokens, nanoUsd }: Caps): boolean => (tokens ?? nanoUsd) !== undefined;

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
function overrunOf(
  state: State,
  run: Run | null,
  pin: Pin,
  reserve: Amount,
  bill: Bill,
  { facts }: Input,
): Overrun | null {
  const over = {
    tokens: Math.max(0, tokensOf(bill.usage) - reserve.tokens),
    nanoUsd: Math.max(0, bill.cost.nanoUsd - reserve.nanoUsd),
  };
  const own = capsOf(state, run, pin);
  const above = cappedAbove(facts);
  const caps = { tokens: own.tokens || above.tokens, money: own.money || above.money };
  const account = run === null ? sessionAccount(state) : runAccount(state, run);
  if (over.nanoUsd > 0 && caps.money) return { account, limit: 'money', over };
  return over.tokens > 0 && caps.tokens ? { account, limit: 'tokens', over } : null;
}

/** The entry for a bill above what was reserved (B3); none where no cap was at stake. */
export function overrun(
  state: State,
  run: Run | null,
  pin: Pin | null,
  reserve: Amount,
  bill: Bill,
  input: Input,
): Event[] {
  const data = pin === null ? null : overrunOf(state, run, pin, reserve, bill, input);
  if (data === null) return [];
  return run === null ? [{ kind: 'budget.overrun', data }] : [{ kind: 'budget.overrun', run: run.id, data }];
}

/** B3: the account of a session is closed by a cap at what it has spent, until somebody raises it. */
export function closeSessionAccount(state: State, limit: 'tokens' | 'money'): void {
  state.caps = limit === 'tokens' ? { ...state.caps, tokens: 0 } : { ...state.caps, nanoUsd: 0 };
}

function capsOf(state: State, run: Run | null, pin: Pin | null): { tokens: boolean; money: boolean } {
  const limits = run === null ? undefined : pin?.limits;
  const session = sessionCaps(state, pin);
  return {
    tokens: (limits?.tokens ?? session.tokens) !== undefined,
    money: (limits?.nanoUsd ?? session.nanoUsd) !== undefined,
  };
}

/** Whether any cap binds what runs under this pin: only then does the ledger hold accounts for it. */
export const isCapped = (state: State, pin: Pin | null): boolean => pin !== null && isCappedBy(state, pin);

/** Books what a request cost: in its run, if it is one's, and in the session. */
export function book(state: State, run: Run | null, { usage, cost }: Bill): void {
  if (tokensOf(usage) === 0 && cost.nanoUsd === 0) return;
  for (const bearer of run === null ? [state] : [run, state]) {
    bearer.spent.tokens += tokensOf(usage);
    bearer.spent.nanoUsd += cost.nanoUsd;
    bearer.usage = addUsage(bearer.usage, usage);
    bearer.cost = { nanoUsd: bearer.cost.nanoUsd + cost.nanoUsd, price: cost.price ?? bearer.cost.price };
  }
}

/** What one attempt cost, as far as anybody can say. */
export function billOf(spent: Spent, reserve: Amount, maxOutputTokens: number, price: Price | null): Bill {
  if (spent.kind === 'none') return { usage: ZERO_USAGE, cost: { nanoUsd: 0, price: price?.id ?? null } };
  if (spent.kind === 'usage') return { usage: spent.usage, cost: costOf(spent.usage, price) };
  return {
    usage: boundUsage(reserve, maxOutputTokens),
    cost: { nanoUsd: reserve.nanoUsd, price: price?.id ?? null },
  };
}
