/** What an append does to the accounts: derived from its entries, so that the ledger and the log cannot disagree. */
import type { Entry, Run, State } from '@perdure/engine';
import { costOf, isCapped, memberOf, runAccount, sessionAccount, sessionCaps, tokensOf } from '@perdure/engine';
import type { Amount, Caps, LedgerOp } from '../ports.ts';

/** `runs` are the runs as they were before and after these entries: an ended run is no longer in the state. */
export function ledgerOps(state: State, runs: ReadonlyMap<string, Run>, entries: readonly Entry[]): LedgerOp[] {
  // Nothing that a prefix had reserved was reserved by its fork: it is settled where it was.
  if (entries[0]?.kind === 'session.forked') return [];
  const ops: LedgerOp[] = [];
  for (const entry of entries) {
    if (entry.kind === 'session.arrived') ops.push(...arrivals(state, runs));
    const run = entry.run === undefined ? undefined : runs.get(entry.run);
    if (run === undefined || !isCapped(state, run)) continue;
    ops.push(...opsOf(state, run, entry));
  }
  return ops;
}

/** A session brings what it has spent to where it arrives; nothing of it flies, so nothing is reserved. */
function arrivals(state: State, runs: ReadonlyMap<string, Run>): LedgerOp[] {
  return [...runs.values()].flatMap((run) =>
    run.phase.at === 'queued' || !isCapped(state, run) ? [] : opened(state, run, { ...run.spent }),
  );
}

/** The account of a run, below that of its session. */
function opened(state: State, run: Run, spent: Amount): LedgerOp[] {
  const caps: Caps = {};
  if (run.pin?.limits.tokens !== undefined) caps.tokens = run.pin.limits.tokens;
  if (run.pin?.limits.nanoUsd !== undefined) caps.nanoUsd = run.pin.limits.nanoUsd;
  return [
    sessionOpened(state, run),
    { op: 'open', account: runAccount(state, run), parent: sessionAccount(state), caps, spent },
  ];
}

const sessionOpened = (state: State, run: Run): LedgerOp => ({
  op: 'open',
  account: sessionAccount(state),
  parent: null,
  caps: sessionCaps(state, run),
  spent: { ...state.spent },
});

function opsOf(state: State, run: Run, entry: Entry): LedgerOp[] {
  const account = runAccount(state, run);
  switch (entry.kind) {
    case 'run.started':
      return opened(state, run, NOTHING);
    case 'budget.raised':
      return [sessionOpened(state, run)];
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
          : { tokens: tokensOf(spent.usage), nanoUsd: costOf(spent.usage, memberOf(run)?.price ?? null).nanoUsd };
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
