/**
 * Budgets above sessions, as the logs say them: what each account must have spent and reserved, counted here once more by
 * other means than the ledger's, and the most that anybody ever allowed (P9).
 */
import assert from 'node:assert/strict';
import type { Amount, Caps, Entry, State } from '@perdure/engine';
import type { BudgetsPlan } from './plan.ts';
import type { Disk } from './sim.ts';

type Period = 'day' | 'month' | 'total';
/** What a session has under way: how much, and on which accounts. */
type Held = { amount: Amount; draws: readonly string[] };

const NOTHING: Amount = { tokens: 0, nanoUsd: 0 };
const NAMING: ReadonlySet<Entry['kind']> = new Set([
  'turn.requested',
  'turn.attempted',
  'compaction.requested',
  'compaction.attempted',
]);

export class Purses {
  readonly #spent = new Map<string, Amount>();
  /** By session. */
  readonly #held = new Map<string, Held>();
  /** By scope and period: the highest cap that was ever asked for. */
  readonly #allowed = new Map<string, Caps>();

  constructor(planned: BudgetsPlan | null) {
    for (const [scope, caps] of Object.entries({ tenant: planned?.tenant, 'agent/worker': planned?.agent }))
      for (const period of ['day', 'month', 'total'] as const)
        if (caps?.[period] !== undefined) this.allow(scope, period, caps[period]);
  }

  /** Somebody is about to allow so much; whether it comes to that is another question. */
  allow(scope: string, period: Period, { tokens = 0, nanoUsd = 0 }: Caps): void {
    const key = `${scope} ${period}`;
    const known = this.#allowed.get(key) ?? {};
    this.#allowed.set(key, {
      tokens: Math.max(known.tokens ?? 0, tokens),
      nanoUsd: Math.max(known.nanoUsd ?? 0, nanoUsd),
    });
  }

  /** What flies in a session, before its entries change that. Only one thing can. */
  flying({ runs, active, compaction, reserved }: State): Held {
    const turn = active === null ? null : (runs.get(active)?.turn ?? null);
    const flies = turn?.phase.at === 'flying' ? turn.draws : (compaction?.draws ?? []);
    return { amount: { ...reserved }, draws: [...flies] };
  }

  /** After entries were folded: `before` flew until then, and the session had spent `spent`. */
  committed(state: State, entries: readonly Entry[], before: Held, spent: Amount, disk: Disk): void {
    const bill = less(state.spent, spent);
    for (const account of before.draws.flatMap(lineOf))
      this.#spent.set(account, plus(this.#spent.get(account) ?? NOTHING, bill));
    const now = this.flying(state);
    if (now.draws.length === 0) this.#held.delete(state.id);
    else this.#held.set(state.id, now);
    const touched = new Set([...before.draws, ...now.draws].flatMap(lineOf));
    for (const account of touched) this.#check(account, disk);
    if (!entries.some(({ kind }) => NAMING.has(kind))) return;
    for (const account of now.draws.flatMap(lineOf)) this.#checkCap(account);
  }

  #reserved(account: string): Amount {
    let sum = NOTHING;
    for (const { amount, draws } of this.#held.values())
      if (draws.flatMap(lineOf).includes(account)) sum = plus(sum, amount);
    return sum;
  }

  #check(account: string, disk: Disk): void {
    const row = disk.account(account);
    assert.deepEqual(
      row?.spent,
      this.#spent.get(account) ?? NOTHING,
      `the ledger has what was spent of ${account} [P9]`,
    );
    assert.deepEqual(row?.reserved, this.#reserved(account), `the ledger has what is reserved of ${account} [P9]`);
  }

  /** At every dispatch, spent plus reserved is within the cap. A cap that nobody named is none. */
  #checkCap(account: string): void {
    const [scope = '', name = ''] = account.split('@');
    const period = name === 'total' ? 'total' : name.length === '2030-01'.length ? 'month' : 'day';
    const cap = this.#allowed.get(`${scope} ${period}`) ?? {};
    const booked = plus(this.#spent.get(account) ?? NOTHING, this.#reserved(account));
    for (const limit of ['tokens', 'nanoUsd'] as const) {
      const most = cap[limit] ?? 0;
      assert.ok(most === 0 || booked[limit] <= most, `${account} keeps its ${limit}: ${booked[limit]} of ${most} [P9]`);
    }
  }
}

/** The account with those above it: a day's, a month's, that of all time. */
function lineOf(leaf: string): string[] {
  const [scope = '', day = ''] = leaf.split('@');
  return [leaf, `${scope}@${day.slice(0, '2030-01'.length)}`, `${scope}@total`];
}

const plus = (a: Amount, b: Amount): Amount => ({ tokens: a.tokens + b.tokens, nanoUsd: a.nanoUsd + b.nanoUsd });
const less = (a: Amount, b: Amount): Amount => ({ tokens: a.tokens - b.tokens, nanoUsd: a.nanoUsd - b.nanoUsd });
