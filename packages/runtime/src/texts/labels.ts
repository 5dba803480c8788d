/**
 * Whose words stand behind what a search found. What a model said after it had read the web may be the web's words: whoever
 * reads it again has read them, too, however many sessions lie between.
 */
import type { State, Taint } from '@perdure/engine';
import { isTrusted } from '@perdure/engine';
import { decodeFrame } from '../log/frame.ts';
import type { Sessions } from '../log/sessions.ts';
import type { HistoryPage, HistoryQuery, SaidHit, TenantStore } from '../ports.ts';
import type { Search } from './search.ts';

/** What is said of words whose context nobody can tell. */
const ANYBODYS: readonly Taint[] = ['web', 'file', 'tool', 'input'];

export type HistoryOptions = {
  search: Search;
  sessions: Pick<Sessions, 'exclusive' | 'load' | 'current'>;
  log: Pick<TenantStore['log'], 'read'>;
  /** Sessions that nobody folds here. */
  quarantine: { has(session: string): boolean };
};

/** A search whose hits carry the labels of what they were said from. Throws what the search throws. */
export function createHistory(options: HistoryOptions): (query: HistoryQuery) => Promise<HistoryPage> {
  return async (query) => {
    const { hits, next, behind } = await options.search(query);
    const labelled = hits.map(async (hit) => ({ ...hit, taint: await labelsOf(options, hit) }));
    return { hits: await Promise.all(labelled), next, behind };
  };
}

async function labelsOf(options: HistoryOptions, hit: SaidHit): Promise<readonly Taint[]> {
  if (options.quarantine.has(hit.session)) return ANYBODYS;
  try {
    const before = await labelsBefore(options, hit);
    if (before === null) return ANYBODYS;
    if (hit.role === 'assistant' || before.includes('input')) return before;
    const isOfUser = await wasTrusted(options, hit);
    return isOfUser ? before : [...before, 'input'];
  } catch {
    // A log that is damaged, away, or of a build to come.
    return ANYBODYS;
  }
}

/** Those that the context had by then; null: its log does not reach there. */
async function labelsBefore({ sessions }: HistoryOptions, { session, seq }: SaidHit): Promise<Taint[] | null> {
  return sessions.exclusive(session, async () => {
    const { state } = await sessions.load(session);
    if (state.head >= seq) return labelsAt(state, seq);
    // Another process has written to it since.
    const newest = await sessions.current(session, 0);
    return newest.state.head >= seq ? labelsAt(newest.state, seq) : null;
  });
}

/** No label ever leaves a context, so those of any moment are known from its newest state. */
const labelsAt = ({ context }: State, seq: number): Taint[] =>
  context.taint.filter((source) => source.seq <= seq).map(({ label }) => label);

/** A message is in the context, with its label, only when its run starts. */
async function wasTrusted({ log }: HistoryOptions, { session, seq }: SaidHit): Promise<boolean> {
  const [frame] = await log.read(session, { after: seq - 1, limit: 1 });
  const said = frame === undefined ? undefined : decodeFrame(frame).find((entry) => entry.seq === seq);
  return said !== undefined && isTrusted(said.by);
}
