/** What lists and screens read of a folded session: pure projections of its state. */
import type { Entry, Run, State } from '@perdure/engine';
import { outstanding, statusOf, wakeAt } from '@perdure/engine';
import type { Hot } from './sessions.ts';
import type { RunRow, SessionIndex } from './ports.ts';

export function sessionStatus(state: State): SessionIndex['status'] {
  if (state.phase === 'closed' || state.phase === 'moved') return 'closed';
  const run = state.active === null ? undefined : state.runs.get(state.active);
  if (run === undefined) return 'idle';
  const status = statusOf(state, run);
  return status === 'waiting' || status === 'held' ? 'waiting' : 'running';
}

export function indexOf(state: State, title: string): SessionIndex {
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
    outstanding: outstanding(state).length,
    waits: [...state.waits.values()].map(({ id, kind, run }) => ({ id, kind, run })),
  };
}

export function rowOf(state: State, run: Run, ended: Extract<Entry, { kind: 'run.ended' }> | null): RunRow {
  const end = ended?.data;
  return {
    run: run.id,
    agent: state.agent,
    status: end?.status ?? statusOf(state, run),
    reason: end !== undefined && 'reason' in end ? end.reason : null,
    detail: end !== undefined && 'detail' in end ? (end.detail ?? null) : null,
    seq: run.message.seq,
    text: end?.text === undefined ? null : { digest: end.text.digest, seq: end.text.seq },
    usage: run.usage,
    cost: run.cost,
    startedAt: run.startedAt === 0 ? null : run.startedAt,
    endedAt: ended?.at ?? null,
  };
}

/** Rows of the runs whose status these entries changed; `runs` also holds those that ended. */
export function changedRows(hot: Hot, runs: ReadonlyMap<string, Run>, entries: readonly Entry[]): RunRow[] {
  const rows: RunRow[] = [];
  for (const entry of entries) {
    if (entry.kind !== 'run.ended' || entry.run === undefined) continue;
    const run = runs.get(entry.run);
    if (run !== undefined) rows.push(rowOf(hot.state, run, entry));
    hot.rows.delete(entry.run);
  }
  for (const run of hot.state.runs.values()) {
    const status = statusOf(hot.state, run);
    if (hot.rows.get(run.id) === status) continue;
    hot.rows.set(run.id, status);
    rows.push(rowOf(hot.state, run, null));
  }
  return rows;
}
