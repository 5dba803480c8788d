/** W2: one session of many rounds, hot and after a cold start; its storage; how fast its entries fold. */
import { fold } from '@perdure/engine';
import { decodeFrame, findSession, openSession } from '@perdure/runtime';
import type { Session } from '@perdure/runtime';
import { bytesOf } from './disk.ts';
import type { Floor } from './floor.ts';
import type { Row } from './measure.ts';
import { measure } from './measure.ts';
import { openSubject } from './subject.ts';

type Options = {
  origin: string;
  directory: string;
  floor: Floor;
  rounds: number;
  say: (text: string) => void;
  report: (row: Row) => void;
};

export async function ask(session: Session): Promise<void> {
  const end = await (await session.send('What is 2 + 3?')).result();
  if (end.status !== 'completed')
    throw new Error(`the run ended ${end.status}: ${end.reason ?? ''} ${end.detail ?? ''}`);
}

/** What the floor sends in place of the session's earlier rounds: the same messages, as one text. */
export function history(rounds: number): string {
  const round = [
    { role: 'user', content: 'What is 2 + 3?' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'add', arguments: '{"a":2,"b":3}' } }],
    },
    { role: 'tool', tool_call_id: 'call_1', content: '5' },
    { role: 'assistant', content: 'The sum of two and three is five . ' },
  ]
    .map((message) => JSON.stringify(message))
    .join(',');
  return Array.from({ length: rounds }, () => round).join(',');
}

export async function long({ origin, directory, floor, rounds, say, report }: Options): Promise<object> {
  say(`W2: one session of ${rounds} rounds`);
  let subject = await openSubject(origin, directory);
  await subject.close();
  // What is there before any session: the empty database, and the space that is kept for a full disk.
  const emptyBytes = bytesOf(directory);
  subject = await openSubject(origin, directory);
  const session = openSession(subject.host, 'bench');
  const half = Math.floor(rounds / 2);
  await measure(half, 1, async () => ask(session));
  await subject.close();
  const halfBytes = bytesOf(directory);
  subject = await openSubject(origin, directory);
  const id = session.id;
  const second = await findSession(subject.host, id);
  await measure(rounds - half - 50, 1, async () => ask(second));
  const text = history(rounds);
  const flat = await measure(50, 1, async () => floor.round(text));
  const hot = await measure(50, 1, async () => ask(second));
  await subject.close();
  const allBytes = bytesOf(directory);

  subject = await openSubject(origin, directory);
  const cold: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    const start = performance.now();
    await ask(await findSession(subject.host, id));
    cold.push(performance.now() - start);
    if (i === 4) break;
    await subject.close();
    subject = await openSubject(origin, directory);
  }
  cold.sort((a, b) => a - b);
  const frames = await subject.host.parts.store.log.read(id, { after: 0, limit: 1_000_000 });
  await subject.close();
  const entries = frames.flatMap((frame) => decodeFrame(frame));
  const folding = folded(entries);

  const perRound = (allBytes - halfBytes) / (rounds - half);
  report({
    name: `W2 at round ${rounds}, hot, p50, perdure / floor`,
    value: hot.p50Ms / flat.p50Ms,
    unit: 'x',
    target: 3,
  });
  report({ name: 'W2 first round after a cold start', value: cold[2] ?? 0, unit: 'ms', target: 25 });
  report({
    name: 'W2 storage a round, first half',
    value: (halfBytes - emptyBytes) / half / 1024,
    unit: 'KB',
    target: 4,
  });
  report({ name: 'W2 storage a round, second half', value: perRound / 1024, unit: 'KB', target: 4 });
  report({ name: 'time to fold 1,000 parsed entries', value: 1_000_000 / folding, unit: 'ms', target: 2 });
  say(
    `  ${entries.length} entries, folded at ${folding.toFixed(0)} a second; floor p50 ${flat.p50Ms.toFixed(2)} ms, hot p50 ${hot.p50Ms.toFixed(2)} ms`,
  );
  return {
    flat,
    hot,
    coldMs: cold,
    emptyBytes,
    halfBytes,
    allBytes,
    entries: entries.length,
    foldedPerSecond: folding,
  };
}

/** Entries a second, the best of several passes: parsing is not part of it. */
function folded(entries: Parameters<typeof fold>[0] & { length: number }): number {
  let best = 0;
  for (let pass = 0; pass < 20; pass += 1) {
    const start = performance.now();
    fold(entries);
    best = Math.max(best, (entries.length / (performance.now() - start)) * 1000);
  }
  return best;
}
