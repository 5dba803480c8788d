/** What an append does to the accounts: derived from its entries, so that the ledger and the log cannot disagree. */
import type { Entry, Run, State } from '@perdure/engine';
import { costOf, isCapped, runAccount, sessionAccount, sessionCaps, tokensOf } from '@perdure/engine';
import type { Caps, LedgerOp } from '../ports.ts';

/** `runs` are the runs as they were before and after these entries: an ended run is no longer in the state. */
export function ledgerOps(state: State, runs: ReadonlyMap<string, Run>, entries: readonly Entry[]): LedgerOp[] {
  const ops: LedgerOp[] = [];
  for (const entry of entries) {
    const run = entry.run === undefined ? undefined : runs.get(entry.run);
    if (run === undefined || !isCapped(state, run)) continue;
    ops.push(...opsOf(state, run, entry));
  }
  return ops;
}

function opsOf(state: State, run: Run, entry: Entry): LedgerOp[] {
  const account = runAccount(state, run);
  switch (entry.kind) {
    case 'run.started': {
      const caps: Caps = {};
      if (run.pin?.limits.tokens !== undefined) caps.tokens = run.pin.limits.tokens;
      if (run.pin?.limits.nanoUsd !== undefined) caps.nanoUsd = run.pin.limits.nanoUsd;
      return [
        {
          op: 'open',
          account: sessionAccount(state),
          parent: null,
          caps: sessionCaps(state, run),
          spent: { ...state.spent },
        },
        { op: 'open', account, parent: sessionAccount(state), caps, spent: { tokens: 0, nanoUsd: 0 } },
      ];
    }
    case 'budget.raised':
      return [
        {
          op: 'open',
          account: sessionAccount(state),
          parent: null,
          caps: sessionCaps(state, run),
          spent: { ...state.spent },
        },
      ];
    case 'turn.requested':
      return [{ op: 'reserve', key: keyOf(state, entry, 1), account, amount: entry.data.reserve }];
    case 'turn.attempted': {
      const { n, charged } = entry.data;
      const before: LedgerOp =
        charged === undefined
          ? { op: 'release', key: keyOf(state, entry, n - 1) }
          : { op: 'settle', key: keyOf(state, entry, n - 1), amount: charged };
      return [before, { op: 'reserve', key: keyOf(state, entry, n), account, amount: run.turn?.reserve ?? NOTHING }];
    }
    case 'turn.failed': {
      const { attempt, spent } = entry.data;
      if (spent.kind === 'none') return [];
      const amount =
        spent.kind === 'bound'
          ? (run.turn?.reserve ?? NOTHING)
          : { tokens: tokensOf(spent.usage), nanoUsd: costOf(spent.usage, run.pin?.price ?? null).nanoUsd };
      return [{ op: 'settle', key: keyOf(state, entry, attempt), amount }];
    }
    case 'turn.settled': {
      const { attempt, usage, cost } = entry.data;
      return [
        { op: 'settle', key: keyOf(state, entry, attempt), amount: { tokens: tokensOf(usage), nanoUsd: cost.nanoUsd } },
      ];
    }
    default:
      return [];
  }
}

const NOTHING = { tokens: 0, nanoUsd: 0 };

const keyOf = (state: State, entry: Entry, attempt: number): string => `${state.id}/${entry.effect ?? ''}#${attempt}`;
