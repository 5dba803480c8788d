/**
 * How long sessions stood still though something of theirs was to be done: by the times in their logs, and by what Postgres
 * wrote down of who had them.
 */
import type { Entry } from '@perdure/contract';
import type { Entry as Logged } from '@perdure/engine';
import { fold, freshState, outstanding, wakeAt } from '@perdure/engine';
import type { Custody } from './custody.ts';
import type { Span } from './outages.ts';
import type { SessionRecord } from './record.ts';

export type Disturbed = {
  /** When workers were killed (wall ms), by their lives. */
  deaths: ReadonlyMap<number, number>;
  /** Postgres was away. */
  stored: readonly Span[];
  /** No worker was up. */
  unmanned: readonly Span[];
  /** Whoever keeps the timers was away. */
  untimed: readonly Span[];
};

/** A stretch of a session that had something to do: nobody who lived had it, or somebody did and wrote nothing. */
export type Stall = {
  session: string;
  /** The entry after which it stood. */
  seq: number;
  /** Wall ms. */
  at: number;
  /** Without the time in which nobody could have gone on. */
  ms: number;
  /** Which process had it; null: nobody. */
  life: number | null;
};

type Recorded = Pick<SessionRecord, 'id' | 'entries'>;
type Figures = { count: number; p50Ms: number; p90Ms: number; p99Ms: number; longestMs: number };

export type Stalls = {
  allowedMs: number;
  /** Nobody had it: from the death of who did, or from when there was something to do, to the next one's claim. */
  free: Figures;
  /** Somebody had it: from the claim, or the entry before, to the next entry. */
  held: Figures;
  /** Those that were longer than is allowed. */
  stuck: Stall[];
  /** What happened around each of these, and around the longest. */
  told: string[];
};

/**
 * Nobody is to be stuck for more than the lease and a second. So a session that has something to do and that nobody has who
 * lives is claimed within that time, counted anew only when one that had it dies; and who has it writes the next entry
 * within that time. What is not counted: the time in which Postgres was away or no worker was up; of a timer also that
 * in which Restate was away. What a loaded machine takes for anything is measured in the same logs: STEPS times the slowest
 * of ten steps of holders that lived.
 */
export function measureStalls(
  records: readonly Recorded[],
  custody: Pick<Custody, 'of'>,
  disturbed: Disturbed,
  leaseMs: number,
): Stalls {
  const all = records.flatMap(({ id, entries }) => stallsIn(id ?? '', entries, custody, disturbed));
  const free = all.filter(({ life }) => life === null);
  const held = all.filter(({ life }) => life !== null);
  const allowedMs = leaseMs + SLACK_MS + STEPS * quantile(held, 0.9);
  const stuck = all.filter(({ ms }) => ms > allowedMs);
  return {
    allowedMs,
    free: figures(free),
    held: figures(held),
    stuck,
    told: [...new Set([...stuck, ...longest(free), ...longest(held)])].map((stall) =>
      tell(stall, records, custody, disturbed),
    ),
  };
}

const SLACK_MS = 1_000;
/** The look that finds the session free, the claim, the attempt. */
const STEPS = 3;

function quantile(stalls: readonly Stall[], q: number): number {
  const sorted = stalls.map(({ ms }) => ms).toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0;
}

const longest = (stalls: readonly Stall[]): Stall[] => stalls.toSorted((a, b) => b.ms - a.ms).slice(0, 1);

const figures = (stalls: readonly Stall[]): Figures => ({
  count: stalls.length,
  p50Ms: quantile(stalls, 0.5),
  p90Ms: quantile(stalls, 0.9),
  p99Ms: quantile(stalls, 0.99),
  longestMs: quantile(stalls, 1),
});

