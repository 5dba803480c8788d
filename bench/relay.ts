/**
 * W4: from a token that the provider writes to the client that reads it, over HTTP with SSE, 32 streams at once: a plain
 * relay that knows of nothing, and Perdure in its place.
 */
import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Pool } from 'undici';
import { overHttp } from './http.ts';
import type { Row } from './measure.ts';
import { openSubject } from './subject.ts';

type Options = { origin: string; directory: string; say: (text: string) => void; report: (row: Row) => void };
type Delays = { tokens: number; p50Ms: number; p99Ms: number };

const STREAMS = 32;
const REPEATS = 3;

/** Passes bytes on as they come, and nothing else. */
async function startRelay(origin: string): Promise<{ url: string; close(): Promise<void> }> {
  const pool = new Pool(origin, { connections: STREAMS * 2, pipelining: 1 });
  const server = createServer((_request, response) => {
    const call = { method: 'POST' as const, path: '/v1/chat/completions', body: '{"model":"timed","messages":[]}' };
    void pool.stream(call, () => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return response;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      await pool.destroy();
      server.close();
    },
  };
}

async function delays(kind: 'relay' | 'perdure', url: string): Promise<Delays> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--disable-warning=ExperimentalWarning',
    join(import.meta.dirname, 'listener.ts'),
    kind,
    url,
    String(STREAMS),
  ]);
  return JSON.parse(stdout) as Delays;
}

export async function relay({ origin, directory, say, report }: Options): Promise<object> {
  say(`W4: a token on its way to a client, ${STREAMS} streams`);
  const plain = await startRelay(origin);
  const subject = await openSubject(origin, directory);
  const pairs: [Delays, Delays][] = [];
  await overHttp(subject.host, async (url) => {
    // Once for both to be compiled.
    await delays('relay', plain.url);
    await delays('perdure', url);
    for (let i = 0; i < REPEATS; i += 1) pairs.push([await delays('relay', plain.url), await delays('perdure', url)]);
  });
  await subject.close();
  await plain.close();
  const middle = (all: Delays[]): Delays => all.toSorted((a, b) => a.p50Ms - b.p50Ms)[REPEATS >> 1] ?? NONE;
  const [floor, perdure] = [middle(pairs.map(([one]) => one)), middle(pairs.map(([, two]) => two))];
  for (const [name, { p50Ms, p99Ms, tokens }] of [['relay', floor] as const, ['perdure', perdure] as const])
    say(`  ${name.padEnd(24)} p50 ${p50Ms.toFixed(3)} ms  p99 ${p99Ms.toFixed(3)} ms  (${tokens} tokens)`);
  report({
    name: 'W4 token to client, p50, perdure / relay',
    value: perdure.p50Ms / floor.p50Ms,
    unit: 'x',
    target: 2,
  });
  return { relay: floor, perdure };
}

const NONE: Delays = { tokens: 0, p50Ms: 0, p99Ms: 0 };
