/** A session of 100,000 entries: how it opens, and what a round in it costs apart from the request, which holds all of it. */
import { findSession, openSession } from '@perdure/runtime';
import type { Floor } from './floor.ts';
import { ask, history } from './long.ts';
import type { Measured, Row } from './measure.ts';
import { measure } from './measure.ts';
import { openSubject, roundOf } from './subject.ts';

type Options = {
  origin: string;
  directory: string;
  floor: Floor;
  entries: number;
  say: (text: string) => void;
  report: (row: Row) => void;
};

const ROUNDS = 30;
const ENTRIES_A_ROUND = 9;

export async function huge({ origin, directory, floor, entries, say, report }: Options): Promise<object> {
  say(`a session of ${entries} entries`);
  const rounds = Math.ceil(entries / ENTRIES_A_ROUND);
  let subject = await openSubject(origin, directory);
  const session = openSession(subject.host, 'bench');
  // Sent together, they wait in its queue: the session is made sooner, and is the same.
  for (let made = 0; made < rounds; made += 200) {
    const runs = await Promise.all(
      Array.from({ length: Math.min(200, rounds - made) }, async () => session.send('What is 2 + 3?')),
    );
    await runs.at(-1)?.result();
  }
  const { id } = session;
  await subject.close();
  const opened: number[] = [];
  for (let i = 0; i < 3; i += 1) {
    subject = await openSubject(origin, directory);
    const start = performance.now();
    await findSession(subject.host, id);
    opened.push(performance.now() - start);
    if (i < 2) await subject.close();
  }
  const openMs = opened.toSorted((a, b) => a - b)[1] ?? 0;
  const text = history(rounds);
  const again = await findSession(subject.host, id);
  await measure(5, 1, async () => ask(again));
  const pairs: { [of in 'fresh' | 'floorFresh' | 'huge' | 'floorHuge']: Measured }[] = [];
  for (let i = 0; i < 3; i += 1)
    pairs.push({
      fresh: await measure(ROUNDS, 1, roundOf(subject)),
      floorFresh: await measure(ROUNDS, 1, async () => floor.round('')),
      huge: await measure(ROUNDS, 1, async () => ask(again)),
      floorHuge: await measure(ROUNDS, 1, async () => floor.round(text)),
    });
  const p50 = (of: keyof (typeof pairs)[number]): number =>
    pairs.map((pair) => pair[of].p50Ms).toSorted((a, b) => a - b)[1] ?? 0;
  const head = (await again.view()).head;
  await subject.close();
  // What the larger request alone costs, with nothing around it, is taken off.
  const round = p50('huge') - (p50('floorHuge') - p50('floorFresh'));
  report({
    name: `opening a session of ${entries} entries, from its snapshot`,
    value: openMs,
    unit: 'ms',
    target: 300,
  });
  report({ name: "its next round / a fresh session's", value: round / p50('fresh'), unit: 'x', target: 1.5 });
  say(
    `  ${head} entries; a round ${p50('huge').toFixed(2)} ms, a fresh one ${p50('fresh').toFixed(2)} ms; the floor ${p50('floorHuge').toFixed(2)} and ${p50('floorFresh').toFixed(2)} ms`,
  );
  return { head, openMs, pairs };
}
