/** Rows as they lie in the tables of a database: what has a column of its own is not said twice, counters go without names. */
import type { RunRow, SessionIndex, Usage } from '@perdure/runtime/ports';

export type RunTuple = [run: string, agent: string, status: string, doc: string];

/** When the sweeper must look: 0 (always) while effects are outstanding; null never. */
export function dueOf({ outstanding, dueAt }: SessionIndex): number | null {
  return outstanding > 0 ? 0 : dueAt;
}

type Packed = [
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
  const { input, cachedInput, cacheWrite, output, reasoning, source } = row.usage;
  const counts = [row.cost.nanoUsd, input, output, cachedInput, cacheWrite, reasoning, source === 'bound' ? 1 : 0];
  while (counts.at(-1) === 0) counts.pop();
  const final: Packed[5] = row.text === null ? null : [row.text.digest, row.text.seq];
  const packed: Packed = [row.seq, row.startedAt, row.endedAt, counts, row.cost.price, final, row.reason, row.detail];
  return [row.run, row.agent, row.status, JSON.stringify(packed)];
}

export function unpackRun([run, agent, status, doc]: RunTuple): RunRow {
  const [seq, startedAt, endedAt, counts, price, final, reason, detail]: Packed = JSON.parse(doc);
  const [nanoUsd = 0, input = 0, output = 0, cachedInput = 0, cacheWrite = 0, reasoning = 0, bound = 0] = counts;
  const source: Usage['source'] = bound === 1 ? 'bound' : 'provider';
  return {
    run,
    agent,
    status: status as RunRow['status'],
    reason,
    detail,
    seq,
    text: final === null ? null : { digest: final[0], seq: final[1] },
    usage: { input, cachedInput, cacheWrite, output, reasoning, source },
    cost: { nanoUsd, price },
    startedAt,
    endedAt,
  };
}
