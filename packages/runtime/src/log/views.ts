/** What lists and screens read of a folded session: pure projections of its state. */
import type { Entry, Run, State } from '@perdure/engine';
import { outstanding, statusOf, wakeAt } from '@perdure/engine';
import type { Hot } from './hot.ts';
import type { RunRow, SessionIndex } from '../ports.ts';

export function sessionStatus(state: State): SessionIndex['status'] {
  if (state.phase === 'closed' || state.phase === 'moved') return 'closed';
  const run = state.active === null ? undefined : state.runs.get(state.active);
  if (run === undefined) return state.compaction === null ? 'idle' : 'running';
  const status = statusOf(state, run);
  return status === 'waiting' || status === 'held' ? 'waiting' : 'running';
}

/** A run could start and does not: its agent is not defined where it was last stepped. The sweeper asks again. */
export function waitsToStart(state: State): boolean {
  if (state.phase !== 'open' || state.active !== null) return false;
  return state.queue.some((id) => state.runs.get(id)?.held === false);
}

export function indexOf(state: State, title: string): SessionIndex {
  const { forked, movedTo } = state;
  return {
    agent: state.agent,
    key: state.key,
    title,
    status: sessionStatus(state),
    activeRun: state.active,
    queue: state.queue,
    revision: state.revision,
    usage: state.usage,
    cost: state.cost,
    createdAt: state.createdAt,
    updatedAt: state.at,
    dueAt: wakeAt(state),
    outstanding: outstanding(state).length + (waitsToStart(state) ? 1 : 0),
    waits: [...state.waits.values()].map(({ id, kind, run }) => ({ id, kind, run })),
    ...(forked === null ? {} : { forkedFrom: { session: forked.from, seq: forked.seq } }),
    ...(movedTo === null ? {} : { movedTo }),
  };
}

type Told = Pick<Run, 'id' | 'message' | 'usage' | 'cost' | 'startedAt'>;

/** The row of a run that has not ended. */
export function rowOf(state: State, run: Run): RunRow {
  return { ...startedRow(state, run), status: statusOf(state, run) };
}

function startedRow(state: State, run: Told): Omit<RunRow, 'status'> {
  return {
    run: run.id,
    agent: state.agent,
    reason: null,
    detail: null,
    seq: run.message.seq,
    text: null,
    usage: run.usage,
    cost: run.cost,
    startedAt: run.startedAt === 0 ? null : run.startedAt,
    endedAt: null,
  };
}

type Ended = Extract<Entry, { kind: 'run.ended' }>;

export function endedRow(state: State, run: Told, { at, data }: Ended): RunRow {
  return {
    ...startedRow(state, run),
    status: data.status,
    reason: 'reason' in data ? data.reason : null,
    detail: 'detail' in data ? (data.detail ?? null) : null,
    text: data.text === undefined ? null : { digest: data.text.digest, seq: data.text.seq },
    usage: data.usage,
    cost: data.cost,
    endedAt: at,
  };
}

/** A run that was queued and ended by one input: no state ever showed it, its entries do. */
function briefRun(id: Run['id'], ended: Ended, entries: readonly Entry[]): Told | null {
  const queued = entries.find((entry) => entry.kind === 'run.queued' && entry.run === id);
  if (queued?.kind !== 'run.queued') return null;
  const started = entries.find((entry) => entry.kind === 'run.started' && entry.run === id);
  const message = { ...queued.data.message, seq: queued.seq };
  return { id, message, usage: ended.data.usage, cost: ended.data.cost, startedAt: started?.at ?? 0 };
}

/** Rows of the runs whose status these entries changed; `runs` also holds those that ended. */
export function changedRows(hot: Hot, runs: ReadonlyMap<string, Run>, entries: readonly Entry[]): RunRow[] {
  const rows: RunRow[] = [];
  for (const entry of entries) {
    if (entry.kind !== 'run.ended' || entry.run === undefined) continue;
    const run = runs.get(entry.run) ?? briefRun(entry.run, entry, entries);
    if (run !== null) rows.push((hot.ended = endedRow(hot.state, run, entry)));
    hot.rows.delete(entry.run);
  }
  for (const run of hot.state.runs.values()) {
    const status = statusOf(hot.state, run);
    if (hot.rows.get(run.id) === status) continue;
    hot.rows.set(run.id, status);
    rows.push(rowOf(hot.state, run));
  }
  return rows;
}
