/** What others committed of one tenant, told to its watchers: the feed after the place that was told last. */
import type { Append, CommittedChange } from '@perdure/runtime/ports';
import { LIMITS } from '../limits.ts';
import { unpackIndex } from '../rows.ts';
import { announce } from '../watch.ts';
import { FEED, feedOf, type FeedRow } from './lists.ts';
import type { Scope } from './scope.ts';
import { integer } from './statement.ts';

export type Ear = {
  /** Own commits are told at once, and are no news when the feed has them. */
  committed(append: Append): void;
  /** Looks for what others committed, as soon as the last look is done. Never rejects. */
  look(): void;
};

/** Where to begin: before what was committed since the store was opened, as far as the newest changes tell: a stamp may be a second older than its change. */
const START = `SELECT coalesce(
  (SELECT min(place) - 1 FROM (SELECT place, stamp FROM {s}.changes WHERE tenant = $1 AND place IS NOT NULL
    ORDER BY place DESC LIMIT $3) newest WHERE stamp + 1000000 >= $2),
  (SELECT place FROM {s}.feeds WHERE tenant = $1), 0) AS place`;

/** `openedAt`: when the store was opened, in microseconds of the database. */
export function createEar(scope: Scope, openedAt: number): Ear {
  const heads = new Map<string, number>();
  let place: number | null = null;
  let state: 'idle' | 'looking' | 'looking, and asked again' = 'idle';
  const tell = ([, session, agent, head, status, doc]: FeedRow): void => {
    // What is under way here is told when it is answered.
    if (head <= (heads.get(session) ?? 0) || head === scope.appender.underway(session)) return;
    const { activeRun, outstanding } = unpackIndex({ agent, status, key: null, doc });
    announce(scope.watchers, { session, agent, head, status, activeRun, outstanding, own: false });
  };
  const lookOnce = async (): Promise<void> => {
    const values = [scope.tenant, openedAt, LIMITS.heardChanges];
    place ??= integer((await scope.read(START, values))[0]?.['place']);
    for (;;) {
      const { newest, rows } = feedOf(await scope.write(FEED, [place, LIMITS.heardChanges, LIMITS.numberedChanges]));
      rows.forEach(tell);
      // Another database stands in its place, or an older copy of it.
      place = rows.at(-1)?.[0] ?? Math.min(place, newest);
      if (rows.length < LIMITS.heardChanges) return;
    }
  };
  const look = async (): Promise<void> => {
    do {
      state = 'looking';
      // Who looks again later finds it all.
      await lookOnce().catch(() => {});
    } while (isAskedAgain());
    state = 'idle';
  };
  const isAskedAgain = (): boolean => state === 'looking, and asked again';
  return {
    committed({ session, frame, index }) {
      const head = frame.first + frame.count - 1;
      heads.delete(session);
      if (heads.size >= LIMITS.knownHeads) heads.delete(heads.keys().next().value ?? '');
      heads.set(session, head);
      const { agent, status, activeRun, outstanding } = index;
      const change: CommittedChange = { session, agent, head, status, activeRun, outstanding, own: true };
      announce(scope.watchers, change);
    },
    look() {
      if (scope.watchers.size === 0) return;
      if (state === 'idle') void look();
      else state = 'looking, and asked again';
    },
  };
}
