/** How long sessions stood still though something of theirs was to be done, by the times that stand in their logs. */
import type { Entry } from '@perdure/contract';
import type { Entry as Logged } from '@perdure/engine';
import { fold, freshState, outstanding, wakeAt } from '@perdure/engine';
import type { Span } from './outages.ts';
import type { SessionRecord } from './record.ts';

export type Disturbed = {
  /** When workers were killed (wall ms). */
  deaths: readonly number[];
  /** Nobody could work: the database was away, or every worker. */
  crippled: readonly Span[];
  /** Whoever keeps the timers was away. */
  untimed: readonly Span[];
};

export type Stall = {
  session: string;
  /** Nothing was written for so long after the entry of this seq, from when there was something to do and somebody to do it. */
  seq: number;
  ms: number;
  /** The same, from the last death of a worker or the end of what hindered all. */
  afterMs: number;
  /** By how much the epoch grew meanwhile: how many holders the session lost. */
  lost: number;
};

export type Stalls = {
  allowedMs: number;
  usualMs: number;
  longestMs: number;
  longestAfterMs: number;
  /** Those that were longer than is allowed. A figure, and no law: a machine that stands still is nobody's fault. */
  stuck: Stall[];
};

/**
 * Nobody is to be stuck for more than the lease and a second: after the last death, and once more for each holder that was
 * lost before. What a loaded machine takes for anything is measured in the same logs: the slowest of ten steps over which
 * nobody died, as often as a takeover has steps.
 */
export function measureStalls(records: readonly SessionRecord[], disturbed: Disturbed, leaseMs: number): Stalls {
  const all = records.flatMap(({ id, entries }) => stallsIn(id ?? '', entries, disturbed));
  const usual = all
    .filter(({ lost }) => lost === 0)
    .map(({ ms }) => ms)
    .toSorted((a, b) => a - b);
  const usualMs = usual[Math.floor(usual.length * 0.9)] ?? 0;
  const allowedMs = leaseMs + SLACK_MS + STEPS * usualMs;
  const stuck = all.filter(({ ms, afterMs, lost }) => afterMs > allowedMs || ms > (lost + 1) * allowedMs);
  const worst = (of: 'ms' | 'afterMs'): number => all.reduce((most, one) => Math.max(most, one[of]), 0);
  return { allowedMs, usualMs, longestMs: worst('ms'), longestAfterMs: worst('afterMs'), stuck };
}

const SLACK_MS = 1_000;
/** The look that finds the session free, the claim, the attempt. */
const STEPS = 3;

const epochIn = ({ data }: Entry): number | null => ('epoch' in data && data.epoch !== undefined ? data.epoch : null);

function stallsIn(session: string, entries: readonly Entry[], disturbed: Disturbed): Stall[] {
  const stalls: Stall[] = [];
  let state = freshState();
  let epoch = 0;
  for (const [n, entry] of entries.entries()) {
    state = fold([{ ...entry, input: '' } as Logged], state);
    epoch = epochIn(entry) ?? epoch;
    const next = entries[n + 1];
    if (next === undefined) continue;
    const effects = outstanding(state);
    const starts = effects.map((effect) => ('notBefore' in effect ? (effect.notBefore ?? 0) : 0));
    const due = effects.length > 0 ? Math.min(...starts) : wakeAt(state);
    const from = Math.max(entry.at, due ?? Number.POSITIVE_INFINITY);
    // Entries of one append have one time.
    if (next.at <= from) continue;
    const span = { at: from, until: next.at };
    const hindered = effects.length > 0 ? disturbed.crippled : [...disturbed.crippled, ...disturbed.untimed];
    const deaths = disturbed.deaths.filter((at) => at < span.until);
    const ends = hindered.filter(({ at }) => at < span.until).map(({ until }) => Math.min(until, span.until));
    const later = entries.slice(n + 1).find((one) => epochIn(one) !== null);
    stalls.push({
      session,
      seq: entry.seq,
      ms: span.until - from - shared(span, hindered),
      afterMs: span.until - Math.max(from, ...deaths, ...ends),
      lost: Math.max(0, (later === undefined ? epoch : (epochIn(later) ?? epoch)) - epoch),
    });
  }
  return stalls;
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
