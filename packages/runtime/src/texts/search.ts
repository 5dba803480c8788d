/**
 * Full-text search over what was said. The index is brought up to the log by whoever searches, so that an append costs
 * nothing for it; what was appended before a search began is found by it, or it says that the index is behind.
 */
import { ApiError } from '@perdure/contract';
import { LIMITS } from '../limits.ts';
import type { Change, FoundPage, HistoryQuery, Logger, SaidHit, TenantStore, TextIndex, Timers } from '../ports.ts';
import { StoreDamage } from '../ports.ts';
import { saidIn } from './said.ts';

export type Search = (query: HistoryQuery) => Promise<FoundPage>;
export type SearchOptions = {
  store: Pick<TenantStore, 'log' | 'blobs'>;
  timers: Timers;
  logger: Logger;
  /** No more is brought once it aborts. */
  stopping: AbortSignal;
};

/** Throws ApiError `invalid_request` for a query that holds no word or too many. */
export function createSearch(options: SearchOptions): Search {
  const { log } = options.store;
  const bringing = createBringing(options);
  return async ({ text, agent, cursor, limit }) => {
    const terms = termsOf(text);
    const isUpToDate = await bringing(LIMITS.searchWaitMs);
    const query: Parameters<TextIndex['search']>[0] = { terms, limit };
    if (agent !== undefined) query.agent = agent;
    if (cursor !== undefined) query.cursor = cursor;
    const page = await log.texts.search(query);
    const hits = await Promise.all(page.items.map(async (hit) => titled(log, hit)));
    return { hits: hits.filter((hit) => hit !== null), next: page.next, behind: !isUpToDate };
  };
}

/** `a "b c"` is the terms `a` and `b c`; what holds no letter or digit is no term. */
export function termsOf(text: string): string[] {
  const terms = [...text.matchAll(/"([^"]*)"?|[^\s"]+/g)]
    .map(([whole, quoted]) => quoted ?? whole)
    .filter((term) => /[\p{L}\p{N}]/u.test(term));
  const problem =
    terms.length === 0
      ? 'the query holds no word: give words, or "words in quotes" that follow each other'
      : terms.length > LIMITS.searchTerms
        ? `the query holds more than ${LIMITS.searchTerms} words`
        : null;
  if (problem !== null) throw new ApiError('invalid_request', problem, { details: { path: 'q' } });
  return terms;
}

/** A session that is gone or damaged cannot be read on in: it is not shown. */
async function titled(log: TenantStore['log'], hit: SaidHit): Promise<FoundPage['hits'][number] | null> {
  try {
    const row = await log.get(hit.session);
    return row === null ? null : { ...hit, title: row.title };
  } catch (error) {
    if (error instanceof StoreDamage) return null;
    throw error;
  }
}

/** Brings the index up to the log; false where that took too long or failed. It goes on meanwhile. */
function createBringing(options: SearchOptions): (waitMs: number) => Promise<boolean> {
  const { timers, logger, stopping } = options;
  let underway: Promise<boolean> | null = null;
  const bring = async (): Promise<boolean> => {
    try {
      return await bringUp(options);
    } catch (error) {
      logger.warn({ error: error instanceof Error ? error.message : String(error) }, 'the text index is behind');
      return false;
    } finally {
      underway = null;
    }
  };
  const brought = async (): Promise<boolean> => {
    // What is under way may have passed what was appended just now.
    if (underway !== null) await underway;
    return (underway ??= bring());
  };
  return async (waitMs) => {
    const late = Promise.withResolvers<boolean>();
    const isLate = (): void => late.resolve(false);
    const timer = timers.set(waitMs, isLate);
    stopping.addEventListener('abort', isLate, { once: true });
    try {
      return await Promise.race([brought(), late.promise]);
    } finally {
      timer.cancel();
      stopping.removeEventListener('abort', isLate);
    }
  };
}

/** True when nothing is left; false when it was stopped. Throws what the store throws. */
async function bringUp(options: SearchOptions): Promise<boolean> {
  const { store, stopping } = options;
  const { log } = store;
  let { cursor } = await log.texts.progress([]);
  while (!stopping.aborted) {
    const page = await log.feed(cursor, LIMITS.textSessions);
    // Too old a cursor: from the start; what a session reached is known.
    if ('resync' in page) {
      if (cursor === '') return false;
      cursor = '';
      continue;
    }
    if (page.changes.length === 0) return true;
    const { reached } = await log.texts.progress(page.changes.map(({ session }) => session));
    const batch: Additions = [];
    for (const [index, change] of page.changes.entries())
      batch.push(...(await takeSession(options, change, reached[index] ?? 0, cursor)));
    await log.texts.add(batch, page.cursor);
    cursor = page.cursor;
  }
  return false;
}

type Additions = Parameters<TextIndex['add']>[0][number][];

/** Takes a session in, page by page of its log; gives what is left of it for the batch of all. */
async function takeSession(
  { store, logger, stopping }: SearchOptions,
  { session, agent, head }: Change,
  reached: number,
  cursor: string,
): Promise<Additions> {
  const { log, blobs } = store;
  for (let after = reached; after < head && !stopping.aborted;) {
    const addition: Additions[number] = { session, agent, upTo: after, said: [] };
    try {
      const frames = await log.read(session, { after, limit: LIMITS.pageFrames });
      for (const frame of frames) addition.said = [...addition.said, ...(await saidIn(frame, blobs))];
      after = Math.max(after, ...frames.map(({ first, count }) => first + count - 1));
      addition.upTo = after;
      if (frames.length < LIMITS.pageFrames) return [addition];
    } catch (error) {
      // One that cannot be read is not searched; the others are.
      logger.warn({ session, error: error instanceof Error ? error.message : String(error) }, 'not indexed');
      return [];
    }
    await log.texts.add([addition], cursor);
  }
  return [];
}
