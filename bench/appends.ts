/**
 * `node bench/appends.ts`: what an append costs on a real Postgres that flushes each commit, beside a bare insert of the
 * same bytes by the same driver in the same run. By hand: docs/decisions quotes it.
 */
import { startPostgres } from '@perdure/testkit/services';
import { appendAfter, bodyOf, EMPTY_HEAD, runRow } from '@perdure/testkit';
import { system } from '@perdure/runtime';
import type { Head, LogStore } from '@perdure/runtime/ports';
import { openPostgresStore } from '@perdure/stores/postgres';
import pg from 'pg';

const SECONDS = 4;
const TEXT = 'x'.repeat(1_000);
const server = await startPostgres({ durable: true });
const { clock, timers } = system;

/** How often a second each of so many does something, one thing after another. */
async function rate(many: number, once: (at: number) => Promise<void>): Promise<number> {
  const began = clock.monotonicMs();
  let done = 0;
  const work = async (at: number): Promise<void> => {
    while (clock.monotonicMs() - began < SECONDS * 1_000) {
      await once(at);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: many }, async (_, at) => work(at)));
  return done / ((clock.monotonicMs() - began) / 1_000);
}

function growing(log: LogStore, prefix: string): (at: number) => Promise<void> {
  const heads = new Map<number, Head>();
  return async (at) => {
    const request = appendAfter(`${prefix}${at}`, heads.get(at) ?? EMPTY_HEAD, {
      text: TEXT,
      bodies: [bodyOf(TEXT, 'salt')],
      runs: [runRow('r1')],
      index: { status: 'running', outstanding: 1 },
    });
    const result = await log.append(request);
    if (!result.ok) throw new Error(JSON.stringify(result));
    heads.set(at, result.head);
  };
}

try {
  const pool = new pg.Pool({ connectionString: server.url(), max: 32 });
  await pool.query('CREATE TABLE floor (id bigserial PRIMARY KEY, bytes bytea NOT NULL)');
  const bytes = Buffer.from(TEXT + TEXT);
  const store = await openPostgresStore({ url: server.url(), timers });
  const { log } = store.tenant('default');
  for (const many of [1, 8, 32, 128]) {
    const floor = await rate(
      many,
      async () => void (await pool.query('INSERT INTO floor (bytes) VALUES ($1)', [bytes])),
    );
    const appends = await rate(many, growing(log, `many${many}-`));
    console.log(`${many} at once: ${floor.toFixed(0)} bare inserts/s, ${appends.toFixed(0)} appends/s`);
  }
  await store.close();
  await pool.end();
} finally {
  await server.dispose();
}
