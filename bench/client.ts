/** A client of the benchmark, a process of its own: a new session with one message, followed over SSE to its end. */
import { Pool } from 'undici';
import { measure } from './measure.ts';

const [origin = '', rounds = '100', concurrency = '1'] = process.argv.slice(2);
const pool = new Pool(origin, { connections: 128, pipelining: 1 });

async function round(): Promise<void> {
  const opened = await pool.request({
    method: 'POST',
    path: '/v1/sessions',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ agent: 'bench', input: 'What is 2 + 3?' }),
  });
  const { session } = (await opened.body.json()) as { session: { id: string } };
  const stream = await pool.request({
    method: 'GET',
    path: `/v1/sessions/${session.id}/events`,
    headers: { accept: 'text/event-stream' },
  });
  let text = '';
  for await (const data of stream.body) {
    text += String(data);
    if (text.includes('event: run.ended')) break;
  }
  if (!text.includes('"status":"completed"')) throw new Error(`the run did not complete: ${text.slice(-500)}`);
}

await measure(Math.min(200, Number(rounds)), Number(concurrency), round);
process.stdout.write(JSON.stringify(await measure(Number(rounds), Number(concurrency), round)));
await pool.destroy();
