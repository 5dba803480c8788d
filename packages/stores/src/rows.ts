/** Rows as they lie in the tables of a database: what has a column of its own is not said twice, counters go without names. */
import type { Cost, RunRow, SessionIndex, Usage } from '@perdure/runtime/ports';

export type RunTuple = [run: string, agent: string, status: string, doc: string];

/** When the sweeper must look: 0 (always) while effects are outstanding; null never. */
export function dueOf({ outstanding, dueAt }: SessionIndex): number | null {
  return outstanding > 0 ? 0 : dueAt;
}

type PackedIndex = [
  title: string,
  activeRun: string | null,
  revision: number,
  outstanding: number,
  dueAt: number | null,
  createdAt: number,
  updatedAt: number,
  counts: number[],
  // What most sessions have none of is left out at the end.
  price?: string | null,
  queue?: SessionIndex['queue'],
  waits?: SessionIndex['waits'],
  forkedFrom?: SessionIndex['forkedFrom'] | null,
  movedTo?: string,
];

/** Written with each append: all but agent, status and key, which have columns of their own. */
export function packIndex(index: SessionIndex): string {
  const { title, activeRun, revision, outstanding, dueAt, createdAt, updatedAt, usage, cost } = index;
  const { queue, waits, forkedFrom, movedTo } = index;
  const counts = countsOf(usage, cost);
  const packed: PackedIndex = [title, activeRun, revision, outstanding, dueAt, createdAt, updatedAt, counts];
  const isPlain = cost.price === null && queue.length === 0 && waits.length === 0;
  if (!isPlain || forkedFrom !== undefined || movedTo !== undefined) packed.push(cost.price, queue, waits);
  if (forkedFrom !== undefined || movedTo !== undefined) packed.push(forkedFrom ?? null);
  if (movedTo !== undefined) packed.push(movedTo);
  return JSON.stringify(packed);
}

/** The columns of a session that hold its index. Data that older builds wrote has the whole index in its document. */
export function unpackIndex(columns: { agent: string; status: string; key: string | null; doc: string }): SessionIndex {
  const { agent, status, key, doc } = columns;
  const packed = JSON.parse(doc) as PackedIndex | SessionIndex;
  if (!Array.isArray(packed)) return packed as SessionIndex;
  const [title, activeRun, revision, outstanding, dueAt, createdAt, updatedAt, counts] = packed;
  const [, , , , , , , , price = null, queue = [], waits = [], forkedFrom = null, movedTo] = packed;
  return {
    agent,
    key,
    title,
    status: status as SessionIndex['status'],
    activeRun,
    queue,
    revision,
    ...amountsOf(counts, price),
    createdAt,
    updatedAt,
    dueAt,
    outstanding,
    waits,
    ...(forkedFrom === null ? {} : { forkedFrom }),
    ...(movedTo === undefined ? {} : { movedTo }),
  };
}

type PackedRun = [
  seq: number,
  startedAt: number | null,
  endedAt: number | null,
  counts: number[],
  price: string | null,
  text: [digest: string, seq: number] | null,
  reason: string | null,
  detail: string | null,
];

export function packRun(row: RunRow): RunTuple {
  const { usage, cost } = row;
  const final: PackedRun[5] = row.text === null ? null : [row.text.digest, row.text.seq];
  const counts = countsOf(usage, cost);
  const packed: PackedRun = [row.seq, row.startedAt, row.endedAt, counts, cost.price, final, row.reason, row.detail];
  return [row.run, row.agent, row.status, JSON.stringify(packed)];
}

export function unpackRun([run, agent, status, doc]: RunTuple): RunRow {
  const [seq, startedAt, endedAt, counts, price, final, reason, detail]: PackedRun = JSON.parse(doc);
  return {
    run,
    agent,
    status: status as RunRow['status'],
    reason,
    detail,
    seq,
    text: final === null ? null : { digest: final[0], seq: final[1] },
    ...amountsOf(counts, price),
    startedAt,
    endedAt,
  };
}

/** What was used and what it cost, in this order, without the zeros at the end. */
function countsOf(usage: Usage, { nanoUsd }: Cost): number[] {
  const { input, cachedInput, cacheWrite, output, reasoning, source } = usage;
  const counts = [nanoUsd, input, output, cachedInput, cacheWrite, reasoning, source === 'bound' ? 1 : 0];
  while (counts.at(-1) === 0) counts.pop();
  return counts;
}

function amountsOf(counts: readonly number[], price: string | null): { usage: Usage; cost: Cost } {
  const [nanoUsd = 0, input = 0, output = 0, cachedInput = 0, cacheWrite = 0, reasoning = 0, bound = 0] = counts;
  const source: Usage['source'] = bound === 1 ? 'bound' : 'provider';
  return { usage: { input, cachedInput, cacheWrite, output, reasoning, source }, cost: { nanoUsd, price } };
}
