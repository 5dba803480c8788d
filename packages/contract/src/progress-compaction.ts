/** Where the compaction of a session stands, as a part of its progress. */
import type { CompactionProgress, Progress, RunProgress } from './progress.ts';
import type { Entry } from './stream.ts';
import { sumCost, sumUsage } from './sums.ts';

type Of<K extends Entry['kind']> = Extract<Entry, { kind: K }>;

export function applyToCompaction(state: Progress, entry: Entry): void {
  const { compaction } = state;
  switch (entry.kind) {
    case 'compaction.requested':
      state.compaction = beganCompaction(state, entry);
      break;
    case 'compaction.attempted':
      if (compaction === null) break;
      compaction.attempt = entry.data.n;
      compaction.error = entry.data.reason;
      compaction.notBefore = entry.data.notBefore ?? 0;
      break;
    case 'compaction.settled':
      state.compaction = null;
      break;
    default:
  }
}

function beganCompaction({ route, summarizer }: Progress, entry: Of<'compaction.requested'>): CompactionProgress {
  const { model, by } = entry.data;
  const how = by ?? (model === undefined && summarizer !== null ? 'named' : 'own');
  const who = model ?? summarizer ?? route[0] ?? null;
  return { id: entry.effect ?? '', attempt: 1, error: null, notBefore: 0, model: who, by: how };
}

/** The turn before it is over, and what it asked for is answered. */
export function applyCompactionTo(run: RunProgress, entry: Entry): void {
  switch (entry.kind) {
    case 'compaction.requested':
      run.turn = null;
      run.asked = [];
      break;
    case 'compaction.failed':
      run.retries += 1;
      break;
    case 'compaction.settled':
      run.usage = sumUsage(run.usage, entry.data.usage);
      run.cost = sumCost(run.cost, entry.data.cost);
      break;
    default:
  }
}
