/** A client of the benchmark, a process of its own: reads many streams at once and says how old each token was. */
import { Pool } from 'undici';

const [kind = '', origin = '', streams = '1'] = process.argv.slice(2);
const pool = new Pool(origin, { connections: 256, pipelining: 1 });
const ages: number[] = [];
const STAMP = /<(\d+\.\d+)>/g;
const END = kind === 'relay' ? 'data: [DONE]' : 'event: run.ended';

async function pathOf(): Promise<string> {
  if (kind === 'relay') return '/';
  const opened = await pool.request({
    method: 'POST',
    path: '/v1/sessions',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ agent: 'timed', input: 'go' }),
  });
  const { session } = (await opened.body.json()) as { session: { id: string } };
  return `/v1/sessions/${session.id}/events`;
}

async function listen(): Promise<void> {
  const stream = await pool.request({
    method: 'GET',
    path: await pathOf(),
    headers: { accept: 'text/event-stream' },
  });
  let rest = '';
  for await (const data of stream.body) {
    const now = performance.timeOrigin + performance.now();
    const lines = (rest + String(data)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      // Whoever joins late first gets all so far in one piece: the newest token in it is the one that came now.
      const stamps = [...line.matchAll(STAMP)];
      if (stamps.length === 1) ages.push(now - Number(stamps[0]?.[1]));
      if (line.startsWith(END)) return;
    }
  }
  throw new Error('the stream ended before its end');
}

await Promise.all(Array.from({ length: Number(streams) }, listen));
ages.sort((a, b) => a - b);
const at = (share: number): number => ages[Math.floor(ages.length * share)] ?? 0;
process.stdout.write(JSON.stringify({ tokens: ages.length, p50Ms: at(0.5), p99Ms: at(0.99) }));
await pool.destroy();
