/** What a log says was reserved and spent, counted apart from the engine's own fold. */
import assert from 'node:assert/strict';
import type { Amount, Entry, Price, Run, RunId, Spent, State } from '@perdure/engine';
import { costOf, memberOf, tokensOf } from '@perdure/engine';

export const NOTHING: Amount = { tokens: 0, nanoUsd: 0 };

/** What the entries say was reserved and spent, counted apart from the fold [T3, B1]. */
export class Books {
  #session: Amount = NOTHING;
  #reserved: Amount = NOTHING;
  #price: Price | null = null;
  readonly #runs = new Map<RunId, Amount>();

  enter(entry: Entry, run: Run | null, state: State): void {
    switch (entry.kind) {
      case 'turn.requested':
      case 'compaction.requested':
        this.#price = priceOf(entry, run, state);
        this.#reserved = entry.data.reserve;
        break;
      case 'turn.attempted':
      case 'compaction.attempted':
        this.#spend(run, entry.data.charged ?? NOTHING);
        break;
      case 'turn.failed':
      case 'compaction.failed':
        this.#spend(run, amountOf(this.#price, entry.data.spent, this.#reserved));
        break;
      case 'turn.settled':
      case 'compaction.settled':
        this.#spend(run, { tokens: tokensOf(entry.data.usage), nanoUsd: entry.data.cost.nanoUsd });
        this.#reserved = NOTHING;
        break;
      default:
        return;
    }
    assert.deepEqual(state.reserved, this.#reserved, 'what is reserved is on record');
    assert.deepEqual(state.spent, this.#session, 'what the session spent is on record');
    assert.equal(tokensOf(state.usage), this.#session.tokens, 'the usage of the session is what it spent');
    assert.equal(state.cost.nanoUsd, this.#session.nanoUsd, 'the cost of the session is what it spent');
    if (run === null) return;
    assert.deepEqual(run.spent, this.#runs.get(run.id) ?? NOTHING, 'what the run spent is on record');
    assert.deepEqual([tokensOf(run.usage), run.cost.nanoUsd], [run.spent.tokens, run.spent.nanoUsd], 'so of the run');
  }

  #spend(run: Run | null, amount: Amount): void {
    this.#session = plus(this.#session, amount);
    if (run === null) return;
    this.#runs.set(run.id, plus(this.#runs.get(run.id) ?? NOTHING, amount));
  }
}

const plus = (a: Amount, b: Amount): Amount => ({ tokens: a.tokens + b.tokens, nanoUsd: a.nanoUsd + b.nanoUsd });

function priceOf(entry: Entry, run: Run | null, state: State): Price | null {
  if (entry.kind !== 'turn.requested') return state.compaction?.model.price ?? null;
  return run === null ? null : (memberOf(run)?.price ?? null);
}

function amountOf(price: Price | null, spent: Spent, reserved: Amount): Amount {
  if (spent.kind === 'none') return NOTHING;
  if (spent.kind === 'bound') return reserved;
  return { tokens: tokensOf(spent.usage), nanoUsd: costOf(spent.usage, price).nanoUsd };
}
