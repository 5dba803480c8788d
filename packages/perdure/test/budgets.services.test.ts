import { test } from 'node:test';
import { postgresMissing, startPostgres } from '@perdure/testkit/services';
import { agent, createRuntime } from '../src/index.ts';
import { neverOverspent } from './never-overspent.ts';

const missing = postgresMissing();

test(
  '200 runs at once, through two processes on Postgres, never overspend a tenant’s cap: each ends, or waits for it',
  missing === null ? {} : { skip: missing },
  async (t) => {
    const postgres = await startPostgres();
    t.after(async () => postgres.dispose());
    const store = postgres.url() as `postgres://${string}`;
    const clerk = agent({ name: 'clerk', model: 'demo' });
    const open = async () =>
      createRuntime({ agents: [clerk], store, budgets: { day: { tokens: 2_000 } }, log: { level: 'silent' } });
    await neverOverspent([await open(), await open()], 2_000);
  },
);