/** What went on around a stall, in ms from its beginning. */
function tell(stall: Stall, records: readonly Recorded[], custody: Pick<Custody, 'of'>, disturbed: Disturbed): string {
  const { session, seq, at, ms, life } = stall;
  const events: (Span & { what: string })[] = [
    ...custody.of(session).map((hold) => ({ ...hold, what: `life ${hold.life} has it` })),
    ...[...disturbed.deaths].map(([dead, when]) => ({ at: when, until: when, what: `life ${dead} is killed` })),
    ...disturbed.stored.map((span) => ({ ...span, what: 'Postgres is away' })),
    ...disturbed.unmanned.map((span) => ({ ...span, what: 'no worker is up' })),
    ...disturbed.untimed.map((span) => ({ ...span, what: 'Restate is away' })),
    ...(records.find(({ id }) => id === session)?.entries ?? []).map((entry) => ({
      at: entry.at,
      until: entry.at,
      what: `${entry.seq} ${entry.kind} ${entry.effect ?? ''} ${JSON.stringify(entry.data).slice(0, 120)}`,
    })),
  ];
  const near = events.filter((event) => event.until >= at - NEAR_MS && event.at <= at + ms + NEAR_MS);
  const lines = near
    .toSorted((a, b) => a.at - b.at)
    .map((event) => `  ${event.at - at}${event.until > event.at ? `..${event.until - at}` : ''} ${event.what}`);
  return [`${session} stood for ${ms} ms after ${seq}, ${life === null ? 'free' : `held by ${life}`}`, ...lines].join(
    '\n',
  );
}
const NEAR_MS = 4_000;

function stallsIn(
  session: string,
  entries: readonly Entry[],
  custody: Pick<Custody, 'of'>,
  disturbed: Disturbed,
): Stall[] {
  const stalls: Stall[] = [];
  let state = freshState();
  let last: Entry | undefined;
  for (const [n, entry] of entries.entries()) {
    state = fold([{ ...entry, input: '' } as Logged], state);
    // What people say moves nothing of what is to be done.
    const next = entries.slice(n + 1).find(({ by }) => by.kind === 'system');
    if (next === undefined || next === last) continue;
    const effects = outstanding(state);
    const starts = effects.map((effect) => ('notBefore' in effect ? (effect.notBefore ?? 0) : 0));
    const due = effects.length > 0 ? Math.min(...starts) : wakeAt(state);
    const from = Math.max(entry.at, due ?? Number.POSITIVE_INFINITY);
    // Entries of one append have one time.
    if (next.at <= from) continue;
    last = next;
    const away = effects.length > 0 ? disturbed.stored : [...disturbed.stored, ...disturbed.untimed];
    for (const { life, ...span } of pieces({ at: from, until: next.at }, session, custody)) {
      const hindered = life === null ? [...away, ...disturbed.unmanned] : away;
      const ms = span.until - span.at - shared(span, hindered);
      stalls.push({ session, seq: entry.seq, at: span.at, ms, life });
    }
  }
  return stalls;
}

/** A span of a session, cut where somebody came to have it, or ceased to. */
function* pieces(span: Span, session: string, custody: Pick<Custody, 'of'>): Generator<Span & { life: number | null }> {
  let reached = span.at;
  for (const { at, until, life } of custody.of(session)) {
    if (until <= reached || at >= span.until) continue;
    if (at > reached) yield { at: reached, until: at, life: null };
    const ends = Math.min(until, span.until);
    yield { at: Math.max(reached, at), until: ends, life };
    reached = ends;
  }
  if (reached < span.until) yield { at: reached, until: span.until, life: null };
}

/** How much of a span lies in others, each ms counted once. */
function shared({ at, until }: Span, others: readonly Span[]): number {
  let sum = 0;
  let reached = at;
  for (const other of others.toSorted((a, b) => a.at - b.at)) {
    const begins = Math.max(reached, other.at);
    const ends = Math.min(until, other.until);
    if (ends > begins) sum += ends - begins;
    reached = Math.max(reached, ends);
  }
  return sum;
}
