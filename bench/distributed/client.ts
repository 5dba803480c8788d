/** Calls the hand-written Restate object. Reads `INGRESS ROUNDS CONCURRENCY WARM_MS [long]` and prints what it measured as JSON. */
import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { measure, warm } from '../measure.ts';

const LAST = 50;
const [ingress = '', rounds = '0', concurrency = '1', warmMs = '0', long] = process.argv.slice(2);
const pool = new Pool(ingress, { connections: 64, pipelining: 1 });
const one = randomUUID();

async function round(): Promise<void> {
  const key = long === undefined ? randomUUID() : one;
  const { statusCode, body } = await pool.request({
    method: 'POST',
    path: `/session/${key}/send`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify('What is 2 + 3?'),
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`the object says ${statusCode}: ${text.slice(0, 200)}`);
}

const count = Number(rounds);
if (long === undefined) await warm(Number(warmMs), Number(concurrency), round);
else await measure(count - LAST, Number(concurrency), round);
const measured = await measure(long === undefined ? count : LAST, Number(concurrency), round);
process.stdout.write(`${JSON.stringify(measured)}\n`);
await pool.destroy();
