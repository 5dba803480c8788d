/** What an append does to the accounts: derived from its entries, so that the ledger and the log cannot disagree. */
import type { Entry, Pin, Run, State } from '@perdure/engine';
import { costOf, isCapped, memberOf, runAccount, sessionAccount, sessionCaps, tokensOf } from '@perdure/engine';
import type { Amount, Caps, LedgerOp } from '../ports.ts';

/** The accounts above its session that an effect's flying attempt is reserved on, by the effect's id. */
export type Draws = ReadonlyMap<string, readonly string[]>;

const NO_DRAWS: Draws = new Map();

/** What flies in a state draws on, before its entries change that. */
export function drawsOf({ runs, active, compaction }: State): Draws {
  const turn = active === null ? null : (runs.get(active)?.turn ?? null);
  const turnDraws = turn?.draws ?? [];
  if (turnDraws.length === 0 && compaction === null) return NO_DRAWS;
  const draws = new Map<string, readonly string[]>();
  if (turn !== null && turnDraws.length > 0) draws.set(turn.id, turnDraws);
  if (compaction !== null && compaction.draws.length > 0) draws.set(compaction.id, compaction.draws);
  return draws;
}

/**
 * `runs` are the runs as they were before and after these entries: an ended run is no longer in the state; `drawn` is what
 * flew before them drew on. What is above the session is booked beside what is below, under a key of its own for each
 * account: which one it was at the time is remembered with the reservation, whatever period has begun since.
 */
export function ledgerOps(
  state: State,
  runs: ReadonlyMap<string, Run>,
  entries: readonly Entry[],
  drawn: Draws = NO_DRAWS,
): LedgerOp[] {
  // Nothing that a prefix had reserved was reserved by its fork: it is settled where it was.
  if (entries[0]?.kind === 'session.forked') return [];
  const ops: LedgerOp[] = [];
  let draws: Map<string, readonly string[]> | null = null;
  for (const entry of entries) {
    if (entry.kind === 'session.arrived') ops.push(...arrivals(state, runs));
    const run = entry.run === undefined ? undefined : runs.get(entry.run);
    const isOfCompaction = entry.kind.startsWith('compaction.');
    if (run === undefined && !isOfCompaction) continue;
    const isOwn = isCapped(state, isOfCompaction ? (run?.pin ?? state.lastPin) : (run?.pin ?? null));
    // Where nothing is capped, nothing is booked.
    if (!isOwn && drawn.size === 0 && draws === null && !('draws' in entry.data)) continue;
    draws ??= new Map(drawn);
    const own =
      isOfCompaction || run === undefined ? compactionOps(state, run ?? null, entry) : opsOf(state, run, entry);
    book(ops, draws, entry, own, isOwn);
  }
  return ops;
}

/** Books an entry's operations in the session's own accounts, where these are capped, and in all that it draws on. */
function book(
  ops: LedgerOp[],
  draws: Map<string, readonly string[]>,
  { effect, data }: Entry,
  own: readonly LedgerOp[],
  isOwn: boolean,
): void {
  if (isOwn) ops.push(...own);
  if (effect === undefined || own.length === 0) return;
  const before = draws.get(effect) ?? [];
  const after = 'draws' in data ? (data.draws ?? []) : [];
  for (const op of own) {
    if (op.op === 'reserve') for (const account of after) ops.push({ ...op, key: `${op.key}@${account}`, account });
    else if (op.op !== 'open') for (const account of before) ops.push({ ...op, key: `${op.key}@${account}` });
  }
  if (own.some(({ op }) => op === 'reserve')) draws.set(effect, after);
}

/** A session brings what it has spent to where it arrives; nothing of it flies, so nothing is reserved. */
function arrivals(state: State, runs: ReadonlyMap<string, Run>): LedgerOp[] {
  return [...runs.values()].flatMap((run) =>
    run.phase.at === 'queued' || !isCapped(state, run.pin) ? [] : opened(state, run, { ...run.spent }),
  );
}

/** The account of a run, below that of its session. */
function opened(state: State, run: Run, spent: Amount): LedgerOp[] {
  const caps: Caps = {};
  if (run.pin?.limits.tokens !== undefined) caps.tokens = run.pin.limits.tokens;
  if (run.pin?.limits.nanoUsd !== undefined) caps.nanoUsd = run.pin.limits.nanoUsd;
  return [
    sessionOpened(state, run.pin),
    { op: 'open', account: runAccount(state, run), parent: sessionAccount(state), caps, spent },
  ];
}

const sessionOpened = (state: State, pin: Pin | null): LedgerOp => ({
  op: 'open',
  account: sessionAccount(state),
  parent: null,
  caps: sessionCaps(state, pin),
  spent: { ...state.spent },
});

function opsOf(state: State, run: Run, entry: Entry): LedgerOp[] {
  const account = runAccount(state, run);
  switch (entry.kind) {
    case 'run.started':
      return opened(state, run, NOTHING);
    case 'budget.raised':
      return [sessionOpened(state, run.pin)];
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

/** What a compaction draws on: the account of the run that waits for it, or its session's. */
function compactionOps(state: State, run: Run | null, entry: Entry): LedgerOp[] {
  const { compaction } = state;
  const account = run === null ? sessionAccount(state) : runAccount(state, run);
  const reserve = compaction?.reserve ?? NOTHING;
  switch (entry.kind) {
    case 'compaction.requested': {
      const { key, amount } = { key: keyOf(state, entry, 1), amount: entry.data.reserve };
      const opening = run === null ? [sessionOpened(state, state.lastPin)] : [];
      return [...opening, { op: 'reserve', key, account, amount }];
    }
    case 'compaction.attempted': {
      const { n, charged } = entry.data;
      const key = keyOf(state, entry, n - 1);
      const before: LedgerOp = charged === undefined ? { op: 'release', key } : { op: 'settle', key, amount: charged };
      return [before, { op: 'reserve', key: keyOf(state, entry, n), account, amount: reserve }];
    }
    case 'compaction.failed': {
      const { attempt, spent } = entry.data;
      if (spent.kind === 'none') return [];
      const amount =
        spent.kind === 'bound'
          ? reserve
          : {
              tokens: tokensOf(spent.usage),
              nanoUsd: costOf(spent.usage, compaction?.model.price ?? null).nanoUsd,
            };
      return [{ op: 'settle', key: keyOf(state, entry, attempt), amount }];
    }
    case 'compaction.settled': {
      const { attempt, usage, cost } = entry.data;
      if (attempt === 0) return [];
      const amount = { tokens: tokensOf(usage), nanoUsd: cost.nanoUsd };
      return [{ op: 'settle', key: keyOf(state, entry, attempt), amount }];
    }
    default:
      return [];
  }
}

const NOTHING = { tokens: 0, nanoUsd: 0 };

const keyOf = (state: State, entry: Entry, attempt: number): string => `${state.id}/${entry.effect ?? ''}#${attempt}`;
